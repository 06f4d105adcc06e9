"""The ladder and the verbs: who is asked how, what is sent, what is said; and that nothing typed ahead confirms."""

from __future__ import annotations

import pytest

from tests.console.driving import Console, console, small_cluster
from tests.console.fake import FakeCluster
from tuiparallel.console.choosing import ours, whose
from tuiparallel.console.deeds import aborted
from tuiparallel.console.desk import Options
from tuiparallel.console.screens.confirm import ConfirmScreen
from tuiparallel.console.screens.main import MainScreen
from tuiparallel.wire.states import State


def queued_on(engine: int, count: int, session: int = 1) -> FakeCluster:
    cluster = small_cluster()
    cluster.submits("fit", count, engine=engine, session=session)
    cluster.tell()
    return cluster


async def confirm(it: Console) -> None:
    """Goes from Cancel to the other button and presses it."""
    it.after_question()
    await it.press("tab", "enter")


# Level 1 ----------------------------------------------------------------------------------------------------------


async def test_a_few_tasks_of_mine_are_asked_about_in_the_footer() -> None:
    async with console(queued_on(1, 3)) as it:
        await it.press("j", "A")
        assert "abort 3 queued on e1?" in it.frame().splitlines()[-1]
        it.after_question()
        await it.press("y")
        ((name, (ids,), named),) = it.client.calls
        assert name == "abort"
        assert ids == ["3f9c0a12-2", "3f9c0a12-1", "3f9c0a12-0"]
        assert named == {"targets": None, "block": True, "running": False}
        assert it.said == "aborted 3"
        (event,) = [row for row in it.app.store.events(0, 100) if row.source == "action"]
        assert event.python == "rc.abort(['3f9c0a12-2', '3f9c0a12-1', '3f9c0a12-0'])"


@pytest.mark.parametrize("key", ["n", "enter", "escape", "Y", "space", "q"])
async def test_any_key_but_y_is_no(key: str) -> None:
    async with console(queued_on(0, 3)) as it:
        await it.press("A")
        it.after_question()
        await it.press(key)
        assert it.client.calls == []
        assert it.app.acting.question is None
        assert "not done" in it.said
        assert it.app.is_running


async def test_keys_typed_ahead_are_not_heard() -> None:
    async with console(queued_on(0, 3)) as it:
        await it.pilot.press("A", "y", "y", "y")
        await it.app.idle()
        assert it.client.calls == []
        assert it.app.acting.question is not None, "the question is still open: nobody has answered it"
        it.cluster.clock.advance(0.29)
        await it.press("y")
        assert it.client.calls == []
        it.cluster.clock.advance(0.02)
        await it.press("y")
        assert [call[0] for call in it.client.calls] == ["abort"]


async def test_nothing_to_abort_is_said() -> None:
    async with console(small_cluster()) as it:
        await it.press("A")
        assert it.app.acting.question is None
        assert "nothing is queued here" in it.said


async def test_interrupt_one_task_of_mine() -> None:
    cluster = small_cluster()
    cluster.runs(2, "fit")
    cluster.tell()
    async with console(cluster) as it:
        await it.press("j", "j", "I")
        assert "interrupt fit on e2?" in it.frame()
        it.after_question()
        await it.press("y")
        assert it.client.calls == [("interrupt", ("3f9c0a12-0",), {})]
        assert it.said == "sent KeyboardInterrupt to e2"


async def test_an_interrupt_is_about_the_task_and_not_about_what_runs_there_by_now() -> None:
    cluster = small_cluster()
    task = cluster.runs(2, "fit")
    cluster.tell()
    async with console(cluster) as it:
        await it.press("j", "j", "I")
        cluster.ends(task)
        cluster.runs(2, "other")
        await it.tell()
        it.after_question()
        await it.press("y")
        assert it.client.calls == [("interrupt", ("3f9c0a12-0",), {})]
        assert it.said == "no KeyboardInterrupt sent; 1 had ended"


async def test_try_again_sends_the_ids_of_the_kind() -> None:
    cluster = small_cluster()
    for _ in range(3):
        cluster.fails(cluster.runs(0, "fit"))
    cluster.tell()
    async with console(cluster) as it:
        await it.press("4", "T")
        it.after_question()
        await it.press("y")
        ((name, (ids,), _),) = it.client.calls
        assert name == "resubmit" and sorted(ids) == ["3f9c0a12-0", "3f9c0a12-1", "3f9c0a12-2"]


async def test_the_question_keeps_its_ids_though_the_cursor_moves_on() -> None:
    async with console(queued_on(1, 2)) as it:
        await it.press("j", "A")
        it.cluster.submits("fit", 5, engine=1)
        await it.tell()
        it.after_question()
        await it.press("y")
        assert len(it.client.calls[0][1][0]) == 2


async def test_an_error_of_the_call_is_said_and_logged() -> None:
    async with console(queued_on(0, 1)) as it:
        it.client.error = ConnectionError("the hub is gone")
        await it.press("A")
        it.after_question()
        await it.press("y")
        assert "failed: the hub is gone" in it.said


# Level 2 and 3 ----------------------------------------------------------------------------------------------------


async def test_many_tasks_are_a_dialog_whose_focus_is_on_cancel() -> None:
    async with console(queued_on(0, 21)) as it:
        await it.press("A")
        assert isinstance(it.app.screen, ConfirmScreen)
        assert it.app.screen.focused is not None and it.app.screen.focused.id == "cancel"
        frame = it.frame()
        assert "Abort 21 queued on e0?" in frame and "21 tasks" in frame and "rc.abort([" in frame
        it.after_question()
        await it.press("enter")
        assert it.client.calls == []
        await it.press("A")
        await confirm(it)
        assert len(it.client.calls[0][1][0]) == 21


async def test_what_another_client_has_submitted_is_a_dialog() -> None:
    cluster = queued_on(0, 1, session=2)
    cluster.other_client()
    cluster.tell()
    async with console(cluster) as it:
        await it.press("A")
        assert isinstance(it.app.screen, ConfirmScreen)
        assert "all of analysis.py, another client" in it.frame()


async def test_keys_typed_ahead_do_not_reach_a_dialog() -> None:
    async with console(small_cluster()) as it:
        await it.pilot.press("R", "tab", "enter")
        await it.app.idle()
        assert isinstance(it.app.screen, ConfirmScreen)
        assert it.client.calls == []
        assert it.app.screen.focused is not None and it.app.screen.focused.id == "cancel"


@pytest.mark.parametrize(
    ("key", "call"),
    [("C", ("clear", ([1],), {"block": True})), ("R", ("restart_engines", ([1],), {"block": True})),
     ("S", ("shutdown", ([1],), {"block": True}))],
)  # fmt: skip
async def test_the_verbs_on_an_engine(key: str, call: object) -> None:
    async with console(small_cluster()) as it:
        await it.press("j", key)
        await confirm(it)
        assert it.client.calls == [call]


async def test_restart_says_the_new_ids() -> None:
    async with console(small_cluster()) as it:
        await it.press("R")
        await confirm(it)
        assert it.said == "restarted e0: 0 → 100"


async def test_all_engines_want_the_cluster_named() -> None:
    async with console(small_cluster()) as it:
        await it.press("*", "R")
        assert isinstance(it.app.screen, ConfirmScreen)
        it.after_question()
        await it.press("tab")
        await it.type("la")
        await it.press("enter")
        assert it.client.calls == []
        await it.type("b")
        await it.press("enter")
        assert it.client.calls == [("restart_engines", ([0, 1, 2],), {"block": True})]


async def test_shutdown_wants_the_cluster_named_and_ends_the_console() -> None:
    async with console(small_cluster()) as it:
        await it.press("ctrl+x")
        assert "shut the cluster down" in it.frame().splitlines()[-1]
        await it.press("X")
        it.after_question()
        await it.press("tab")
        await it.type("lab")
        await it.pilot.press("enter")
        await it.pilot.pause()
        assert it.client.calls == [("shutdown", ("all",), {"hub": True, "block": True})]
        assert it.app.ended


async def test_the_name_may_be_typed_at_once_and_enter_alone_is_cancel() -> None:
    async with console(small_cluster()) as it:
        await it.press("*", "R")
        it.after_question()
        await it.press("enter")
        assert not isinstance(it.app.screen, ConfirmScreen) and it.client.calls == []
        await it.press("R")
        it.after_question()
        await it.type("lab")
        await it.press("enter")
        assert it.client.calls == [("restart_engines", ([0, 1, 2],), {"block": True})]


async def test_running_ones_are_touched_only_when_ticked() -> None:
    cluster = queued_on(0, 21)
    cluster.runs(0, "fit")
    cluster.tell()
    async with console(cluster) as it:
        await it.press("A")
        it.after_question()
        assert "interrupt 1 running too" in it.frame()
        await it.press("tab", "tab", "space", "shift+tab", "enter")
        ((_, (ids,), named),) = it.client.calls
        assert named["running"] is True and len(ids) == 22


async def test_danger_raises_every_question() -> None:
    async with console(queued_on(0, 1), options=Options(danger="high")) as it:
        await it.press("A")
        assert isinstance(it.app.screen, ConfirmScreen) and it.app.screen.deed.level == 2
        await it.press("escape")
        it.after_question()
        await it.press("escape", "R")
        assert isinstance(it.app.screen, ConfirmScreen) and it.app.screen.deed.level == 3


# Marks and the cluster --------------------------------------------------------------------------------------------


async def test_c09_how_many_are_marked_is_never_cut() -> None:
    cluster = small_cluster()
    cluster.submits("a_function_with_a_long_name", 5, engine=1)
    cluster.tell()
    async with console(cluster, (120, 36)) as it:
        await it.press("3", "/")
        await it.type("fn:a_function_with_a_long_name")
        await it.press("enter", "*")
        assert "5 marked" in it.line_of("3 Tasks")


async def test_marks_are_what_is_acted_on_and_the_filter_hides_none_in_silence() -> None:
    async with console(small_cluster(4)) as it:
        await it.press("space", "space")
        assert it.app.main.engines.marks == {0, 1}
        assert "2 marked" in it.frame()
        await it.press("/")
        await it.type("id:1-3")
        await it.press("enter", "C")
        assert isinstance(it.app.screen, ConfirmScreen)
        assert "1 of the marked rows are hidden by the filter" in it.frame()
        await confirm(it)
        assert it.client.calls == [("clear", ([0, 1],), {"block": True})]
        assert it.app.main.engines.marks == set()


async def test_a_range_and_all_that_match() -> None:
    async with console(small_cluster(6)) as it:
        await it.press("j", "V", "j", "j", "V")
        assert it.app.main.engines.marks == {1, 2, 3}
        await it.press("escape")
        assert it.app.main.engines.marks == set()
        await it.press("/")
        await it.type("id:4-9")
        await it.press("enter", "*")
        assert it.app.main.engines.marks == {4, 5}


async def test_start_and_scale() -> None:
    async with console(small_cluster()) as it:
        await it.press("ctrl+x", "+")
        it.after_question()
        await it.press("y")
        assert it.client.calls == [("scale", (4,), {"block": True})]
        await it.press(":")
        await it.type("scale 2")
        await it.press("enter")
        assert isinstance(it.app.screen, ConfirmScreen)
        await confirm(it)
        assert it.client.calls[-1] == ("scale", (2,), {"block": True})


async def test_a_verb_on_the_command_line_climbs_the_same_ladder() -> None:
    async with console(small_cluster()) as it:
        await it.press(":")
        await it.type("restart 1-2")
        assert "asks first" in it.said or "asks first" in it.frame()
        await it.press("enter")
        assert isinstance(it.app.screen, ConfirmScreen)
        await confirm(it)
        assert it.client.calls == [("restart_engines", ([1, 2],), {"block": True})]


async def test_a_queue_without_rows_is_aborted_by_engine_and_says_so() -> None:
    cluster = small_cluster()
    cluster.submits("mc_step", 5000, engine=0, rows=10)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("A")
        assert "Abort 5,000 queued on e0?" in it.frame()
        await confirm(it)
        assert it.client.calls == [("abort", (None,), {"targets": [0], "block": True, "running": False})]


async def test_all_engines_stand_for_what_waits_in_the_hub_too_and_both_numbers_are_said() -> None:
    cluster = small_cluster()
    tasks = cluster.submits("fit", 30)
    cluster.starts(tasks[0], 0)
    cluster.starts(tasks[1], 1)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("A")
        assert "nothing is queued here" in it.said, "one engine stands for its own queue"
        await it.press("*", "A")
        assert "Abort 28 queued on e0-" in it.frame() and "and in the hub?" in it.frame()
        await confirm(it)
        ((name, (ids,), named),) = it.client.calls
        assert (name, sorted(ids), named["running"]) == (
            "abort",
            sorted(f"3f9c0a12-{i}" for i in range(2, 30)),
            False,
        )
        assert it.said == "aborted 28, 2 running go on"


async def test_a_submission_is_aborted_whole_also_where_the_hub_has_sent_no_rows() -> None:
    cluster = small_cluster()
    cluster.submits("mc_step", 5000, rows=10)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("0", "A")
        assert "Abort 5,000 queued of mc_step?" in it.frame()
        await confirm(it)
        ((name, (ids,), named),) = it.client.calls
        assert (name, len(ids), ids[0], ids[-1]) == ("abort", 5000, "3f9c0a12-0", "3f9c0a12-4999")
        assert named == {"targets": None, "block": True, "running": False}


async def test_a_client_stands_for_its_open_tasks() -> None:
    cluster = small_cluster()
    cluster.other_client()
    mine = cluster.submits("fit", 3)
    theirs = cluster.submits("scan", 30, session=2, rows=4)
    cluster.starts(theirs[0], 1)
    cluster.starts(mine[0], 2)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("0", "G", "A")
        assert it.app.main.now.here().ids == ("77aa41bb",)
        assert "Abort 29 queued of analysis.py?" in it.frame()
        assert "all of analysis.py, another client" in it.frame()
        await confirm(it)
        assert it.client.calls[0][1][0] == [f"77aa41bb-{theirs[0] + i - (2 << 40)}" for i in range(30)]
        await it.press("I")
        await confirm(it)
        assert it.client.calls[1] == ("interrupt", (f"77aa41bb-{theirs[0] - (2 << 40)}",), {})
        await it.press("k", "A")
        assert "abort 2 queued of this console?" in it.frame()


async def test_an_open_question_counts_what_has_moved_on() -> None:
    cluster = small_cluster()
    many = cluster.submits("fit", 25)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("0", "A")
        assert "Abort 25 queued of fit?" in it.frame()
        cluster.starts(many[0], 0)
        cluster.starts(many[1], 1)
        it.cluster.clock.advance(1.0)
        await it.tell()
        assert "Abort 25 queued of fit?" in it.frame()
        assert "23 of them still wait" in it.frame()
        await it.press("escape", "1", "A")
        assert isinstance(it.app.screen, MainScreen)


async def test_a_question_in_the_footer_counts_too() -> None:
    cluster = queued_on(0, 3)
    first = min(cluster.tasks)
    async with console(cluster) as it:
        await it.press("A")
        cluster.starts(first, 0)
        await it.tell()
        assert "abort 3 queued on e0? (2 of them still wait)" in it.frame().splitlines()[-1]


async def test_whether_a_box_is_ticked_is_seen_without_colour() -> None:
    cluster = queued_on(0, 21)
    cluster.runs(0, "fit")
    cluster.tell()
    async with console(cluster) as it:
        await it.press("A")
        it.after_question()
        assert "[ ] interrupt 1 running too" in it.frame()
        await it.press("tab", "tab", "space")
        assert "[x] interrupt 1 running too" in it.frame()
        await it.press("space")
        assert "[ ] interrupt 1 running too" in it.frame()


async def test_read_only_sends_nothing_that_changes() -> None:
    cluster = queued_on(0, 3)
    cluster.ends(cluster.runs(1, "fit"), State.ERROR, "ValueError", "no")
    cluster.tell()
    async with console(cluster, options=Options(readonly=True)) as it:
        for pane in "134":
            await it.pilot.press(pane, "A", "y", "I", "y", "T", "y", "C", "y", "R", "y", "S", "y")
        for key in ("plus", "p", "C", "R", "X"):
            await it.pilot.press("1", "ctrl+x", key, "y")
        await it.app.idle()
        assert it.client.calls == []
        assert "read-only" in it.frame().splitlines()[0]


def test_the_outcome_tells_what_had_moved_on() -> None:
    assert (
        aborted({"aborted": ["a"] * 17, "running": ["b", "c"], "done": [], "unknown": []})
        == "aborted 17, 2 running go on"
    )
    assert aborted({"aborted": ["a"], "running": ["b"], "done": ["c"] * 5}, ended=3) == (
        "aborted 1, 1 running goes on, 2 had ended"
    )


async def test_where_is_it_asks_the_engine_and_shows_the_stack() -> None:
    cluster = small_cluster()
    cluster.runs(1, "fit")
    cluster.tell()
    async with console(cluster, options=Options(readonly=True)) as it:
        await it.press("j", "d")
        assert ("ask_engine", (1, "stack"), {}) in it.client.calls
        frame = it.frame()
        assert "where it is" in frame and "while True: pass" in frame and "ndarray" in frame


@pytest.mark.parametrize("rows", [30, 4])
async def test_the_python_line_names_the_same_tasks(rows: int) -> None:
    cluster = small_cluster()
    cluster.submits("warm", 2)
    cluster.submits("fit", 30, rows=rows)
    cluster.tell()
    async with console(cluster) as it:
        await it.press("0")
        place = next(at for at, row in enumerate(it.app.main.now.rows) if getattr(row.item, "name", "") == "fit")
        it.app.main.now.move_to(place)
        await it.press("A")
        await confirm(it)
        ((_, (ids,), _),) = it.client.calls
        (event,) = [row for row in it.app.store.events(0, 100) if row.source == "action"]
        assert event.python == "rc.abort([f'3f9c0a12-{i}' for i in range(2, 32)])"
        assert set(ids) == set(eval(event.python.removeprefix("rc.abort")))


@pytest.mark.parametrize("size", [(40, 10), (60, 16), (80, 24), (120, 36)], ids=str)
async def test_a_dialog_fits_with_its_buttons(size: tuple[int, int]) -> None:
    cluster = queued_on(0, 30)
    cluster.runs(0, "fit")
    cluster.tell()
    for danger in ("", "high"):
        async with console(cluster, size, Options(danger=danger)) as it:
            await it.press("A")
            it.cluster.clock.advance(1.0)
            screen = it.app.screen
            assert isinstance(screen, ConfirmScreen)
            dialog = screen.query_one("#question").content_region
            for selector in ("#cancel", "#do", "#extra", *(("#name",) if screen.deed.level >= 3 else ())):
                widget = screen.query_one(selector)
                assert widget.region.height >= 1 and dialog.contains_region(widget.region), (selector, it.frame())
            assert "Cancel" in it.frame() and "[ ]" in it.frame() and "30 queued" in it.frame()


async def test_what_local_cells_submitted_is_this_consoles_own() -> None:
    cluster = small_cluster()
    cluster.other_client(3)
    cluster.tell()
    async with console(cluster) as it:
        (other,) = [row for row in it.app.store.clients() if row.outstanding == 3]
        assert other.hex not in ours(it.app.desk)
        it.app.desk.local_pid = lambda: other.pid
        monkey = pytest.MonkeyPatch()
        monkey.setattr("socket.gethostname", lambda: other.host)
        try:
            assert other.hex in ours(it.app.desk)
            assert whose((other.hex, it.client.session), it.app.desk) == "all of this console"
        finally:
            monkey.undo()
