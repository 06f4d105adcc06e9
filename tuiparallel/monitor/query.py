"""The query language: `state:error fn:fit* engine:0-3,7 run:>2s "timeout" -label:warmup (a OR b)`.

Words are and-ed, `OR` joins alternatives, `-` or `NOT` excludes, parentheses group. A word with a known field before a
colon tests that field; its value is a comma list of plain values, globs, ranges (`0-3`, `1s..2s`), comparisons
(`>2s`, `<=4k`) and `none`. Any other word, and anything in quotes, is searched in the fields meant for that.
Durations have the units ms s m h d (none: seconds), sizes and numbers k M G (powers of 1000) and Ki Mi Gi.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property

from tuiparallel.monitor.fields import CLIENT_FIELDS as CLIENT_FIELDS
from tuiparallel.monitor.fields import ENGINE_FIELDS as ENGINE_FIELDS
from tuiparallel.monitor.fields import FAILURE_FIELDS as FAILURE_FIELDS
from tuiparallel.monitor.fields import FUNCTION_FIELDS as FUNCTION_FIELDS
from tuiparallel.monitor.fields import TASK_FIELDS as TASK_FIELDS
from tuiparallel.monitor.fields import Field, Kind, Nouns
from tuiparallel.monitor.fields import field_named as field_named


class QueryError(ValueError):
    """A faulty query: what is wrong, and the characters start (included) to end (excluded) it is about."""

    def __init__(self, text: str, start: int, end: int) -> None:
        super().__init__(f"{text} (at character {start + 1})")
        self.text = text
        self.start = start
        self.end = max(end, start + 1)


# What a value is tested for ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Among:
    """The value is one of these words (of a choice)."""

    words: frozenset[str]

    def accepts(self, value: object) -> bool:
        """Whether a value passes."""
        return value in self.words


@dataclass(frozen=True, slots=True)
class Like:
    """The text matches a pattern, ignoring case."""

    pattern: re.Pattern[str]

    def accepts(self, value: object) -> bool:
        """Whether a value passes; unknown never does."""
        if isinstance(value, tuple):
            return any(self.pattern.match(str(item)) for item in value)
        return value is not None and self.pattern.match(str(value)) is not None


@dataclass(frozen=True, slots=True)
class Between:
    """The number lies in an interval."""

    low: float
    high: float
    low_in: bool = True
    high_in: bool = True

    def accepts(self, value: object) -> bool:
        """Whether a value passes; unknown never does, and of several one suffices."""
        if isinstance(value, tuple):
            return any(self.accepts(item) for item in value)
        if not isinstance(value, int | float):
            return False
        above = value >= self.low if self.low_in else value > self.low
        return above and (value <= self.high if self.high_in else value < self.high)


@dataclass(frozen=True, slots=True)
class Missing:
    """The value is unknown or empty."""

    def accepts(self, value: object) -> bool:
        """Whether a value passes."""
        return value is None or value == "" or value == ()


Test = Among | Like | Between | Missing


# The tree ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """A field, and the tests of which its value must pass one."""

    field: Field
    tests: tuple[Test, ...]

    def matches(self, row: object, nouns: Nouns) -> bool:
        """Whether a row passes."""
        value = self.field.read(row)
        return any(test.accepts(value) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Word:
    """Text that is searched, ignoring case, in every field meant for it."""

    text: str  # casefolded

    def matches(self, row: object, nouns: Nouns) -> bool:
        """Whether a row passes."""
        for field in nouns.searched:
            value = field.read(row)
            if value is not None and self.text in str(value).casefold():
                return True
        return False


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of its item."""

    item: Node

    def matches(self, row: object, nouns: Nouns) -> bool:
        """Whether a row passes."""
        return not self.item.matches(row, nouns)


@dataclass(frozen=True, slots=True)
class Every:
    """Every item holds; with no item it always does."""

    items: tuple[Node, ...]

    def matches(self, row: object, nouns: Nouns) -> bool:
        """Whether a row passes."""
        return all(item.matches(row, nouns) for item in self.items)


@dataclass(frozen=True, slots=True)
class Either:
    """One of the items holds."""

    items: tuple[Node, ...]

    def matches(self, row: object, nouns: Nouns) -> bool:
        """Whether a row passes."""
        return any(item.matches(row, nouns) for item in self.items)


Node = Term | Word | Not | Every | Either


@dataclass(frozen=True)
class Query:
    """A valid query over one noun's fields. Two queries with the same text are equal."""

    text: str
    node: Node
    nouns: Nouns

    def matches(self, row: object) -> bool:
        """Whether a row of this noun passes."""
        return self.node.matches(row, self.nouns)

    @cached_property
    def empty(self) -> bool:
        """Whether it lets everything pass because nothing was asked."""
        return isinstance(self.node, Every) and not self.node.items


def parse(text: str, nouns: Nouns = TASK_FIELDS, me: str = "") -> Query:
    """The query a text means; `me` is what client:me stands for. Raises QueryError."""
    return Query(text.strip(), _Parser(text, nouns, me).whole(), nouns)


# Words ------------------------------------------------------------------------------------------------------------


class _Sort(Enum):
    OPEN = "("
    CLOSE = ")"
    OR = "OR"
    AND = "AND"
    NOT = "NOT"
    WORD = "word"
    QUOTED = "quoted"


@dataclass(frozen=True, slots=True)
class _Token:
    sort: _Sort
    text: str
    start: int
    end: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
        elif char in "()":
            found.append(_Token(_Sort(char), char, at, at + 1))
            at += 1
        elif char == "-":
            if at + 1 >= len(text) or text[at + 1].isspace():
                raise QueryError("'-' excludes what follows it, but nothing does", at, at + 1)
            found.append(_Token(_Sort.NOT, "-", at, at + 1))
            at += 1
        else:
            end = _word_end(text, at)
            word = text[at:end]
            if char == '"':
                found.append(_Token(_Sort.QUOTED, word[1:-1], at, end))
            elif word in ("OR", "AND", "NOT"):
                found.append(_Token(_Sort(word), word, at, end))
            else:
                found.append(_Token(_Sort.WORD, word, at, end))
            at = end
    return found


def _word_end(text: str, at: int) -> int:
    """Where the word that begins at `at` ends: at a space or parenthesis outside quotes."""
    begin = at
    while at < len(text) and not text[at].isspace() and text[at] not in "()":
        if text[at] == '"':
            close = text.find('"', at + 1)
            if close < 0:
                raise QueryError('a quote is opened and not closed: add "', at, len(text))
            at = close + 1
            if text[begin] == '"':
                return at
        else:
            at += 1
    return at


class _Parser:
    """Recursive descent over the tokens: alternatives of sequences of words."""

    def __init__(self, text: str, nouns: Nouns, me: str) -> None:
        self._text = text
        self._nouns = nouns
        self._me = me
        self._tokens = _tokens(text)
        self._at = 0

    def whole(self) -> Node:
        if not self._tokens:
            return Every(())
        node = self._alternatives()
        if (token := self._peek()) is not None:
            raise QueryError("')' closes nothing", token.start, token.end)
        return node

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _alternatives(self) -> Node:
        items = [self._sequence()]
        while (token := self._peek()) is not None and token.sort is _Sort.OR:
            self._at += 1
            items.append(self._sequence())
        return items[0] if len(items) == 1 else Either(tuple(items))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while (token := self._peek()) is not None and token.sort not in (_Sort.OR, _Sort.CLOSE):
            if token.sort is _Sort.AND and items:
                self._at += 1
                token = self._peek()
                if token is None or token.sort in (_Sort.OR, _Sort.CLOSE, _Sort.AND):
                    raise QueryError("'AND' needs something on both sides", *self._place())
            items.append(self._one())
        if not items:
            raise QueryError("something is missing here", *self._place())
        return items[0] if len(items) == 1 else Every(tuple(items))

    def _place(self) -> tuple[int, int]:
        token = self._peek()
        return (token.start, token.end) if token else (len(self._text), len(self._text) + 1)

    def _one(self) -> Node:
        token = self._peek()
        if token is None:
            raise QueryError("something is missing here", *self._place())
        self._at += 1
        match token.sort:
            case _Sort.NOT:
                return Not(self._one())
            case _Sort.OPEN:
                node = self._alternatives()
                close = self._peek()
                if close is None:
                    raise QueryError("'(' is opened and not closed: add ')'", token.start, token.end)
                self._at += 1
                return node
            case _Sort.QUOTED:
                return Word(token.text.casefold())
            case _Sort.WORD:
                return self._word(token)
            case _:
                raise QueryError(f"{token.text!r} needs something on both sides", token.start, token.end)

    def _word(self, token: _Token) -> Node:
        name, colon, value = token.text.partition(":")
        if not colon or not name or not re.fullmatch(r"[A-Za-z_]+", name):
            return Word(token.text.replace('"', "").casefold())
        field = self._nouns.get(name.lower())
        if field is None:
            near = difflib.get_close_matches(name.lower(), self._nouns.names, 1)
            cure = f"did you mean {near[0]}:?" if near else f"the fields are {', '.join(self._nouns.shown)}"
            raise QueryError(f"no field {name!r}; {cure}", token.start, token.start + len(name))
        start = token.start + len(name) + 1
        if not value:
            raise QueryError(f"{name}: needs a value, as {name}:{field.example}", token.start, token.end)
        tests: list[Test] = []
        for piece, offset in _pieces(value):
            if not piece:
                raise QueryError("a value is missing beside the comma", start + offset, start + offset + 1)
            tests.append(_test(field, piece, start + offset, self._me))
        return Term(field, tuple(tests))


def _pieces(value: str) -> Iterable[tuple[str, int]]:
    """The parts of a comma list, each with its offset; commas in quotes do not part."""
    begin = 0
    quoted = False
    for at, char in enumerate(value):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            yield value[begin:at], begin
            begin = at + 1
    yield value[begin:], begin


# Values -----------------------------------------------------------------------------------------------------------

_COMPARISON = re.compile(r"(>=|<=|=|>|<)(.*)", re.DOTALL)
_NUMBER = re.compile(r"([+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµ%]*)")
_TIMES = {"": 1.0, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1.0, "b": 1.0, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12}
_SIZES |= {"ki": 2.0**10, "kib": 2.0**10, "mi": 2.0**20, "mib": 2.0**20, "gi": 2.0**30, "gib": 2.0**30, "%": 0.01}


def _test(field: Field, piece: str, at: int, me: str) -> Test:
    if piece == "none":
        return Missing()
    match field.kind:
        case Kind.CHOICE:
            return _choice(field, piece, at)
        case Kind.TEXT | Kind.PROSE:
            if field.name == "client" and piece == "me":
                if not me:
                    raise QueryError("client:me needs a client, and this observer has none", at, at + len(piece))
                piece = me
            return Like(_pattern(piece, field.kind is Kind.PROSE))
        case _:
            return _interval(field, piece, at)


def _choice(field: Field, piece: str, at: int) -> Test:
    word = piece.lower().strip('"')
    if word in field.groups:
        return Among(field.groups[word])
    if any(char in word for char in "*?["):
        words = frozenset(fnmatch.filter(field.choices, word))
    else:
        words = frozenset({word} & set(field.choices))
    if not words:
        known = [*field.choices, *field.groups]
        near = difflib.get_close_matches(word, known, 1)
        cure = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(known)}"
        raise QueryError(f"no {field.name} {word!r}; {cure}", at, at + len(piece))
    return Among(words)


def _pattern(piece: str, anywhere: bool) -> re.Pattern[str]:
    quoted = len(piece) > 1 and piece.startswith('"') and piece.endswith('"')
    text = piece.replace('"', "")
    if not quoted and any(char in text for char in "*?["):
        return re.compile(fnmatch.translate(text), re.IGNORECASE | re.DOTALL)
    literal = re.escape(text)
    return re.compile(f".*{literal}" if anywhere else rf"{literal}\Z", re.IGNORECASE | re.DOTALL)


def _interval(field: Field, piece: str, at: int) -> Test:
    if found := _COMPARISON.fullmatch(piece):
        value = _scalar(field, found[2], at + len(found[1]))
        match found[1]:
            case ">":
                return Between(value, float("inf"), low_in=False)
            case ">=":
                return Between(value, float("inf"))
            case "<":
                return Between(float("-inf"), value, high_in=False)
            case "<=":
                return Between(float("-inf"), value)
        return Between(value, value)
    mark = ".." if ".." in piece else "-"
    if mark in piece and not (mark == "-" and field.kind is Kind.TIME):
        head, _, tail = piece.partition(mark)
        low = _scalar(field, head, at) if head else float("-inf")
        high = _scalar(field, tail, at + len(head) + len(mark)) if tail else float("inf")
        if not head and not tail:
            raise QueryError("a range needs an end", at, at + len(piece))
        if low > high:
            raise QueryError("the range ends before it begins", at, at + len(piece))
        return Between(low, high)
    value = _scalar(field, piece, at)
    return Between(value, value)


def _scalar(field: Field, text: str, at: int) -> float:
    if field.kind is Kind.TIME:
        try:
            stamp = datetime.fromisoformat(text.strip('"'))
        except ValueError:
            raise QueryError(f"{text!r} is not a time such as 2026-01-31T10:00", at, at + len(text)) from None
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    found = _NUMBER.fullmatch(text.strip('"'))
    units = _TIMES if field.kind is Kind.DURATION else _SIZES
    unit = found[2].lower() if found else ""
    if found is None or unit not in units:
        shape = "a duration such as 20ms, 2s or 3m" if field.kind is Kind.DURATION else "a number such as 7, 4k or 2M"
        raise QueryError(f"{field.name}: {text!r} is not {shape}", at, at + len(text))
    return float(found[1]) * units[unit]


# Completion -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Completion:
    """What may stand instead of the characters start .. end of the query; count: rows that have this value."""

    text: str
    count: int | None
    start: int
    end: int
    help: str = ""


Observed = Callable[[str], Mapping[str, int]]


def complete(text: str, cursor: int, nouns: Nouns, observed: Observed) -> list[Completion]:
    """What may follow at the cursor: fields, then values that were seen, most frequent first.

    observed(field name) answers the values there are, with how many rows have each.
    """
    begin = cursor
    while begin > 0 and not text[begin - 1].isspace() and text[begin - 1] not in "()":
        begin -= 1
    if begin < cursor and text[begin] == "-":
        begin += 1
    name, colon, value = text[begin:cursor].partition(":")
    if not colon:
        lower = name.lower()
        return [
            Completion(f"{field.name}:", None, begin, cursor, field.help)
            for field in nouns.fields
            if field.name.startswith(lower)
        ]
    field = nouns.get(name.lower())
    if field is None:
        return []
    piece = value.rpartition(",")[2]
    start = cursor - len(piece)
    counts = dict(observed(field.name))
    for word in (*field.choices, *field.groups):
        counts.setdefault(word, sum(counts.get(item, 0) for item in field.groups.get(word, ())))
    wanted = piece.strip('"').casefold()
    hits = [(value, count) for value, count in counts.items() if value and value.casefold().startswith(wanted)]
    hits.sort(key=lambda hit: (-hit[1], hit[0]))
    return [Completion(_quoted(value), count, start, cursor) for value, count in hits]


def _quoted(value: str) -> str:
    """A value as it must be written to mean itself."""
    return f'"{value}"' if re.search(r"[\s(),*?\[]", value) or value == "none" else value
