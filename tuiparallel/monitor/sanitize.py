"""Foreign text made safe: SGR becomes styles, every other control sequence is dropped and counted.

Nothing that leaves this file holds an ESC or any other control character but newline and carriage return (Sanitizer),
newline (clean_block) or none at all (clean_line). Other control bytes, bidi controls and bad UTF-8 become U+FFFD.
The grammar is ECMA-48's: CSI, and strings (OSC, DCS, APC, PM, SOS) that end in BEL or ST. A string that is never
ended stops at a newline, so that it cannot swallow what is printed later.
"""

from __future__ import annotations

import re

from tuiparallel.monitor.rows import Style

HOLD = 256  # characters of a sequence cut by a chunk that are kept for the next one
PLAIN = Style()
REPLACEMENT = "\ufffd"

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_BAD = rf"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BIDI}\u2028\u2029\ufeff\ud800-\udfff"
_STRING = r"(?:\x1b[\]P_^X]|[\x90\x98\x9d-\x9f])"
_INSIDE = r"[^\x07\x1b\n\x80-\x9f]*"

_SUSPECT = re.compile(f"[{_BAD}]")
_SEQUENCE = re.compile(
    rf"(?P<csi>(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~]))"
    rf"|(?P<string>{_STRING}{_INSIDE}(?:\x07|\x1b\\|\x9c|(?=[\n\x1b\x80-\x9f])|\Z))"
    rf"|(?P<escape>\x1b[ -/]*[0-~]?)"
    rf"|(?P<bad>[{_BAD}])"
)
_CUT = re.compile(rf"(?:{_STRING}{_INSIDE}\x1b?|(?:\x1b\[|\x9b)[0-?]*[ -/]*|\x1b[ -/]*)\Z")
_STRING_START = re.compile(_STRING)
_STRING_END = re.compile(r"\x07|\x1b\\|\x9c|\n|\x1b|[\x80-\x9b\x9d-\x9f]")

Piece = tuple[str, Style]


class Sanitizer:
    """One stream of foreign text, in chunks; it keeps the style and an unfinished sequence from chunk to chunk."""

    __slots__ = ("_held", "_inside", "dropped", "style")

    def __init__(self) -> None:
        self.style = PLAIN
        self.dropped = 0  # sequences that were left out
        self._held = ""
        self._inside = False  # within a string longer than HOLD, whose end is awaited

    def feed(self, text: str) -> list[Piece]:
        """The safe text of a chunk, in pieces of one style each; newlines and carriage returns are kept."""
        if self._held:
            text, self._held = self._held + text, ""
        if self._inside:
            text = self._after_string(text)
        if _SUSPECT.search(text) is None:
            return [(text, self.style)] if text else []
        if cut := _CUT.search(text):
            self._hold(cut[0])
            text = text[: cut.start()]
        return self._pieces(text)

    def _hold(self, sequence: str) -> None:
        if len(sequence) <= HOLD:
            self._held = sequence
            return
        self.dropped += 1
        self._inside = _STRING_START.match(sequence) is not None

    def _after_string(self, text: str) -> str:
        end = _STRING_END.search(text)
        if end is None:
            return ""
        if end[0] == "\x1b" and end.end() == len(text):  # the first half of ST, perhaps
            self._held = "\x1b"
            return ""
        self._inside = False
        return text[end.end() :] if end[0] in ("\x07", "\x1b\\", "\x9c") else text[end.start() :]

    def _pieces(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        plain: list[str] = []
        at = 0
        for found in _SEQUENCE.finditer(text):
            if found.start() > at:
                plain.append(text[at : found.start()])
            at = found.end()
            if found["bad"] is not None:
                plain.append(REPLACEMENT)
            elif (
                found["final"] == "m" and not found["between"] and found["parameters"][:1] not in ("<", "=", ">", "?")
            ):
                style = sgr(self.style, found["parameters"])
                if style != self.style:
                    if plain:
                        pieces.append(("".join(plain), self.style))
                        plain = []
                    self.style = style
            else:
                self.dropped += 1
        plain.append(text[at:])
        if rest := "".join(plain):
            pieces.append((rest, self.style))
        return pieces


def clean_line(text: str) -> str:
    """A name, label or message as one safe line: no sequence, no control character; a line break shows as a space."""
    if text.isprintable():
        return text
    return clean_block(text).replace("\n", " ")


def clean_block(text: str) -> str:
    """Safe text of several lines: newlines kept, tabs as spaces, carriage returns gone, styles left out."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _SUSPECT.search(text) is not None:
        text = _SEQUENCE.sub(lambda found: REPLACEMENT if found["bad"] is not None else "", text)
    return text.expandtabs(8)


def sgr(style: Style, parameters: str) -> Style:
    """The style after a Select Graphic Rendition; blink and conceal are ignored, faulty parameters too."""
    fields: list[list[str]] = [item.split(":") for item in parameters.split(";")]
    at = 0
    while at < len(fields):
        code = _number(fields[at][0])
        if code in (38, 48):
            colour, used = _colour(fields, at)
            at += used
            if colour is not None:
                style = style._replace(fg=colour) if code == 38 else style._replace(bg=colour)
            continue
        style = _attribute(style, code, fields[at])
        at += 1
    return style


def _attribute(style: Style, code: int, field: list[str]) -> Style:
    match code:
        case 0:
            return PLAIN
        case 1:
            return style._replace(bold=True)
        case 2:
            return style._replace(dim=True)
        case 3:
            return style._replace(italic=True)
        case 4:
            return style._replace(underline=field[1:2] != ["0"])
        case 7:
            return style._replace(reverse=True)
        case 9:
            return style._replace(strike=True)
        case 21:
            return style._replace(underline=True)
        case 22:
            return style._replace(bold=False, dim=False)
        case 23:
            return style._replace(italic=False)
        case 24:
            return style._replace(underline=False)
        case 27:
            return style._replace(reverse=False)
        case 29:
            return style._replace(strike=False)
        case 39:
            return style._replace(fg=None)
        case 49:
            return style._replace(bg=None)
    if 30 <= code <= 37:
        return style._replace(fg=code - 30)
    if 40 <= code <= 47:
        return style._replace(bg=code - 40)
    if 90 <= code <= 97:
        return style._replace(fg=code - 82)
    if 100 <= code <= 107:
        return style._replace(bg=code - 92)
    return style


def _colour(fields: list[list[str]], at: int) -> tuple[int | str | None, int]:
    """The colour that 38 or 48 at this field names (None: faulty), and how many fields it takes."""
    inner = fields[at]
    if len(inner) > 1:  # 38:5:n, 38:2:r:g:b or, with the colour space, 38:2::r:g:b
        numbers = [_number(item) for item in inner[1:]]
        if numbers[0] == 5 and len(numbers) > 1:
            return _palette(numbers[1]), 1
        if numbers[0] == 2 and len(numbers) > 3:
            return _rgb(numbers[2:5] if len(numbers) > 4 else numbers[1:4]), 1
        return None, 1
    numbers = [_number(field[0]) for field in fields[at + 1 : at + 5]]
    if numbers[:1] == [5] and len(numbers) > 1:
        return _palette(numbers[1]), 3
    if numbers[:1] == [2] and len(numbers) > 3:
        return _rgb(numbers[1:4]), 5
    return None, len(fields) - at


def _palette(number: int) -> int | None:
    return number if 0 <= number <= 255 else None


def _rgb(numbers: list[int]) -> str | None:
    if not all(0 <= number <= 255 for number in numbers):
        return None
    return "#{:02x}{:02x}{:02x}".format(*numbers)


def _number(text: str) -> int:
    if not text:
        return 0
    return int(text) if len(text) < 6 and text.isascii() and text.isdecimal() else -1
