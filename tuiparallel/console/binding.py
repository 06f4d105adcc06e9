"""What each action of the catalogue does, bound to the main screen's panes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tuiparallel.console import figures
from tuiparallel.console.acting import pager_command
from tuiparallel.console.catalogue import PANES
from tuiparallel.console.copying import copy, python_of, row_text, traceback_of
from tuiparallel.console.lineview import LineView
from tuiparallel.console.paint import Cells
from tuiparallel.console.screens.help import HelpScreen, TextScreen
from tuiparallel.console.themes import THEMES
from tuiparallel.monitor.rows import OutputFilter

if TYPE_CHECKING:
    from tuiparallel.console.app import TuiparApp
    from tuiparallel.console.screens.main import MainScreen

ACTING = ("abort", "interrupt", "again", "clear", "restart", "stop", "start", "purge", "clear.all", "restart.all",
          "shutdown")  # fmt: skip


def bind_all(app: TuiparApp, main: MainScreen) -> None:
    """Says what every action does."""
    registry = app.registry
    for name in PANES:
        registry.bind(f"pane.{name}", _going(main, name))
    for id in ACTING:
        registry.bind(id, _asking(app, id))
    for id, run in (_everywhere(app, main) | _lists(app, main) | _timeline(app, main) | _copying(app, main)).items():
        registry.bind(id, run)


def _going(main: MainScreen, name: str) -> Callable[[], None]:
    return lambda: main.go(name)


def _asking(app: TuiparApp, id: str) -> Callable[[], None]:
    return lambda: app.acting.ask(id)


def _everywhere(app: TuiparApp, main: MainScreen) -> dict[str, Callable[[], None]]:
    def help_() -> None:
        here = main.here()
        places = (main.current, "lists", "everywhere") if main.view is not None else ("repl", "everywhere")

        def chosen(id: str | None) -> None:
            if id is not None:
                main.perform(id)

        app.push_screen(HelpScreen(app.desk, here, places), chosen)

    def freeze() -> None:
        view = main.view
        if view is None:
            return
        if view.frozen_since is None:
            view.frozen_since = app.clock.monotonic()
        else:
            view.frozen_since = None
            view.pull_now(force=True)
        main.refresh_lines()

    def theme() -> None:
        names = list(THEMES)
        app.theme = names[(names.index(app.theme) + 1) % len(names)] if app.theme in names else names[0]
        app.say(f"theme {app.theme}")

    def forget() -> None:
        app.say(f"{figures.plural(len(app.store.forget_dead()), 'dead engine')} forgotten")

    return {
        "pane.next": lambda: main.neighbour(1),
        "pane.previous": lambda: main.neighbour(-1),
        "repl.focus": lambda: main.go("repl"),
        "back": lambda: _back(main),
        "forward": lambda: _forward(main),
        "maximise": main.cycle_zoom,
        "help": help_,
        "command": lambda: app.commands.open(":"),
        "filter": lambda: app.commands.open("/"),
        "palette": app.action_command_palette,
        "freeze": freeze,
        "mouse": lambda: _mouse(app, main),
        "leave": lambda: _leave(app),
        "health": lambda: _health(app),
        "theme": theme,
        "forget": forget,
        "clusters": lambda: app.pick("The cluster on screen runs on."),
        "older": lambda: _older(app),
        "scale": lambda: app.commands.open(":", "scale "),
    }


def _back(main: MainScreen) -> None:
    if main.current == "inspector" and main.inspector.back():
        return
    main.return_to(main.trail.back(main.place()))


def _forward(main: MainScreen) -> None:
    if main.current == "inspector" and main.inspector.forward():
        return
    main.return_to(main.trail.forward(main.place()))


def _mouse(app: TuiparApp, main: MainScreen) -> None:
    main.footer.mouse = not main.footer.mouse
    app.set_mouse(main.footer.mouse)
    app.say(f"the mouse is {'ours' if main.footer.mouse else 'the terminal’s: it selects text'}")
    main.refresh_lines()


def _leave(app: TuiparApp) -> None:
    app.leave()


def _older(app: TuiparApp) -> None:
    if app.feed is None or app.store.history_complete():
        app.say("all that the hub still has is loaded")
        return
    app.feed.load_older()
    app.say("asked the hub for one more page of history")


def _health(app: TuiparApp) -> None:
    now = app.clock.time()
    health, header = app.store.health(now), app.store.header(now)
    lines: list[Cells] = [
        [(f"{'hub':<12}", "dim"), (f"pid {header.pid}, boot {header.boots}, durability {header.durability}", "")],
        [(f"{'link':<12}", "dim"), (f"{header.link.state}, lag {figures.duration(header.lag)}, ", ""),
         (f"skipped {health.skipped:,}", "warn" if health.skipped else "")],
        [(f"{'messages':<12}", "dim"), (f"{health.messages:,}", "")],
        [(f"{'escapes':<12}", "dim"), (f"{health.dropped_controls:,} control sequences removed from foreign text", "")],
        [(f"{'drawn':<12}", "dim"), (f"woken {app.wake.calls if app.wake else 0:,} times by the feed", "")],
        [],
    ]  # fmt: skip
    for title, rows in (("this console", health.ours), ("the hub", health.hub)):
        lines.append([(title, "bold title-focus")])
        for row in rows:
            share = row.used / row.limit if row.limit else 0.0
            style = "warn" if share > 0.8 else ""
            lines.append([(f"  {row.name:<24}", "dim"), (f"{row.used:>14,} / {row.limit:<14,}", style),
                          (f"{figures.percent(share):>4}", style)])  # fmt: skip
    app.push_screen(TextScreen(app.desk, "Health", lines))


def _lists(app: TuiparApp, main: MainScreen) -> dict[str, Callable[[], None]]:
    def on_view(run: Callable[[LineView], object]) -> Callable[[], None]:
        def do() -> None:
            if main.view is not None:
                run(main.view)

        return do

    def say_on_view(run: Callable[[LineView], str]) -> Callable[[], None]:
        def do() -> None:
            if main.view is not None:
                app.say(run(main.view) or "this pane has one order")

        return do

    def problem(step: int) -> Callable[[], None]:
        return lambda: _next_problem(app, main, step)

    return {
        "down": on_view(lambda view: view.move(1)),
        "up": on_view(lambda view: view.move(-1)),
        "top": on_view(lambda view: view.move_to(0, follow=view.newest_first)),
        "bottom": on_view(lambda view: view.move_to(view.count(), follow=view.pane in ("output", "events"))),
        "page.down": on_view(lambda view: view.scroll_rows(max(1, view.room - 1))),
        "page.up": on_view(lambda view: view.scroll_rows(-max(1, view.room - 1))),
        "half.down": on_view(lambda view: view.scroll_rows(max(1, view.room // 2))),
        "half.up": on_view(lambda view: view.scroll_rows(-max(1, view.room // 2))),
        "mark": on_view(lambda view: view.toggle_mark()),
        "range": on_view(lambda view: view.mark_range()),
        "mark.all": on_view(lambda view: view.mark_all()),
        "follow": on_view(_follow),
        "sort": say_on_view(lambda view: view.sort_next()),
        "sort.reverse": say_on_view(lambda view: view.sort_reversed()),
        "problem.next": problem(1),
        "problem.previous": problem(-1),
        "inspect": lambda: _inspect(app, main),
        "escape": lambda: _escape(main),
        "traceback": lambda: _traceback(app, main),
        "output.of": lambda: _output_of(app, main),
        "timeline.of": lambda: _timeline_of(app, main),
        "pager": lambda: _pager(app, main),
        "write": lambda: _write(app, main),
        "wrap": lambda: _wrap(app, main),
        "where": app.acting.where,
        "where.task": app.acting.where,
        "where.inspected": app.acting.where,
    }


def _follow(view: LineView) -> None:
    view.following = not view.following
    view.pull_now(force=True)


def _next_problem(app: TuiparApp, main: MainScreen, step: int) -> None:
    view = main.view
    if view is not None and view.next_problem(step):
        return
    if view is not main.engines and main.engines.count() and main.engines.next_problem(step):
        main.go("engines")
        return
    app.say("no problem here")


def _inspect(app: TuiparApp, main: MainScreen) -> None:
    if main.current == "errors" and main.errors.toggle():
        return
    if main.current == "inspector":
        link = main.inspector.link()
        if link is not None:
            main.inspector.look_at(*link)
        return
    here = main.here()
    if not here.ids or here.kind not in ("engine", "task", "failure", "function", "batch", "client"):
        app.say("there is no more to see of this row")
        return
    if here.kind == "task" and len(here.ids) == 1:
        task = app.store.task(here.ids[0]) if isinstance(here.ids[0], int) else None
        if task is not None and task.count > 1:
            app.say(f"this row stands for {task.count:,} tasks; the inspector shows their means")
    main.inspect(here.kind, here.ids[0])


def _escape(main: MainScreen) -> None:
    view = main.view
    if view is None or view.clear_marks():
        return
    if view.filter_text:
        view.filter_by("")
    elif main.zoom.get(main.current, "normal") != "normal":
        main.zoom[main.current] = "normal"
        main.rearrange()
    elif main.current == "inspector":
        main.return_to(main.trail.back(main.place()))


def _traceback(app: TuiparApp, main: MainScreen) -> None:
    here = main.here()
    if here.kind == "failure" and main.current != "inspector":
        index = main.errors.find(here.ids[0])
        if index is not None:
            main.inspect("failure", main.errors.rows[index].kind.key)
            return
    text = traceback_of(app.desk, here)
    if text is None:
        app.say("nothing here has failed; errors (4) has what did")
        return
    lines: list[Cells] = [[(line, "")] for line in text.splitlines()]
    app.push_screen(TextScreen(app.desk, "Traceback", lines))


def _output_of(app: TuiparApp, main: MainScreen) -> None:
    here = main.here()
    ids = frozenset(id for id in here.ids if isinstance(id, int))
    match here.kind:
        case "engine":
            where = OutputFilter(engines=ids)
        case "task":
            where = OutputFilter(tasks=ids)
        case _:
            app.say("output is told apart by engine and task: go to engines (1) or tasks (3)")
            return
    main.go("output")
    main.output.see(where)


def _timeline_of(app: TuiparApp, main: MainScreen) -> None:
    here = main.here()
    key = here.ids[0] if here.ids else None
    if here.kind == "task" and isinstance(key, int):
        task = app.store.task(key)
        if task is None or task.started is None:
            app.say("this task has not started, so it has no place in the timeline")
            return
        main.go("timeline")
        main.timeline.show(task.started, task.engine)
    elif here.kind == "engine" and isinstance(key, int):
        main.go("timeline")
        main.timeline.go_to(key)
    else:
        app.say("only an engine or a task has a place in the timeline")


def _rows_as_text(view: LineView) -> str:
    return "\n".join(row_text(view, index) for index in range(view.count())) + "\n"


def _write(app: TuiparApp, main: MainScreen) -> None:
    view = main.view
    if view is None:
        return
    cluster = app.store.header(app.clock.time()).cluster or "cluster"
    path = Path.cwd() / f"{cluster}-{view.pane}-{figures.clock(app.clock.time()).replace(':', '')}.txt"
    text, rows = _rows_as_text(view), view.count()
    app.calls.call(
        lambda: path.write_text(text, encoding="utf-8"),
        lambda _: app.say(f"{figures.plural(rows, 'row')} written to {path}"),
        lambda error: app.say(f"{path} was not written: {error}; start tuipar in a folder you may write to", "error"),
    )


def _pager(app: TuiparApp, main: MainScreen) -> None:
    view = main.view
    if view is None:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="tuipar-", encoding="utf-8") as file:
        file.write(_rows_as_text(view))
        file.flush()
        try:
            with app.suspend():
                subprocess.run(f"{pager_command()} {file.name}", shell=True, check=False)
        except Exception as error:  # the terminal may not be one that can be left
            app.say(f"the pager did not start: {error}; set $PAGER", "error")
    app.refresh()


def _wrap(app: TuiparApp, main: MainScreen) -> None:
    main.output.wrap(not main.output.wrapped)
    app.say("long lines go on below" if main.output.wrapped else "long lines end at the edge")


def _timeline(app: TuiparApp, main: MainScreen) -> dict[str, Callable[[], None]]:
    view = main.timeline
    return {
        "zoom.in": lambda: view.zoom(1),
        "zoom.out": lambda: view.zoom(-1),
        "pan.left": lambda: view.pan(-1),
        "pan.right": lambda: view.pan(1),
        "live": view.go_live,
        "oldest": lambda: _oldest(app, main),
        "walk.older": lambda: main.inspector.walk(1),
        "walk.newer": lambda: main.inspector.walk(-1),
    }


def _oldest(app: TuiparApp, main: MainScreen) -> None:
    main.timeline.go_oldest()
    if app.feed is not None and not app.store.history_complete():
        app.feed.load_older()


def _copying(app: TuiparApp, main: MainScreen) -> dict[str, Callable[[], None]]:
    def give(text: str | None, what: str) -> None:
        if not text:
            app.say(f"there is no {what} here")
            return
        app.say(f"{what} copied, {copy(app, text)}")

    def the_id() -> None:
        here = main.here()
        names = [
            app.store.msg_id(id) if here.kind in ("task", "batch") and isinstance(id, int) else str(id)
            for id in here.ids
        ]
        give("\n".join(names), "id")

    def the_row() -> None:
        view = main.view
        give(row_text(view, view._at) if view is not None and view.count() else None, "row")

    return {
        "copy.id": the_id,
        "copy.row": the_row,
        "copy.traceback": lambda: give(traceback_of(app.desk, main.here()), "traceback"),
        "copy.python": lambda: give(python_of(app.desk, main), "Python line"),
    }
