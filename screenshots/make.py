"""Draws screenshots/ from the real console on a real cluster: starts it, gives it work, presses keys, exports SVG.

    python screenshots/make.py [name ...]

The workload is seeded: mc_step (many short tasks), fit (a few long ones that print), read_io (one that hangs), flaky
(fails now and then) and chatty (prints a lot).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from tuiparallel import Client, Cluster
from tuiparallel.console.app import Chosen, TuiparApp
from tuiparallel.console.desk import Options
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.monitor.feed import Feed
from tuiparallel.monitor.rows import LinkState
from tuiparallel.monitor.store import ClusterStore

HERE = Path(__file__).parent
KEYS = {"/": "slash", ":": "colon", "?": "question_mark", "+": "plus", "*": "asterisk", " ": "space", "-": "minus",
        "%": "percent_sign", "(": "left_parenthesis", ")": "right_parenthesis", ".": "full_stop", ",": "comma",
        "=": "equals_sign", ">": "greater_than_sign", "[": "left_square_bracket", "]": "right_square_bracket",
        "_": "underscore"}  # fmt: skip
ENGINES = 6
COCKPIT, WIDE, STACK = (160, 48), (200, 50), (80, 24)


# The workload -----------------------------------------------------------------------------------------------------


def mc_step(seed: int) -> float:
    import random
    from threading import Event

    luck = random.Random(seed)
    Event().wait(luck.uniform(0.01, 0.05))
    return luck.random()


def fit(epochs: int) -> str:
    from threading import Event

    for epoch in range(epochs):
        print(f"epoch {epoch} loss {1 / (epoch + 3):.4f}")
        Event().wait(0.4)
    return "fitted"


def read_io(path: str) -> str:
    import select
    import sys

    for attempt in range(600):
        if attempt % 5 == 0:
            print(f"retrying {path} ({attempt // 5 + 1}/120)", file=sys.stderr)
        select.select([], [], [], 1)  # waits in C, as a read from a dead file server does
    return path


def flaky(seed: int) -> int:
    from threading import Event

    Event().wait(0.02)
    if seed % 7 == 0:
        raise ValueError(f"shapes ({seed}, 4) and (3,) do not match")
    if seed % 11 == 0:
        raise ZeroDivisionError("division by zero")
    return seed


def chatty(lines: int) -> None:
    from threading import Event

    for line in range(lines):
        print(f"\x1b[36mstep\x1b[0m {line:4d}  residual \x1b[1m{2.0 ** -(line % 12):.6f}\x1b[0m")
        Event().wait(0.15)


def work(client: Client) -> list[Any]:
    """Everything at once; the AsyncResults, so that they live."""
    balanced = client.load_balanced_view()
    return [
        client[-1].apply_async(read_io, "/nfs/run-7/chunk.dat"),
        client[-2].apply_async(fit, 12),
        client[-2].apply_async(fit, 12),
        client[-2].apply_async(fit, 200),
        client[-3].apply_async(chatty, 2000),
        balanced.map_async(flaky, range(1, 40)),
        balanced.map_async(mc_step, range(6000)),
    ]


# Driving ----------------------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """The app on the cluster, and what the shots share."""

    app: TuiparApp
    pilot: Pilot[Chosen]
    cluster: Cluster

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(KEYS.get(key, key))
        await self.pilot.pause(0.2)

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Waits for a condition."""
        deadline = Deadline(SystemClock(), seconds)
        while not holds():
            if deadline.passed():
                raise TimeoutError(f"{what} did not come about in {seconds:g} s")
            await self.pilot.pause(0.1)


@dataclass(frozen=True)
class Shot:
    """One picture: a size, options, and what is done before it is taken."""

    name: str
    text: str
    size: tuple[int, int] = COCKPIT
    keys: tuple[str, ...] = ()
    typed: str = ""
    then: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    before: Callable[[Stage], Awaitable[None]] | None = None
    settle: float = 1.0


async def hub_lost(stage: Stage) -> None:
    """Stops the hub's process, so that the console sees it gone; it goes on afterwards."""
    import os
    import signal

    os.kill(stage.cluster.pids["hub"], signal.SIGSTOP)
    await stage.until(lambda: stage.app.store.link.state is LinkState.LOST, "the loss of the hub")


async def run_px(stage: Stage) -> None:
    await stage.press("i")
    for cell in ("import os, math", "x = math.sqrt(os.getpid()); x", "print('ready')"):
        await stage.type(cell)
        await stage.press("enter")
        await stage.pilot.pause(0.6)


async def run_map(stage: Stage) -> None:
    await stage.press("i", "ctrl+t")
    await stage.type("%%map x in range(200)")
    await stage.press("ctrl+j")
    await stage.type("x * x")
    await stage.press("f5")


async def run_local(stage: Stage) -> None:
    await stage.press("i", "ctrl+t", "ctrl+t")
    await stage.type("ar = lview.map(abs, range(300))")
    await stage.press("enter")
    await stage.pilot.pause(2.0)
    await stage.type("sum(ar)")
    await stage.press("enter")


SHOTS: tuple[Shot, ...] = (
    Shot("cockpit-dark", "The cockpit: engines, timeline, what runs, output and the REPL"),
    Shot("cockpit-light", "The same, light", options=Options(theme="light")),
    Shot("wide", "200 columns: the inspector is docked", WIDE, ("j", "j", "j", "j")),
    Shot("abort-question", "A question of level 2 before an abort", STACK, ("0", "A")),
    Shot("stack-80x24", "80 × 24: one pane at a time", STACK),
    Shot("timeline-density", "Timeline, a minute: height is the busy share", COCKPIT, ("2", "m")),
    Shot("timeline-zoom", "Timeline, three seconds: each task a bar", COCKPIT, ("2", "m", "+", "+", "+", "h", "h", "h")),
    Shot("tasks-query", "Tasks, filtered by a query", COCKPIT, ("3", "m", "/"), "state:error fn:flaky", ("enter",)),
    Shot("errors", "Errors by kind", COCKPIT, ("4", "m", "enter")),
    Shot("functions", "Functions: where the time goes", COCKPIT, ("5", "m")),
    Shot("inspector-task", "A task: its four stamps as one bar", COCKPIT, ("3", "/"), "state:done", ("enter", "enter")),
    Shot("engine-stack", "Where is it: the stack while it runs", COCKPIT, ("1", "G", "d"), settle=2.0),
    Shot("output", "Output, merged and live", COCKPIT, ("6", "m")),
    Shot("repl-px", "REPL: a cell on every engine", COCKPIT, before=run_px, settle=2.0),
    Shot("repl-map", "REPL: once per element", COCKPIT, before=run_map, settle=3.0),
    Shot("repl-local", "REPL: local Python with views", COCKPIT, before=run_local, settle=3.0),
    Shot("shutdown-dialog", "Shutting down wants the cluster's name", COCKPIT, ("ctrl+x", "X")),
    Shot("palette", "The palette", COCKPIT, ("ctrl+p",), "engine"),
    Shot("help", "Help: the keys of this place", COCKPIT, ("?",)),
    Shot("no-color", "Without colour", COCKPIT, options=Options()),
    Shot("ascii", "In ASCII", COCKPIT, options=Options(ascii=True)),
    Shot("hub-lost", "The hub does not answer: data kept, tried again", COCKPIT, before=hub_lost),
)  # fmt: skip


async def take(shot: Shot, cluster: Cluster, client: Client) -> None:
    """One picture, with a console of its own."""
    import os

    if shot.name == "no-color":
        os.environ["NO_COLOR"] = "1"
    store = ClusterStore()
    app = TuiparApp(client, None, store, shot.options)
    app.feed = Feed(store, cluster.connection_file, app.changed)
    try:
        async with app.run_test(size=shot.size) as pilot:
            stage = Stage(app, pilot, cluster)
            await stage.until(lambda: store.next_number() is not None, "the snapshot")
            await stage.until(lambda: len(store.header(0.0).rates) >= 1 and bool(store.functions()), "some history")
            for _ in range(8):
                app.feed.load_older()
                await pilot.pause(0.25)
            if shot.before is not None:
                await shot.before(stage)
            await stage.press(*shot.keys)
            if shot.typed:
                await stage.type(shot.typed)
                await stage.press(*shot.then)
            await pilot.pause(shot.settle)
            drawn = app.export_screenshot(title=f"tuipar: {shot.name}")
            (HERE / f"{shot.name}.svg").write_text(anonymous(drawn), encoding="utf-8")
    finally:
        os.environ.pop("NO_COLOR", None)
        if shot.before is hub_lost:
            import signal

            os.kill(cluster.pids["hub"], signal.SIGCONT)
    print(f"  {shot.name}")


def anonymous(drawn: str) -> str:
    """A picture without the folder it was drawn in; what stands for it is as long, so nothing shifts."""
    folder = str(HERE.parent)
    return drawn.replace(folder, "~/analysis-of-what-the-lab-measured".ljust(len(folder), "-")[: len(folder)])


def index() -> str:
    """README.md: all pictures with their texts."""
    lines = ["# Screenshots", "", "Drawn from the real console by `python screenshots/make.py`.", ""]
    for shot in SHOTS:
        if (HERE / f"{shot.name}.svg").exists():
            lines += [f"## {shot.name}", "", f"{shot.text}.", "", f"![{shot.name}]({shot.name}.svg)", ""]
    return "\n".join(lines)


async def main(names: list[str]) -> None:
    """Takes the pictures named, or all."""
    wanted = [shot for shot in SHOTS if not names or shot.name in names]
    cluster = Cluster(n=ENGINES)
    client = await asyncio.to_thread(cluster.start_and_connect_sync)
    try:
        kept = work(client)
        await asyncio.sleep(20)  # enough history for the timeline to show something
        for shot in wanted:
            await take(shot, cluster, client)
        del kept
    finally:
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(cluster.stop_cluster_sync)
    (HERE / "README.md").write_text(index(), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
