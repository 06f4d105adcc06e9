"""Magics: one registry with what each does, its help and its completion; and cells parsed into plans.

A plan says what to do with a cell; who does it is elsewhere. No widget, socket or process in this file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from tuiparallel.console.repl import runner
from tuiparallel.console.repl.modes import Mode, Where
from tuiparallel.console.repl.outcomes import Grouping


class MagicError(ValueError):
    """A magic that is not used as it can be; it says how it can."""


@dataclass(frozen=True, slots=True)
class Send:
    """Run Python somewhere. targets: text of targets that hold for this cell only."""

    source: str
    where: Where
    targets: str = ""
    block: bool | None = None
    group: Grouping | None = None
    timed: bool = False
    filename: str = ""


@dataclass(frozen=True, slots=True)
class MapCell:
    """Run the source once per element of an expression, on engines the hub chooses."""

    source: str
    each: str
    over: str
    where: Where
    chunk: int = 0
    block: bool | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Something the console does itself: the name of a magic and its arguments."""

    name: str
    arguments: tuple[str, ...] = ()
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Inspect:
    """`name?` or, with source, `name??`."""

    name: str
    source: bool
    where: Where


Plan = Send | MapCell | Command | Inspect


@dataclass(frozen=True, slots=True)
class Seen:
    """What completion may offer: cells by number, engines, names of files are not listed."""

    cells: tuple[int, ...] = ()
    engines: tuple[int, ...] = ()


Parse = Callable[["Magic", str, str, Where], Plan]
Words = Callable[[Seen], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Magic:
    """One magic. forms: how it is written; help: one sentence; words: what may follow it."""

    name: str
    forms: tuple[str, ...]
    help: str
    parse: Parse
    words: Words = field(default=lambda seen: ())
    line: bool = True
    cell: bool = False


_OPTION = re.compile(r"\s*(-t|--targets|--block|--noblock|--async|-c|--chunk|--group|-g)(?:[ =]|$)")


@dataclass(frozen=True, slots=True)
class _Options:
    targets: str = ""
    block: bool | None = None
    group: Grouping | None = None
    chunk: int = 0
    rest: str = ""


def _options(text: str, usage: str) -> _Options:
    """Leading options of a line, and the rest of it untouched."""
    found = _Options()
    while match := _OPTION.match(text):
        text = text[match.end() :]
        name = match[1]
        if name in ("--block",):
            found = replace(found, block=True)
            continue
        if name in ("--noblock", "--async"):
            found = replace(found, block=False)
            continue
        value, _, text = text.lstrip().partition(" ")
        if not value:
            raise MagicError(f"{name} wants a value: {usage}")
        if name in ("-t", "--targets"):
            found = replace(found, targets=value)
        elif name in ("--group", "-g"):
            found = replace(found, group=grouping(value))
        elif value.isdecimal() and int(value):
            found = replace(found, chunk=int(value))
        else:
            raise MagicError(f"{name} wants a number of elements, not {value!r}")
    return replace(found, rest=text.strip())


def grouping(text: str) -> Grouping:
    """A way to group outcomes by its name. Raises MagicError."""
    try:
        return Grouping(text)
    except ValueError:
        raise MagicError(f"{text!r} is not a way to group; there are {', '.join(Grouping)}") from None


def _send(mode: Mode) -> Parse:
    def parse(magic: Magic, line: str, body: str, where: Where) -> Plan:
        options = _options(line, magic.forms[0])
        source = body if body else options.rest
        if body and options.rest:
            raise MagicError(f"{options.rest!r} stands after the options; the code begins in the next line")
        if not source.strip():
            raise MagicError(f"there is nothing to run: {magic.forms[0]}")
        return Send(source, where.in_mode(mode), options.targets, options.block, options.group)

    return parse


def _map(magic: Magic, line: str, body: str, where: Where) -> Plan:
    options = _options(line, magic.forms[0])
    found = re.match(r"(?P<each>[^=]+?)\s+in\s+(?P<over>.+)\Z", options.rest, re.DOTALL)
    if found is None:
        raise MagicError(f"say what is bound to what: {magic.forms[0]}")
    if not body.strip():
        raise MagicError("the body of the map begins in the next line; its last expression is the value")
    for text, what in ((f"for {found['each']} in (): pass", found["each"]), (f"({found['over']}\n)", found["over"])):
        try:
            compile(text, "<map>", "exec")
        except SyntaxError as error:
            raise MagicError(f"{what!r}: {error.msg}") from None
    over = found["over"].strip()
    return MapCell(body, found["each"].strip(), over, where.in_mode(Mode.LB), options.chunk, options.block)


def _time(magic: Magic, line: str, body: str, where: Where) -> Plan:
    source = line.strip() or body
    if not source.strip():
        raise MagicError(f"there is nothing to run: {magic.forms[0]}")
    if line.strip() and body.strip():
        source = f"{line.strip()}\n{body}"
    plan = parse_cell(source, where)
    return replace(plan, timed=True) if isinstance(plan, Send) else plan


def _names(line: str, magic: Magic) -> list[str]:
    names = [name for name in re.split(r"[,\s]+", line.strip()) if name]
    if not names:
        raise MagicError(f"name what: {magic.forms[0]}")
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise MagicError(f"{name!r} is not a name")
    return names


def _push(magic: Magic, line: str, body: str, where: Where) -> Plan:
    pairs = ", ".join(f"{name!r}: {name}" for name in _names(line, magic))
    return Send(f"dview.push({{{pairs}}}, block=True)\nNone", where.in_mode(Mode.LOCAL))


def _pull(magic: Magic, line: str, body: str, where: Where) -> Plan:
    names = _names(line, magic)
    text = "\n".join(f"{name.rpartition('.')[2]} = dview.pull({name!r}, block=True)" for name in names)
    return Send(f"{text}\n{', '.join(name.rpartition('.')[2] for name in names)}", where.in_mode(Mode.LOCAL))


def _scatter(magic: Magic, line: str, body: str, where: Where) -> Plan:
    text = "\n".join(f"dview.scatter({name!r}, {name}, block=True)" for name in _names(line, magic))
    return Send(f"{text}\nNone", where.in_mode(Mode.LOCAL))


def _gather(magic: Magic, line: str, body: str, where: Where) -> Plan:
    names = _names(line, magic)
    text = "\n".join(f"{name} = dview.gather({name!r}, block=True)" for name in names)
    return Send(f"{text}\n{', '.join(names)}", where.in_mode(Mode.LOCAL))


def _run(magic: Magic, line: str, body: str, where: Where) -> Plan:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise MagicError(f"{error}: {magic.forms[0]}") from None
    if len(words) != 1:
        raise MagicError(f"name one file: {magic.forms[0]}")
    return Send("", where, filename=words[0])


def _command(most: int, least: int = 0) -> Parse:
    def parse(magic: Magic, line: str, body: str, where: Where) -> Plan:
        words = tuple(line.split())
        if not least <= len(words) <= most:
            raise MagicError(f"it is written {' or '.join(magic.forms)}")
        return Command(magic.name, words, line.strip())

    return parse


def _cells(seen: Seen) -> Iterable[str]:
    return [str(number) for number in reversed(seen.cells)]


def _target_words(seen: Seen) -> Iterable[str]:
    return ["all", "marked", *(str(engine) for engine in seen.engines)]


MAGICS: dict[str, Magic] = {
    magic.name: magic
    for magic in (
        Magic("px", ("%%px [-t TARGETS] [--block] [--group identical|engine|order]", "%px CODE"),
              "Runs in the namespace of every target, whatever the mode", _send(Mode.PX),
              lambda seen: ("-t", "--block", "--group"), cell=True),
        Magic("lb", ("%%lb [-t TARGETS] [--block]", "%lb CODE"), "Runs once, on an engine the hub chooses", _send(Mode.LB),
              lambda seen: ("-t", "--block"), cell=True),
        Magic("local", ("%%local", "%local CODE"), "Runs in the console's own child process", _send(Mode.LOCAL),
              lambda seen: ("--block",), cell=True),
        Magic("map", ("%%map [-c CHUNK] x in EXPR",),
              "Runs the lines below once per element, on any engine; EXPR is computed locally", _map,
              lambda seen: ("-c", "--block"), line=False, cell=True),
        Magic("autopx", ("%autopx",), "Goes to mode px, or back to the mode before", _command(0)),
        Magic("targets", ("%targets [0-3,7 | all | marked | QUERY]",), "Picks the engines cells go to", _command(99),
              _target_words),
        Magic("block", ("%block",), "From now on a cell makes the prompt wait for it", _command(0)),
        Magic("async", ("%async",), "From now on the prompt is free at once", _command(0)),
        Magic("group", ("%group identical|engine|order",), "How outcomes are listed", _command(1), lambda seen: list(Grouping)),
        Magic("time", ("%time CODE", "%%time"), "Runs and says how long it took, here and on the engines", _time, cell=True),
        Magic("who", ("%who",), "Names, types and sizes in the namespace cells go to", _command(0)),
        Magic("push", ("%push NAME ...",), "Copies local names to the targets", _push),
        Magic("pull", ("%pull NAME ...",), "Fetches names of the targets into local ones, a value per engine", _pull),
        Magic("scatter", ("%scatter NAME ...",), "Spreads local sequences over the targets", _scatter),
        Magic("gather", ("%gather NAME ...",), "Joins parts on the targets into local names", _gather),
        Magic("run", ("%run FILE",), "Runs a file where cells go", _run),
        Magic("result", ("%result [CELL]",), "Shows a cell's whole outcome again", _command(1), _cells),
        Magic("pxresult", ("%pxresult [CELL]",), "The same as %result", _command(1), _cells),
        Magic("abort", ("%abort [CELL]",), "Parts of a cell that wait end as aborted; what runs goes on", _command(1), _cells),
        Magic("interrupt", ("%interrupt [CELL]",), "Aborts what waits of a cell and interrupts what runs", _command(1), _cells),
        Magic("reset", ("%reset",), "Empties the namespace cells go to; asks first", _command(0)),
        Magic("history", ("%history [TEXT]",), "The newest cells, or those that contain a text", _command(99)),
        Magic("edit", ("%edit [CELL]",), "Opens a cell's text in $EDITOR", _command(1), _cells),
        Magic("save", ("%save FILE [CELL ...]",), "Writes cells to a file as Python", _command(999, 1), _cells),
        Magic("magics", ("%magics [NAME]",), "This list, or how one of them is written", _command(1),
              lambda seen: list(MAGICS)),
    )
}  # fmt: skip


def parse_cell(text: str, where: Where) -> Plan:
    """What to do with a cell that is entered at this prompt. Raises MagicError for a magic that does not exist so."""
    stripped = text.strip("\n")
    bare = stripped.strip()
    if bare.startswith("%%"):
        head, _, body = bare.partition("\n")
        return _magic(head[2:], body, where, cell=True)
    if bare.startswith("%"):
        head, _, body = bare.partition("\n")
        if body.strip():
            raise MagicError(f"a line magic stands alone; a cell's begins with %%: %{head[:20]}")
        return _magic(head[1:], "", where, cell=False)
    if bare.startswith("!"):
        if not bare[1:].strip():
            raise MagicError("name a command: !ls -l")
        return Send(runner.shell_source(bare[1:].strip()), where)
    if found := re.fullmatch(r"([^\W\d][\w.]*)(\?\??)", bare):
        return Inspect(found[1], found[2] == "??", where)
    if found := re.fullmatch(r"(\?\??)([^\W\d][\w.]*)", bare):
        return Inspect(found[2], found[1] == "??", where)
    return Send(_dedented(stripped), where)


def _magic(head: str, body: str, where: Where, *, cell: bool) -> Plan:
    name, _, line = head.partition(" ")
    magic = MAGICS.get(name)
    if magic is None:
        import difflib

        near = difflib.get_close_matches(name, MAGICS, 1)
        raise MagicError(
            f"there is no magic %{name}" + (f"; did you mean %{near[0]}" if near else "; %magics lists them")
        )
    if cell and not magic.cell:
        raise MagicError(f"%{name} is a line's magic: {magic.forms[0]}")
    if not cell and not magic.line:
        raise MagicError(f"%{name} is a cell's magic: {magic.forms[0]}")
    return magic.parse(magic, line, body, where)


def _dedented(text: str) -> str:
    import textwrap

    text = text.rstrip()
    return textwrap.dedent(text) if text[:1] in " \t" else text


def complete(text: str, cursor: int, seen: Seen) -> list[str] | None:
    """What a magic's word at the cursor may become; None when the cursor is not in a magic's line."""
    before = text[:cursor]
    if "\n" in before.lstrip() or not before.lstrip().startswith("%"):
        return None
    line = before.lstrip()
    marks = "%%" if line.startswith("%%") else "%"
    words = line[len(marks) :].split(" ")
    if len(words) == 1:
        fitting = (magic for magic in MAGICS.values() if (magic.cell if marks == "%%" else magic.line))
        return [marks + magic.name for magic in fitting if magic.name.startswith(words[0])]
    magic = MAGICS.get(words[0])
    if magic is None:
        return []
    found = [word for word in magic.words(seen) if word.startswith(words[-1])]
    if not found and not words[-1].startswith("-") and magic.name in ("px", "lb", "local", "time", "map"):
        return None  # code follows
    return found


def help_text(name: str = "") -> list[str]:
    """The registry as lines, or one magic's."""
    if name:
        magic = MAGICS.get(name.lstrip("%"))
        if magic is None:
            raise MagicError(f"there is no magic {name}")
        return [*magic.forms, "  " + magic.help]
    width = max(len(magic.forms[0]) for magic in MAGICS.values() if len(magic.forms[0]) < 36)
    lines = [f"{magic.forms[0]:<{width}}  {magic.help}" for magic in MAGICS.values()]
    return [*lines, f"{'name?  name??':<{width}}  Signature and docstring; the source", f"{'!COMMAND':<{width}}  A shell command, where the cell would run"]  # fmt: skip
