"""The signs the console draws with: one cell wide each, outside Unicode's emoji list, each with an ASCII twin."""

from __future__ import annotations

from dataclasses import dataclass

from tuiparallel.monitor.rows import Phase
from tuiparallel.wire.states import EngineState


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs. Every string in it is as many cells wide as its twin in the other set."""

    name: str
    cursor: str
    mark: str
    warning: str
    new: str
    live: str
    connecting: str
    stale: str
    lost: str
    frozen: str
    failure: str
    done: str
    running: str
    ellipsis: str
    rule: str
    tee_down: str
    tee_up: str
    cross: str
    bar: str
    prompt: str
    times: str
    arrow: str
    plus_minus: str
    thumb: str
    faint: str
    unknown: str
    heights: str  # blank, then ascending eighths
    lefts: str  # blank, then one to seven eighths from the left, then full
    engines: dict[EngineState, str]
    tasks: dict[Phase, str]


ENGINE_LETTERS: dict[EngineState, str] = {
    EngineState.STARTING: "s",
    EngineState.IDLE: "i",
    EngineState.BUSY: "b",
    EngineState.UNRESPONSIVE: "u",
    EngineState.LIMBO: "l",
    EngineState.LEAVING: "v",
    EngineState.RESTARTING: "r",
    EngineState.DEAD: "x",
}

UNICODE = Glyphs(
    name="unicode", cursor="›", mark="+", warning="!", new="·", live="●", connecting="◌", stale="~", lost="†",
    frozen="=", failure="✗", done="✓", running="▸", ellipsis="…", rule="─", tee_down="┬", tee_up="┴", cross="┼",
    bar="│", prompt="▸", times="×", arrow="→", plus_minus="±", thumb="▐", faint="·", unknown="░",
    heights=" ▁▂▃▄▅▆▇█", lefts=" ▏▎▍▌▋▊▉█",
    engines={
        EngineState.STARTING: "◌", EngineState.IDLE: "○", EngineState.BUSY: "●", EngineState.UNRESPONSIVE: "~",
        EngineState.LIMBO: "?", EngineState.LEAVING: "◇", EngineState.RESTARTING: "↻", EngineState.DEAD: "†",
    },
    tasks={
        Phase.QUEUED: "·", Phase.WAITING: "¦", Phase.HELD: "▹", Phase.RUNNING: "▸", Phase.DONE: "✓", Phase.ERROR: "✗", Phase.LOST: "†",
        Phase.ABORTED: "⊘", Phase.EXPIRED: "∅",
    },
)  # fmt: skip

ASCII = Glyphs(
    name="ascii", cursor=">", mark="+", warning="!", new=".", live="*", connecting="o", stale="~", lost="x",
    frozen="=", failure="!", done="v", running=">", ellipsis="~", rule="-", tee_down="+", tee_up="+", cross="+",
    bar="|", prompt=">", times="x", arrow=">", plus_minus="~", thumb="#", faint=".", unknown="?",
    heights=" ..--==##", lefts="    =====",
    engines={
        EngineState.STARTING: "o", EngineState.IDLE: "-", EngineState.BUSY: "*", EngineState.UNRESPONSIVE: "~",
        EngineState.LIMBO: "?", EngineState.LEAVING: "<", EngineState.RESTARTING: "@", EngineState.DEAD: "x",
    },
    tasks={
        Phase.QUEUED: ".", Phase.WAITING: ":", Phase.HELD: ")", Phase.RUNNING: ">", Phase.DONE: "v", Phase.ERROR: "!", Phase.LOST: "x",
        Phase.ABORTED: "/", Phase.EXPIRED: "0",
    },
)  # fmt: skip

_PLAIN = str.maketrans({
    "›": ">", "●": "*", "○": "-", "◌": "o", "†": "x", "✗": "!", "✓": "v", "▸": ">", "…": "~", "─": "-", "│": "|",
    "┬": "+", "┴": "+", "┼": "+", "×": "x", "→": ">", "±": "~", "·": ".", "—": "-", "⏎": "<", "↻": "@", "◇": "<",
    "█": "=", "▉": "=", "▊": "=", "▋": "=", "▌": "=", "▍": "-", "▎": "-", "▏": "-",
    "▁": ".", "▂": ".", "▃": "-", "▄": "-", "▅": "=", "▆": "=", "▇": "#", "░": "?", "’": "'", "“": '"', "”": '"',
})  # fmt: skip


def plain(text: str) -> str:
    """Our own sentences in ASCII, cell for cell; what is foreign and not in the table becomes '?'."""
    return text.translate(_PLAIN).encode("ascii", "replace").decode()


def meter(glyphs: Glyphs, fraction: float, width: int) -> str:
    """A bar of `width` cells, filled from the left in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    text = glyphs.lefts[8] * full
    if rest and full < width:
        text += glyphs.lefts[rest]
    return text.ljust(width)


def spark(glyphs: Glyphs, values: list[float], width: int, top: float | None = None) -> str:
    """A line of heights for the newest `width` values, right-aligned; the scale ends at `top`, else at their maximum."""
    shown = values[-width:]
    scale = top if top is not None else max(shown, default=0.0)
    if scale <= 0:
        return (glyphs.heights[1] * len(shown)).rjust(width)
    marks = (glyphs.heights[1 + min(7, int(max(0.0, value) / scale * 7.999))] for value in shown)
    return "".join(marks).rjust(width)
