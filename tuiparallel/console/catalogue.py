"""Every action of the console but the REPL's own: the table that keys, footer, help, palette and docs are made from."""

from __future__ import annotations

from tuiparallel.console.actions import Action, Here, always

PANES = ("now", "engines", "timeline", "tasks", "errors", "functions", "output", "events", "repl")
"""The panes by their number."""


def _acting(here: Here) -> str | None:
    if here.readonly:
        return "this console is read-only; start tuipar without --readonly"
    if not here.connected:
        return "the hub does not answer; it is tried again by itself"
    return None


def _on_work(here: Here) -> str | None:
    if (reason := _acting(here)) is not None:
        return reason
    if here.kind not in ("engine", "task", "batch", "client", "function") or here.empty:
        return "nothing is selected here; go to engines (1) or tasks (3)"
    return None


def _on_running(here: Here) -> str | None:
    if (reason := _acting(here)) is not None:
        return reason
    if here.kind not in ("engine", "task", "batch", "client", "function") or here.empty:
        return "nothing that runs is selected; go to engines (1) or tasks (3)"
    return None


def _on_ended(here: Here) -> str | None:
    if (reason := _acting(here)) is not None:
        return reason
    if here.kind not in ("task", "failure", "batch") or here.empty:
        return "no task is selected; go to tasks (3) or errors (4)"
    return None


def _on_engines(here: Here) -> str | None:
    if (reason := _acting(here)) is not None:
        return reason
    if here.kind != "engine" or here.empty:
        return "no engine is selected; go to engines (1)"
    return None


def _asks_engine(here: Here) -> str | None:
    if not here.connected:
        return "the hub does not answer; it is tried again by itself"
    if here.kind not in ("engine", "task") or here.empty:
        return "no engine or task is selected; go to engines (1)"
    return None


def _a_row(here: Here) -> str | None:
    return "nothing is selected here" if here.empty else None


def _some_engines(here: Here) -> str | None:
    if (reason := _acting(here)) is not None:
        return reason
    return None if here.engines else "there is no engine; ctrl+x + starts some"


_PANE_HELP = (
    "What runs, how far it is, when it is done; warnings; who else is here",
    "Every engine: what it runs, for how long, its queue and vitals",
    "Every task as a bar on one time axis, a row per engine",
    "Every task, newest first, with its wait, run and return times",
    "Failures by kind, with counts, engines and tracebacks",
    "Where the time goes: each function's counts and times",
    "What the engines print, merged and live",
    "What happened to the cluster, and what this console did",
    "Python on the engines: the prompt says where it goes",
)

ACTIONS: tuple[Action, ...] = (
    *(
        Action(f"pane.{name}", f"Go to {name.capitalize() if name != 'repl' else 'REPL'}", (str(number),),
               "everywhere", text, always, verb=name)
        for number, (name, text) in enumerate(zip(PANES, _PANE_HELP, strict=True))
    ),
    Action("pane.next", "Next pane", ("tab",), "everywhere", "Go to the next pane on screen", always),
    Action("pane.previous", "Previous pane", ("shift+tab",), "everywhere", "Go to the pane before", always),
    Action("help", "Help", ("?",), "everywhere", "The keys of this place, then of everywhere", always, footer="help"),
    Action("command", "Command line", (":",), "everywhere", "Type a command: a noun with a filter, or a verb", always,
           footer="command"),
    Action("filter", "Filter", ("/",), "everywhere", "Show only the rows a query matches", always, footer="filter"),
    Action("repl.focus", "Go to the REPL", ("i", "ctrl+backslash"), "everywhere", "Type Python for the engines", always,
           footer="REPL"),
    Action("back", "Back", ("[",), "everywhere", "Go to where you were before", always),
    Action("forward", "Forward", ("]",), "everywhere", "Undo going back", always),
    Action("maximise", "Maximise", ("m",), "everywhere", "Give this pane half, then all of the screen, then less again",
           always),
    Action("palette", "Command palette", ("ctrl+p",), "everywhere", "Find an action, engine, function or error by name",
           always, footer="palette"),
    Action("freeze", "Freeze", ("z",), "everywhere", "Stop drawing news in this pane; nothing is lost", always),
    Action("mouse", "Mouse", ("%",), "everywhere", "Give the mouse to the terminal, or take it back", always),
    Action("leave", "Leave", ("q", "ctrl+q"), "everywhere", "Leave the console; the cluster goes on", always,
           footer="quit"),
    Action("health", "Health", (), "everywhere", "The console's own state: rates, lag, every limit as used/limit",
           always),
    Action("escape", "Up", ("escape",), "lists", "Clear the marks, then the filter; then go back", always),
    Action("down", "Down", ("j", "down"), "lists", "Go to the next row", always),
    Action("up", "Up a row", ("k", "up"), "lists", "Go to the row before", always),
    Action("top", "First row", ("g", "home"), "lists", "Go to the first row", always),
    Action("bottom", "Last row", ("G", "end"), "lists", "Go to the last row, and stay with it", always),
    Action("page.down", "Page down", ("pagedown",), "lists", "A page down", always),
    Action("page.up", "Page up", ("pageup",), "lists", "A page up", always),
    Action("half.down", "Half a page down", ("ctrl+d",), "lists", "Half a page down", always),
    Action("half.up", "Half a page up", ("ctrl+u",), "lists", "Half a page up", always),
    Action("inspect", "Inspect", ("enter",), "lists", "All there is to know about this row", _a_row),
    Action("follow", "Follow", ("f",), "lists", "Stay with the newest row, or stop that", always),
    Action("mark", "Mark", ("space",), "lists", "Mark this row for an action, or unmark it", _a_row),
    Action("range", "Mark a range", ("V",), "lists", "Mark all rows from here to where V is pressed again", _a_row),
    Action("mark.all", "Mark all that match", ("*",), "lists", "Mark every row the filter shows", always),
    Action("problem.next", "Next problem", ("n",), "lists", "Go to the next warning or failure", always),
    Action("problem.previous", "Previous problem", ("N",), "lists", "Go to the warning or failure before", always),
    Action("sort", "Sort", ("o",), "lists", "Sort by the next column", always),
    Action("sort.reverse", "Reverse the order", ("O",), "lists", "Sort the other way round", always),
    Action("traceback", "Traceback", ("t",), "lists", "The newest traceback of this row", _a_row),
    Action("output.of", "Its output", ("p",), "lists", "What this row's engine or task printed", _a_row),
    Action("timeline.of", "In the timeline", ("x",), "lists", "Show this row in the timeline", _a_row),
    Action("pager", "Pager", ("e",), "lists", "Read this pane's rows in $PAGER", always),
    Action("write", "Write to a file", ("w",), "lists", "Write the rows this pane shows to a file", always),
    Action("where", "Where is it", ("d",), "engines", "The stack of what this engine runs, while it runs", _asks_engine,
           python="rc[{id}].stack()"),
    Action("where.inspected", "Where is it", ("d",), "inspector", "The stack of what runs there, while it runs",
           _asks_engine, verb="where"),
    Action("where.task", "Where is it", ("d",), "tasks", "The stack of the engine that runs this task", _asks_engine,
           verb="where"),
    Action("zoom.in", "Zoom in", ("+",), "timeline", "Half as much time on the axis", always),
    Action("zoom.out", "Zoom out", ("-",), "timeline", "Twice as much time on the axis", always),
    Action("pan.left", "Earlier", ("h", "left"), "timeline", "Move the time cursor back", always),
    Action("pan.right", "Later", ("l", "right"), "timeline", "Move the time cursor on", always),
    Action("live", "Live", ("end",), "timeline", "Follow the newest tasks", always),
    Action("oldest", "Oldest", ("home",), "timeline", "Go to the oldest that is kept", always),
    Action("walk.older", "Older traceback", ("l", "right"), "inspector", "The traceback of the instance before", always),
    Action("walk.newer", "Newer traceback", ("h", "left"), "inspector", "The traceback of the instance after", always),
    Action("wrap", "Wrap long lines", ("W",), "output", "Long lines go on below, or end at the edge", always),
    Action("abort", "Abort queued tasks", ("A",), "lists", "Queued and held tasks end as aborted; running ones go on",
           _on_work, 1, "rc.abort({ids})", footer="abort…"),
    Action("interrupt", "Interrupt running tasks", ("I",), "lists", "KeyboardInterrupt in the running task; its queue stays",
           _on_running, 1, "rc.interrupt({id})", footer="interrupt…"),
    Action("again", "Try again", ("T",), "lists", "Submit these tasks once more, with new ids", _on_ended, 1,
           "rc.resubmit({ids})"),
    Action("clear", "Clear namespaces", ("C",), "lists", "Empty the engine's names, between two tasks", _on_engines, 2,
           "rc.clear(targets={engines})"),
    Action("restart", "Restart engines", ("R",), "lists", "End the process and start another; its names are lost",
           _on_engines, 2, "rc.restart_engines(targets={engines})"),
    Action("stop", "Stop engines", ("S",), "lists", "End the engine's process for good", _on_engines, 2,
           "rc.shutdown(targets={engines})"),
    Action("start", "Start engines", ("+",), "cluster", "Start one more engine; `:start 4` starts four", _acting, 1,
           "rc.scale(len(rc) + {n})"),
    Action("scale", "Scale", ("s",), "cluster", "Bring the number of engines to n: `:scale 8`", _acting, 1, "rc.scale({n})"),
    Action("purge", "Purge results", ("p",), "cluster", "The hub forgets every result it keeps", _acting, 2,
           "rc.purge_results('all')"),
    Action("clear.all", "Clear all namespaces", ("C",), "cluster", "Empty the names of every engine", _some_engines, 3,
           "rc.clear()"),
    Action("restart.all", "Restart all engines", ("R",), "cluster", "End every engine's process and start others",
           _some_engines, 3, "rc.restart_engines()"),
    Action("shutdown", "Shut the cluster down", ("X",), "cluster", "End hub, supervisors and engines; the history stays",
           _acting, 3, "rc.shutdown(hub=True)"),
    Action("copy.id", "Copy the id", ("i",), "copy", "Copy the id of this row", _a_row),
    Action("copy.row", "Copy the row", ("r",), "copy", "Copy the row as text", _a_row),
    Action("copy.traceback", "Copy the traceback", ("t",), "copy", "Copy the newest traceback of this row", _a_row),
    Action("copy.python", "Copy as Python", ("p",), "copy", "Copy the Python that gets this row", _a_row),
    Action("theme", "Next theme", (), "everywhere", "Dark, light, high contrast, ansi: `:theme light`", always),
    Action("clusters", "Other clusters", (), "everywhere", "Go to another running cluster, or start one", always),
    Action("older", "Older history", (), "everywhere", "Ask the hub for one more page of ended tasks", always),
    Action("forget", "Forget dead engines", (), "everywhere", "Take dead engines off the list: `:forget dead`", always),
)  # fmt: skip
