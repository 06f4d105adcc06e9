"""The panes: timeline, tasks, errors, functions, output, events, inspector, header, and the lines for typing."""

from __future__ import annotations

import math

from tests.console.driving import console, small_cluster
from tests.console.fake import MINE, FakeCluster, busy_cluster
from tuiparallel.console.desk import Options
from tuiparallel.wire.states import State


async def test_a_header_fits_and_its_numbers_lead_somewhere() -> None:
    for width in (60, 80, 100, 120, 200):
        async with console(busy_cluster(), (width, 24)) as it:
            first = it.frame().splitlines()[0]
            assert len(first) <= width and "…" not in first
            for text in ("lab", "live", "12/12", "✗ 10", "! 3"):
                assert text in first, first
    async with console(busy_cluster()) as it:
        place = it.frame().splitlines()[0].index("✗ 10")
        await it.pilot.click("#header", offset=(place, 0))
        await it.app.idle()
        assert it.app.main.current == "errors"


async def test_drawn_busy_is_true_busy() -> None:
    """C18: the heights of a density row sum to what the store says."""
    async with console(busy_cluster(), (120, 36)) as it:
        view = it.app.main.timeline
        lane = view.lanes[3]
        end = (view.last + 1) * view.cell
        true = it.app.store.busy(3, end - view.columns * view.cell, end, it.cluster.clock.time())
        assert math.isclose(sum(cell.busy for cell in lane) * view.cell, true, rel_tol=0.01)
        assert len(lane) == view.columns


async def test_a_live_step_draws_what_a_whole_redraw_draws() -> None:
    cluster = busy_cluster()
    async with console(cluster, (120, 36)) as it:
        view = it.app.main.timeline
        for _ in range(5):
            now = cluster.clock.time()
            cluster.clock.advance(0.9)
            cluster.merges(2, "mc_step", 10, now, cluster.clock.time(), 0.5)
            cluster.tell()
            view.pull_now()
            stepped = [(round(cell.busy, 6), cell.name, cell.failed, cell.unknown) for cell in view.lanes[2]]
            view._whole_at = float("-inf")
            view.pull_now(force=True)
            assert stepped == [(round(cell.busy, 6), cell.name, cell.failed, cell.unknown) for cell in view.lanes[2]]


async def test_one_failure_among_many_stands_out() -> None:
    """C20."""
    cluster = small_cluster()
    now = cluster.clock.time()
    cluster.clock.advance(10)
    cluster.merges(0, "f", 10_000, now, now + 10, 9.0)
    one = cluster.runs(0, "f")
    cluster.clock.advance(0.001)
    cluster.fails(one)
    cluster.tell()
    async with console(cluster) as it:
        for span in (10.0, 60.0, 3600.0, 86400.0):
            it.app.main.timeline.span = span
            it.app.main.timeline.pull_now(force=True)
            await it.app.idle()
            assert "✗" in it.line_of("›  0 "), span


async def test_the_time_cursor_finds_the_task_and_goes_live_again() -> None:
    cluster = small_cluster()
    one = cluster.runs(1, "fit", label="warm")
    cluster.clock.advance(10)
    cluster.ends(one)
    cluster.clock.advance(5)
    cluster.tell()
    async with console(cluster) as it:
        view = it.app.main.timeline
        await it.press("2", "j")
        for _ in range(12):
            await it.press("h")
        assert not view.live
        task = view.task_here()
        assert task is not None and task.name == "fit"
        assert "fit warm" in it.frame() and "run 10.0s" in it.frame()
        before = view.task_here()
        await it.press("+", "+", "-")
        after = view.task_here()
        assert before is not None and after is not None and before.id == after.id
        await it.press("enter")
        assert it.app.main.inspector.subject is not None and it.app.main.inspector.subject.key == one
        await it.press("2", "end")
        assert view.live


async def test_n_walks_the_failures_in_time() -> None:
    async with console(busy_cluster()) as it:
        await it.press("2", "n")
        view = it.app.main.timeline
        assert view.column is not None and not view.live
        task = view.task_here()
        assert task is not None and task.ename == "ValueError"


async def test_tasks_newest_first_filtered_and_said_when_none() -> None:
    cluster = small_cluster()
    for number in range(5):
        one = cluster.runs(0, "fit" if number % 2 else "load")
        cluster.clock.advance(1)
        cluster.ends(one) if number < 4 else cluster.fails(one)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("3")
        view = it.app.main.tasks
        assert view.count() == 5 and view.following
        assert view.cursor == max(cluster.tasks)
        await it.press("/")
        await it.type("state:error")
        assert view.count() == 1, "a filter is tried while it is typed"
        await it.type(" fn:")
        assert view.filter_text.startswith("state:error"), "the last valid one stays"
        await it.press("escape")
        assert view.filter_text == "" and view.count() == 5
        await it.press("/")
        await it.type("fn:nobody")
        await it.press("enter")
        assert "0 of 5 match /fn:nobody" in it.frame()
        await it.press("escape")
        assert view.count() == 5


async def test_a_merged_row_says_how_many_it_stands_for() -> None:
    cluster = small_cluster()
    now = cluster.clock.time()
    cluster.clock.advance(1)
    cluster.merges(0, "mc_step", 812, now, now + 1, 0.9)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("3")
        assert "×812" in it.frame()


async def test_ten_thousand_equal_failures_are_one_row() -> None:
    """C25: the normalised message is one kind, the count is exact."""
    cluster = small_cluster()
    for number in range(200):
        cluster.fails(cluster.runs(0, "fit"), "ValueError", f"bad seed {number} at 0x7f{number:04x}")
    cluster.tell()
    async with console(cluster) as it:
        await it.press("4")
        assert "1 kind, 200 tasks" in it.frame()
        line = it.line_of("ValueError")
        assert "200" in line and "e0" in line
        await it.press("enter", "j")
        assert it.app.main.here().kind == "task"
        await it.press("k", "t")
        assert "Traceback (most recent call last)" in it.frame() and "newest" in it.frame()
        await it.press("l")
        assert "2 of" in it.frame()


async def test_functions_are_sorted_by_where_the_time_goes() -> None:
    cluster = small_cluster()
    for name, seconds in (("quick", 0.1), ("slow", 9.0)):
        one = cluster.runs(0, name)
        cluster.clock.advance(seconds)
        cluster.ends(one)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("5")
        assert [row.name for row in it.app.main.functions.rows] == ["slow", "quick"]
        assert "9.0s" in it.line_of("slow")
        await it.press("O")
        assert [row.name for row in it.app.main.functions.rows] == ["quick", "slow"]


async def test_output_of_one_engine() -> None:
    cluster = small_cluster()
    cluster.prints(0, "from zero\n")
    cluster.prints(1, "from one\n")
    cluster.prints(1, "\x1b[31mred\x1b[0m plain\n", "stderr")
    cluster.tell()
    async with console(cluster, (80, 24)) as it:
        await it.press("1", "j", "p")
        frame = it.frame()
        assert "from one" in frame and "from zero" not in frame and "6 Output  e1" in frame
        await it.press("escape")
        assert "from zero" in it.frame()
        await it.press("/")
        await it.type("stream:stderr")
        await it.press("enter")
        assert "red plain" in it.frame() and "from one" not in it.frame()


async def test_events_tell_of_deaths_and_deeds() -> None:
    cluster = small_cluster()
    cluster.dies(2)
    cluster.tell()
    async with console(cluster, (80, 24)) as it:
        await it.press("1", "C")
        it.after_question()
        await it.press("tab", "enter", "7")
        frame = it.frame()
        assert "killed by SIGKILL" in frame and "cleared e0" in frame
        await it.press("G", "y", "p")
        assert "copied" in it.said and it.app.clipboard == "rc.clear(targets=[0])"


async def test_a_task_in_the_inspector_with_its_links() -> None:
    cluster = small_cluster()
    one = cluster.runs(1, "fit")
    cluster.clock.advance(4)
    cluster.ends(one)
    cluster.tell()
    async with console(cluster, (80, 30)) as it:
        await it.press("3", "enter")
        frame = it.frame()
        assert "run 4.0s" in frame and f"{MINE}-0" in frame and "submitted" in frame and "received" in frame
        view = it.app.main.inspector
        row = next(index for index, line in enumerate(view.lines) if line.link == ("engine", 1))
        view.move_to(row)
        await it.press("enter")
        assert view.subject is not None and view.subject.kind == "engine"
        await it.press("[")
        assert view.subject.kind == "task"
        await it.press("]")
        assert view.subject.kind == "engine"


async def test_a_lost_task_says_what_it_was_lost_with() -> None:
    cluster = small_cluster()
    one = cluster.runs(1, "fit")
    cluster.dies(1)
    cluster.tell()
    assert cluster.tasks[one].state == State.LOST
    async with console(cluster, (80, 30)) as it:
        await it.press("3", "enter")
        assert "† lost" in it.frame() and "EngineError" in it.frame()


async def test_copies_and_writes() -> None:
    cluster = small_cluster()
    one = cluster.runs(1, "fit")
    cluster.fails(one)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("3", "y", "i")
        assert it.app.clipboard == f"{MINE}-0"
        await it.press("y", "p")
        assert it.app.clipboard == f"rc.get_result('{MINE}-0')"
        await it.press("y", "t")
        assert it.app.clipboard.startswith("Traceback")
        await it.press("y", "r")
        assert "fit" in it.app.clipboard and "ValueError" in it.app.clipboard


async def test_the_command_line_goes_filters_and_says_what_is_wrong() -> None:
    async with console(busy_cluster(), (100, 30)) as it:
        await it.press(":")
        await it.type("tasks state:error")
        assert "go to tasks, show what matches state:error" in it.frame()
        await it.press("enter")
        assert it.app.main.current == "tasks" and it.app.main.tasks.filter_text == "state:error"
        await it.press(":")
        await it.type("e 7")
        await it.press("enter")
        assert it.app.main.current == "engines" and it.app.main.engines.ids == [7]
        await it.press(":")
        await it.type("nonsense")
        await it.press("enter")
        await it.until(lambda: "there is no 'nonsense'" in it.said)
        await it.press(":")
        await it.type("eng")
        await it.press("tab")
        await it.until(lambda: it.app.main.prompt.value == "engines ")
        await it.press("escape")
        assert it.app.main.current == "engines" and not it.app.main.prompt.display


async def test_home_asks_the_hub_for_what_is_older() -> None:
    cluster = FakeCluster()
    cluster.joins(0)
    cluster.attach()
    async with console(cluster) as it:
        await it.press("2", "home")
        assert cluster.asked_older == 1


async def test_a_dead_engine_tells_its_reason_where_there_is_little_room() -> None:
    cluster = small_cluster()
    cluster.dies(1, "was killed by SIGKILL")
    cluster.tell()
    async with console(cluster, (120, 36)) as it:
        assert "was killed by SIGKILL" in it.line_of("†")


async def test_an_abort_is_told_apart_from_failures() -> None:
    cluster = small_cluster()
    ids = cluster.submits("fit", 6)
    cluster.tell()
    async with console(cluster, (80, 24)) as it:
        for id in ids[2:]:
            cluster.aborts(id)
        cluster.tell()
        await it.app.idle()
        await it.press("0")
        batches = it.app.store.batches(cluster.clock.time())
        assert sum(row.aborted for row in batches) == 4
        assert "0 done, 0 failed, 4 aborted, 0 running, 2 waiting" in it.frame()


async def test_a_long_message_takes_the_lines_it_needs() -> None:
    async with console(small_cluster(), (80, 24)) as it:
        words = " ".join(f"word{number}" for number in range(20))
        it.app.say(words)
        await it.app.idle()
        lines = [line for line in it.frame().splitlines() if "word" in line]
        assert len(lines) == 2 and "word19" in lines[1] and "…" not in lines[1]
        it.app.say("short")
        await it.app.idle()
        assert sum("word" in line or "short" in line for line in it.frame().splitlines()) == 1
        it.app.say(" ".join(f"word{number}" for number in range(200)))
        await it.app.idle()
        lines = [line for line in it.frame().splitlines() if "word" in line]
        assert len(lines) == 3 and lines[2].rstrip().endswith("…")


async def test_the_axis_begins_as_wide_as_asked_for_and_zooms_from_there() -> None:
    async with console(small_cluster(), (120, 36), Options(span=10.0)) as it:
        assert it.app.main.timeline.span == 10.0
        assert "10.0s  live" in it.line_of("2 Timeline")
        await it.press("2", "-")
        assert it.app.main.timeline.span == 30.0
