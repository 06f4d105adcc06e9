"""The laws of the app: nothing waits on the UI thread, one wake-up is pending, hidden panes rest, a failed pane stays alone."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.console.driving import console, small_cluster
from tests.console.fake import FakeCluster, busy_cluster
from tuiparallel.console.calls import Calls, work_behind
from tuiparallel.console.lineview import LineView
from tuiparallel.console.pulls import Wake
from tuiparallel.console.views.engines import EnginesView
from tuiparallel.monitor.rows import EngineView

ROOM = Path(__file__).parents[2] / "tuiparallel" / "console"


async def test_a_client_that_blocks_for_ever_delays_no_key() -> None:
    """L4."""
    cluster = small_cluster()
    async with console(cluster) as it:
        never = threading.Event()
        it.app.calls.call(never.wait, lambda _: None, lambda _: None)
        it.app.calls.ask("x", never.wait, lambda _: None, lambda _: None)
        await it.pilot.press("j", "3", "1", "j")
        assert it.app.main.engines.cursor == 2
        never.set()
        await it.app.idle()


async def test_one_wake_up_is_pending_however_much_comes() -> None:
    """L5."""
    woken: list[int] = []
    wake = Wake(asyncio.get_running_loop(), lambda: woken.append(1))

    def flood() -> None:
        for _ in range(10_000):
            wake()

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(woken) == 1
    wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(woken) == 2


async def test_as_many_widgets_at_none_as_at_a_thousand_engines() -> None:
    """L8."""

    async def widgets(engines: int) -> int:
        async with console(small_cluster(engines)) as it:
            return len(list(it.app.main.walk_children()))

    assert await widgets(0) == await widgets(1000)


async def test_only_visible_panes_pull_and_none_under_a_dialog(monkeypatch: pytest.MonkeyPatch) -> None:
    """L13."""
    async with console(small_cluster(), (80, 24)) as it:
        pulled: list[str] = []
        real = LineView.pull_now

        def counting(self: LineView, *, force: bool = False) -> None:
            pulled.append(self.pane)
            real(self, force=force)

        monkeypatch.setattr(LineView, "pull_now", counting)
        it.cluster.runs(0, "fit")
        await it.tell()
        assert set(pulled) <= {"engines", "cards"}
        await it.press("?")
        pulled.clear()
        it.cluster.runs(1, "fit")
        await it.tell()
        assert not set(pulled) & set(it.app.main.lists)
        await it.press("escape")
        await it.app.idle()
        assert "fit" in it.line_of("   1  ")


async def test_a_pane_that_raises_says_so_and_the_app_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """L14."""

    def broken(self: EnginesView, index: int) -> EngineView | None:
        raise ZeroDivisionError("no such luck")

    async with console(busy_cluster()) as it:
        with monkeypatch.context() as patch:
            patch.setattr(EnginesView, "row", broken)
            it.app.main.engines.pull_now(force=True)
            await it.app.idle()
            assert "this pane failed:" in it.frame() and "ZeroDivisionError: no such luck" in it.frame()
            await it.press("3")
            assert "running" in it.frame()
        await it.press("1")
        it.app.main.engines.pull_now(force=True)
        await it.app.idle()
        assert "this pane failed" not in it.frame()


async def test_the_hub_is_lost_and_comes_back() -> None:
    async with console(small_cluster()) as it:
        it.cluster.goes_away(tries=3)
        it.cluster.clock.advance(2)
        await it.app.idle()
        first = it.frame().splitlines()[0]
        assert "† lost 2s, try 3" in first and "3/3 engines" in first
        await it.press("A")
        assert "the hub does not answer" in it.said
        it.cluster.joins(3)
        it.cluster.comes_back()
        await it.app.idle()
        assert "● live" in it.frame() and "4/4 engines" in it.frame()


async def test_attached_to_nothing_every_pane_teaches() -> None:
    """C5: each has an empty state, and the keys named there work."""
    cluster = FakeCluster()
    cluster.attach()
    async with console(cluster, (80, 24)) as it:
        for key, text in (("0", "Nothing runs. i, then type"), ("1", "No engines."), ("2", "Tasks will appear here"),
                          ("3", "No tasks yet"), ("4", "No failures since"), ("5", "No tasks yet"),
                          ("6", "Nothing printed yet"), ("7", "Quiet since")):  # fmt: skip
            await it.press(key)
            assert text in it.frame(), it.frame()
        await it.press("1", "ctrl+x", "+")
        it.after_question()
        await it.press("y")
        assert it.client.calls == [("scale", (1,), {"block": True})]
        await it.press("i")
        assert it.app.main.current == "repl"


async def test_freeze_stops_drawing_and_loses_nothing() -> None:
    async with console(small_cluster()) as it:
        await it.press("z")
        it.cluster.joins(3)
        await it.pass_time(3)
        frame = it.frame()
        assert "frozen 3s" in frame and "3 of 3" in frame
        await it.press("z")
        assert "4 of 4" in it.frame()


async def test_messages_stand_for_six_seconds() -> None:
    async with console(small_cluster()) as it:
        it.app.say("something happened", "warning")
        await it.app.idle()
        assert "something happened" in it.frame()
        it.cluster.clock.advance(6.1)
        it.app.main.second()
        await it.app.idle()
        assert "something happened" not in it.frame()


async def test_themes_change_while_running() -> None:
    async with console(busy_cluster()) as it:
        before = it.frame()
        for theme in ("light", "ansi", "dark"):
            await it.press(":")
            await it.type(f"theme {theme}")
            await it.press("enter")
            assert it.app.theme == theme
        assert it.frame().splitlines()[2:10] == before.splitlines()[2:10]


async def test_health_shows_every_limit() -> None:
    async with console(small_cluster()) as it:
        await it.press(":")
        await it.type("health")
        await it.press("enter")
        frame = it.frame()
        assert "the hub" in frame and "this console" in frame and "1,000,000" in frame


async def test_calls_go_in_order_and_of_questions_the_newest_wins() -> None:
    calls = Calls(asyncio.get_running_loop())
    try:
        gate = threading.Event()
        got: list[object] = []
        calls.ask("slow", gate.wait, lambda _: None, lambda _: None)
        for number in range(5):
            calls.ask("what", partial(int, number), got.append, got.append)
        for number in range(3):
            calls.call(partial("call {}".format, number), got.append, got.append)
        gate.set()
        while calls.open:
            await asyncio.sleep(0.001)
        assert [one for one in got if isinstance(one, str)] == ["call 0", "call 1", "call 2"]
        numbers = [one for one in got if isinstance(one, int)]
        assert numbers[-1] == 4 and len(numbers) <= 2
    finally:
        calls.close()


async def test_an_error_of_a_call_comes_back_to_who_asked() -> None:
    calls = Calls(asyncio.get_running_loop())
    try:
        got: list[BaseException] = []
        calls.call(lambda: 1 / 0, lambda _: None, got.append)
        while calls.open:
            await asyncio.sleep(0.001)
        assert isinstance(got[0], ZeroDivisionError)
    finally:
        calls.close()


async def test_what_runs_in_the_background_is_told_and_kept() -> None:
    async with console(small_cluster()) as it:
        assert it.app.client is not None
        told = asyncio.Event()

        def tell(text: str) -> None:
            it.app.call_later(it.app.print_line, text)
            it.app.call_from_thread(told.set)

        work_behind(lambda client: "97 files, 8,113 functions", it.app.client, tell)
        await told.wait()
        await it.app.idle()
        assert "97 files" in it.frame()
        assert it.app.printed == ["97 files, 8,113 functions"]
        work_behind(lambda client: str(1 / 0), it.app.client, tell)
        told.clear()
        await told.wait()
        await it.app.idle()
        assert "ZeroDivisionError" in it.said


def test_files_stay_small_and_name_no_colour() -> None:
    """L9, L10."""
    for path in ROOM.rglob("*.py"):
        if "repl" in path.parts:
            continue
        lines = path.read_text().splitlines()
        assert len(lines) <= (300 if path.name == "app.py" else 500), f"{path.name} has {len(lines)} lines"
        text = "\n".join(lines)
        assert "DEFAULT_CSS" not in text, path.name
        if path.name not in ("themes.py", "paint.py"):
            assert "#ff" not in text.lower() and "rgb(" not in text, path.name


async def test_ctrl_z_stops_the_process_and_coming_back_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []
    async with console(small_cluster()) as it:
        monkeypatch.setattr(it.app, "action_suspend_process", lambda: stopped.append(True))
        await it.press("ctrl+z")
        assert stopped == [True]
        it.app.app_resume_signal.publish(it.app)
        await it.app.idle()
        assert it.cluster.resyncs == 1
