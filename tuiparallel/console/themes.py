"""The four themes, as semantic variables: a view names what a thing is ($engine-busy, $fn-0), never a colour."""

from __future__ import annotations

from textual.theme import Theme

HUES = 10
"""How many hues functions share. Red is none of them: red is failure only."""

SEMANTIC = (
    "text", "dim", "strong", "heading", "trend", "rule", "rule-focus", "title", "title-focus", "key", "link", "meter",
    "warn", "failure", "ok", "unknown", "cursor", "marked", "fresh", "question", "badge",
    "engine-starting", "engine-idle", "engine-busy", "engine-unresponsive", "engine-limbo", "engine-leaving",
    "engine-restarting", "engine-dead",
    "task-queued", "task-waiting", "task-held", "task-running", "task-done", "task-error", "task-lost",
    "task-aborted", "task-expired",
    *(f"fn-{hue}" for hue in range(HUES)),
)  # fmt: skip
"""Every variable a theme of the console has, each a colour."""

BACKGROUNDS = frozenset({"cursor", "marked", "question", "badge"})
"""The variables that lie behind text."""


def _variables(
    *, text: str, dim: str, strong: str, trend: str, rule: str, focus: str, accent: str, warn: str, failure: str, ok: str,
    faint: str, cursor: str, marked: str, question: str, badge: str, hues: tuple[str, ...],
) -> dict[str, str]:  # fmt: skip
    colours = {
        "text": text, "dim": dim, "strong": strong, "heading": dim, "trend": trend, "rule": rule, "rule-focus": focus,
        "title": text, "title-focus": focus, "key": accent, "link": accent, "meter": accent, "warn": warn,
        "failure": failure, "ok": ok, "unknown": faint, "cursor": cursor, "marked": marked, "fresh": accent,
        "question": question, "badge": badge,
        "engine-starting": dim, "engine-idle": dim, "engine-busy": ok, "engine-unresponsive": warn,
        "engine-limbo": warn, "engine-leaving": dim, "engine-restarting": warn, "engine-dead": failure,
        "task-queued": dim, "task-waiting": dim, "task-held": text, "task-running": ok, "task-done": dim,
        "task-error": failure, "task-lost": failure, "task-aborted": warn, "task-expired": warn,
    }  # fmt: skip
    colours.update({f"fn-{hue}": colour for hue, colour in enumerate(hues)})
    return colours


_DARK = _variables(
    text="#c9d1dc", dim="#8893a4", strong="#f2f5f9", trend="#55749c", rule="#465064", focus="#6fb3ff", accent="#6fb3ff", warn="#e8b341",
    failure="#ff6b62", ok="#63c58a", faint="#6c7789", cursor="#263349", marked="#3a3355", question="#33405a",
    badge="#7a3b12",
    hues=("#5b93d9", "#cf9f45", "#3fae93", "#ab82d6", "#86ad52", "#d387a9", "#54b5cf", "#a98a66", "#c4b982", "#8479dc"),
)  # fmt: skip
_LIGHT = _variables(
    text="#2a313b", dim="#5b6470", strong="#0b0e13", trend="#5f83b8", rule="#a9b2bf", focus="#0a5bb5", accent="#0a5bb5", warn="#8a5a00",
    failure="#c01f1f", ok="#17703a", faint="#7b8594", cursor="#d3e3f8", marked="#e6dcf7", question="#dbe6f5",
    badge="#ffd7bf",
    hues=("#1a62c4", "#a06a00", "#007a62", "#8434c4", "#4c7a00", "#b43a7c", "#007f9f", "#7a5728", "#5d5a00", "#4a3ac0"),
)  # fmt: skip
_CONTRAST = _variables(
    text="#ffffff", dim="#d0d0d0", strong="#ffffff", trend="#8fb8e8", rule="#a0a0a0", focus="#ffff00", accent="#7fdfff", warn="#ffd75f",
    failure="#ff8080", ok="#80ff9f", faint="#b0b0b0", cursor="#003a80", marked="#50308a", question="#003a80",
    badge="#803000",
    hues=("#6fb5ff", "#ffc94d", "#3fe0b8", "#d9a8ff", "#b4f05a", "#ffb0d5", "#7ae6ff", "#d9ac78", "#fff6c0", "#a99cff"),
)  # fmt: skip
_ANSI = _variables(
    text="ansi_default", dim="ansi_white", strong="ansi_bright_white", trend="ansi_blue", rule="ansi_bright_black", focus="ansi_bright_cyan",
    accent="ansi_cyan", warn="ansi_yellow", failure="ansi_bright_red", ok="ansi_green", faint="ansi_bright_black",
    cursor="ansi_blue", marked="ansi_magenta", question="ansi_blue", badge="ansi_red",
    hues=(
        "ansi_bright_blue", "ansi_yellow", "ansi_cyan", "ansi_magenta", "ansi_green", "ansi_bright_magenta",
        "ansi_bright_cyan", "ansi_white", "ansi_bright_yellow", "ansi_bright_green",
    ),
)  # fmt: skip


def _theme(name: str, background: str, surface: str, panel: str, colours: dict[str, str], *, dark: bool) -> Theme:
    return Theme(
        name=name, primary=colours["link"], secondary=colours["dim"], accent=colours["key"], warning=colours["warn"],
        error=colours["failure"], success=colours["ok"], foreground=colours["text"], background=background,
        surface=surface, panel=panel, dark=dark, ansi=background.startswith("ansi"),
        variables=colours | {
            "border": colours["rule-focus"], "border-blurred": colours["rule"], "scrollbar": colours["rule"],
            "scrollbar-background": background, "input-selection-background": colours["marked"],
            "ansi-background": "ansi_black", "ansi-foreground": "ansi_white",
            "block-cursor-background": colours["cursor"], "block-cursor-foreground": colours["strong"],
        },
    )  # fmt: skip


THEMES: dict[str, Theme] = {
    theme.name: theme
    for theme in (
        _theme("dark", "#12161d", "#181d26", "#1d2430", _DARK, dark=True),
        _theme("light", "#f8f9fb", "#eef1f5", "#e6eaf0", _LIGHT, dark=False),
        _theme("contrast", "#000000", "#000000", "#101010", _CONTRAST, dark=True),
        _theme("ansi", "ansi_default", "ansi_default", "ansi_default", _ANSI, dark=True),
    )
}


def hue_of(function: str) -> int:
    """The hue of a function: a stable hash of its name, the same in every pane, process and year."""
    state = 2166136261
    for octet in function.encode("utf-8", "replace"):
        state = (state ^ octet) * 16777619 & 0xFFFFFFFF
    return (state ^ state >> 15) % HUES
