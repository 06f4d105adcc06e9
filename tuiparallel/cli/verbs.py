"""How a verb is registered: with the options that every verb has, and an exit code as its result."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import CommandError, ExitCode
from tuiparallel.cli.printer import drop_stdout

_COMMON = (
    (
        "cluster",
        "-c",
        "--cluster",
        str | None,
        None,
        "NAME",
        "the cluster; default: $TUIPAR_CLUSTER, else the only one",
    ),
    ("file", "--file", None, str | None, None, "PATH", "a connection file instead of a name"),
    ("as_json", "--json", None, bool, False, None, "one JSON object per line"),
    ("quiet", "-q", "--quiet", bool, False, None, "results only, no notes"),
)


def _common() -> list[inspect.Parameter]:
    found = []
    for name, first, second, kind, default, metavar, text in _COMMON:
        flags = (first,) if second is None else (first, second)
        option = typer.Option(*flags, metavar=metavar, help=text)
        annotation: Any = Annotated[kind, option]
        found.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation))
    return found


def with_common(function: Callable[..., int]) -> Callable[..., int]:
    """The function as typer wants it: its first parameter, a Call, replaced by the options that make one.

    Options given before the verb count too; those after it win.
    """
    signature = inspect.signature(function, eval_str=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(signature.parameters.values())[1:]
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    def command(*, ctx: typer.Context, **given: Any) -> int:
        before = ctx.obj if isinstance(ctx.obj, dict) else {}
        common = {name: given.pop(name) or before.get(name) for name, *_ in _COMMON}
        ctx.obj = common
        call = Call(common["cluster"], common["file"], bool(common["as_json"]), bool(common["quiet"]))
        call.subcommand = ctx.invoked_subcommand
        try:
            return function(call, **given)
        except BrokenPipeError:  # who read our output has enough of it
            drop_stdout()
            return ExitCode.DONE
        except KeyboardInterrupt as error:  # before the parser makes an exit without a word of it
            message = "interrupted; tasks that were submitted go on"
            raise CommandError(message, ExitCode.INTERRUPTED, "KeyboardInterrupt") from error

    parameters = [context, *own, *_common()]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    command.__doc__ = inspect.getdoc(function)
    command.__name__ = function.__name__.rstrip("_")
    return command


def verb(app: typer.Typer, name: str, **options: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Register a function as a verb."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        app.command(name, **options)(with_common(function))
        return function

    return register
