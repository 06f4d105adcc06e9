"""The verbs of the command, their options and help. What a verb does stands in the module it imports when it is run."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer

from tuiparallel.cli.call import Call
from tuiparallel.cli.drawing import why_plain
from tuiparallel.cli.exits import CommandError, ExitCode, code_of, usage, write_report
from tuiparallel.cli.printer import Printer
from tuiparallel.cli.verbs import verb, with_common

_HELP = "Interactive parallel computing. Without a verb: the console, on the running cluster or on a new local one."
_SETTINGS = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    help=_HELP,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
engines_app = typer.Typer(rich_markup_mode=None, context_settings=_SETTINGS)

Yes = Annotated[bool, typer.Option("--yes", help="do it; without this only say what would be done")]
Where = Annotated[str | None, typer.Option("--where", metavar="QUERY", help="only rows that match, as state:error")]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", help="seconds to wait at most")]
Count = Annotated[int | None, typer.Option("-n", metavar="N", help="number of engines; default: one per core")]
Width = Annotated[int | None, typer.Option("--width", metavar="N", help="columns of the text")]


def _console(call: Call, n: int | None, once: bool, width: int | None, readonly: bool) -> int:
    plain = why_plain()
    if once or plain:
        from tuiparallel.cli.listing import once as show_once

        if not once and not call.out.as_json:
            call.out.note(f"tuipar: {plain}: one snapshot, as --once")
        return show_once(call, width)
    if call.out.as_json or width is not None:
        raise usage("--json and --width go with --once")
    from tuiparallel.cli.console import open_console

    return open_console(call, n, readonly)


@app.callback(invoke_without_command=True)
@with_common
def tuipar(
    call: Call,
    n: Count = None,
    once: Annotated[bool, typer.Option("--once", help="print one snapshot and leave")] = False,
    width: Width = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="change nothing, only look")] = False,
    version: Annotated[bool, typer.Option("--version", help="the version, and leave")] = False,
) -> int:
    """Interactive parallel computing. Without a verb: the console, on the running cluster or on a new local one."""
    if version:
        from importlib.metadata import version as installed

        call.out.text(f"tuipar {installed('tuiparallel')}")
        raise typer.Exit(0)
    if call.subcommand is not None:
        return 0
    return _console(call, n, once, width, readonly)


@verb(app, "console")
def console(
    call: Call,
    n: Count = None,
    once: Annotated[bool, typer.Option("--once", help="print one snapshot and leave")] = False,
    width: Width = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="change nothing, only look")] = False,
) -> int:
    """The console, on the running cluster or on a new local one."""
    return _console(call, n, once, width, readonly)


@verb(app, "start")
def start(
    call: Call,
    n: Count = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="its name; default: a new one")] = None,
    restart: Annotated[str | None, typer.Option("--restart", metavar="WHEN", help="never or on-failure")] = None,
    ip: Annotated[str | None, typer.Option("--ip", metavar="ADDR", help="listen on TCP, encrypted; or '*'")] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", metavar="NAME", help="leastload, lru, plainrandom, weighted or twobin")
    ] = None,
) -> int:
    """Start a cluster, return when it is ready, and leave it running. Prints its name."""
    from tuiparallel.cli.starting import start as run_start

    return run_start(call, n, name, restart, ip, scheme)


@verb(app, "stop")
def stop(call: Call, names: Annotated[list[str], typer.Argument(metavar="NAME...")], yes: Yes = False) -> int:
    """End clusters: hub, supervisor and engines. Prints the names ended."""
    from tuiparallel.cli.starting import stop as run_stop

    return run_stop(call, names, yes)


@verb(app, "status")
def status(call: Call) -> int:
    """One cluster in a few lines."""
    from tuiparallel.cli.listing import status as show_status

    return show_status(call)


@verb(app, "ls")
def ls(
    call: Call,
    noun: Annotated[str, typer.Argument(metavar="engines|tasks|errors|functions|clients|clusters")],
    where: Where = None,
    width: Width = None,
) -> int:
    """A row per line. tasks: with -c NAME also those of a cluster that has ended."""
    from tuiparallel.cli.listing import ls as show

    return show(call, noun, where, width)


@verb(app, "exec")
def exec_(
    call: Call,
    code: Annotated[str, typer.Argument(metavar="CODE", help="Python; - reads it from stdin")],
    targets: Annotated[str | None, typer.Option("-t", metavar="0,2", help="engines; default: all")] = None,
    timeout: Timeout = None,
) -> int:
    """Run code on engines. Prints its output as lines `[0] text`, bare for one engine."""
    from tuiparallel.cli.running import execute

    return execute(call, code, targets, timeout)


@verb(app, "run")
def run_file(
    call: Call,
    file_: Annotated[str, typer.Argument(metavar="FILE", help="a Python file")],
    targets: Annotated[str | None, typer.Option("-t", metavar="0,2", help="engines; default: all")] = None,
    timeout: Timeout = None,
) -> int:
    """Run a file on engines. Prints its output as exec does."""
    from tuiparallel.cli.running import run_script

    return run_script(call, file_, targets, timeout)


@verb(app, "abort")
def abort(
    call: Call,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]")] = None,
    where: Where = None,
    running: Annotated[bool, typer.Option("--running", help="interrupt running tasks too")] = False,
    yes: Yes = False,
) -> int:
    """End queued tasks. Prints the ids aborted; running ones left alone go to stderr."""
    from tuiparallel.cli.tasks import abort as run_abort

    return run_abort(call, ids or [], where, running, yes)


@verb(app, "wait")
def wait(
    call: Call,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]")] = None,
    where: Where = None,
    timeout: Timeout = None,
) -> int:
    """Wait until tasks have ended. Prints `msg_id state` per line."""
    from tuiparallel.cli.tasks import wait as run_wait

    return run_wait(call, ids or [], where, timeout)


@verb(app, "restart")
def restart(
    call: Call,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="engines; none: all")] = None,
    yes: Yes = False,
) -> int:
    """Replace engines by new ones. Prints `old new` per line."""
    from tuiparallel.cli.resizing import restart as run_restart

    return run_restart(call, ids or [], yes)


@verb(app, "logs")
def logs(
    call: Call,
    which: Annotated[str | None, typer.Argument(metavar="[hub|supervisor|template|ID]")] = None,
    where: Where = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on with what comes")] = False,
    lines: Annotated[int, typer.Option("-n", metavar="N", help="newest lines to begin with")] = 100,
) -> int:
    """Log lines of a process, or (none named) output of tasks."""
    from tuiparallel.cli.logs import logs as show_logs

    return show_logs(call, which, where, follow, lines)


@verb(app, "demo")
def demo(
    call: Call,
    headless: Annotated[bool, typer.Option("--headless", help="a table instead of the console")] = False,
    n: Count = None,
) -> int:
    """A private cluster with real work: every file of Python's standard library is parsed, one task each."""
    from tuiparallel.cli.demo import demo as run_demo

    return run_demo(call, headless, n)


@verb(app, "bench")
def bench(
    call: Call,
    quick: Annotated[bool, typer.Option("--quick", help="one round of smaller workloads")] = False,
) -> int:
    """Measure this machine: this project, the standard library, bare 0MQ and memory on the same work."""
    from tuiparallel.cli.bench import bench as run_bench

    return run_bench(call, quick)


@verb(app, "doctor")
def doctor(call: Call) -> int:
    """Check this installation: ok, warn or fail per line."""
    from tuiparallel.cli.doctor import doctor as run_doctor

    return run_doctor(call)


@engines_app.callback(invoke_without_command=True)
@with_common
def engines(
    call: Call,
    add: Annotated[int | None, typer.Option("-n", metavar="N", help="start N more")] = None,
) -> int:
    """Start, end and signal engines. Prints the ids there are afterwards, one a line."""
    from tuiparallel.cli.resizing import add_engines

    if call.subcommand is not None:
        return 0
    if add is None:
        raise usage("say what: add N (or -n N), scale N, stop ID..., signal SIG [ID...]")
    return add_engines(call, add)


@verb(engines_app, "add")
def engines_add(call: Call, n: Annotated[int, typer.Argument(metavar="N")]) -> int:
    """Start N more engines."""
    from tuiparallel.cli.resizing import add_engines

    return add_engines(call, n)


@verb(engines_app, "scale")
def engines_scale(call: Call, n: Annotated[int, typer.Argument(metavar="N")], yes: Yes = False) -> int:
    """Bring the number of engines to N."""
    from tuiparallel.cli.resizing import scale

    return scale(call, n, yes)


@verb(engines_app, "stop")
def engines_stop(call: Call, ids: Annotated[list[int], typer.Argument(metavar="ID...")], yes: Yes = False) -> int:
    """End these engines; what runs there is lost."""
    from tuiparallel.cli.resizing import stop_engines

    return stop_engines(call, ids, yes)


@verb(engines_app, "signal")
def engines_signal(
    call: Call,
    sig: Annotated[str, typer.Argument(metavar="SIG")],
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="none: all")] = None,
    yes: Yes = False,
) -> int:
    """Send a signal to engines."""
    from tuiparallel.cli.resizing import signal_engines

    return signal_engines(call, sig, ids or [], yes)


app.add_typer(engines_app, name="engines")


def run(arguments: list[str]) -> int:
    """Run the command with these arguments and return its exit code. Prints what went wrong."""
    out = Printer(as_json="--json" in arguments, quiet=False)
    previous = signal.signal(signal.SIGTERM, _terminated)
    try:
        result: Any = app(args=arguments, prog_name="tuipar", standalone_mode=False)
        sys.stdout.flush()
        return int(result or 0)
    except Exception as error:
        return _failed(error, out)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminated(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(ExitCode.TERMINATED)


def _failed(error: Exception, out: Printer) -> int:
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    explain = getattr(error, "format_message", None)  # a usage error of the parser, whatever module it is of
    if callable(explain):
        out.error("UsageError", f"{explain()} (tuipar --help lists what there is)", ExitCode.USAGE)
        return ExitCode.USAGE
    code = code_of(error)
    if code is None:
        path = write_report(error)
        out.error(type(error).__name__, f"internal error, please report it with {path}: {error}", ExitCode.INTERNAL)
        return ExitCode.INTERNAL
    kind = error.kind if isinstance(error, CommandError) else type(error).__name__
    out.error(kind, str(error), code)
    if os.environ.get("TUIPAR_DEBUG"):
        raise error
    return code
