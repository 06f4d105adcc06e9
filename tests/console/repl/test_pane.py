"""The pane alone, driven by keys, on a scripted client and a real child process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from textual import events

from tests.console.repl.cells import SIZE, run_cell, type_in
from tests.console.repl.scripted import ReplApp, ScriptedClient, failure, until
from tuiparallel.console.desk import Options
from tuiparallel.console.glyphs import ASCII
from tuiparallel.console.repl.card import Card, State
from tuiparallel.console.repl.modes import Mode, Targets
from tuiparallel.console.repl.outcomes import Part
from tuiparallel.console.repl.runner import CellValue
from tuiparallel.wire.states import State as TaskState

PATIENCE = 20.0  # seconds


async def test_an_empty_pane_teaches_each_mode() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for word in ("os.getpid()", "%%map x in range(100)", "lview.map", "px[all]▸"):
            assert word in app.screen_text


async def test_px_goes_to_all_and_outcomes_are_grouped() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "x.sum()")
        await pilot.press("enter")
        assert app.repl.editor.text == ""
        await until(pilot, lambda: bool(client.results))
        assert client.sent == [("px", "x.sum()", "all")]
        result = client.results[0]
        for index in range(3):
            result.ends(index, "12.0", stdout="hello\n" if index == 1 else "")
        await until(pilot, lambda: "3/4" in app.screen_text)
        result.ends(3, error=failure("ValueError", "shapes (4,) (3,)"))
        await until(pilot, lambda: not app.repl.runs.open)
        await until(pilot, lambda: "1 × ValueError" in app.screen_text)
        text = app.screen_text
        assert "3 × 12.0   e0-2" in text
        assert "1 × ValueError: shapes (4,) (3,)   e3   line 1 of this cell" in text
        assert "e1  hello" in text
        assert app.repl.cards.cards[0].state is State.ERRORS


async def test_the_prompt_is_free_with_a_client_that_blocks_for_ever() -> None:
    client = ScriptedClient()
    client.hold = threading.Event()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        clock = app.desk.clock
        for number in range(100):
            app.repl.entered(f"cell_{number}()")
        began = clock.monotonic()
        await type_in(pilot, "y")
        await pilot.press("enter")
        assert app.repl.editor.text == ""
        assert clock.monotonic() - began < PATIENCE  # it would be for ever
        assert len(app.repl.cards.cards) == 101
        assert all(card.state is State.SENT for card in app.repl.cards.cards)
        client.hold.set()


async def test_no_text_reaches_an_engine_the_prompt_did_not_name() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+g")
        await type_in(pilot, "0,2-3")
        await until(pilot, lambda: "3 engines: 0,2-3" in app.screen_text)
        await pilot.press("enter")
        await until(pilot, lambda: "px[0,2-3]▸" in app.screen_text)
        await run_cell(pilot, "x")
        await until(pilot, lambda: bool(client.sent))
        assert client.sent[-1] == ("px", "x", [0, 2, 3])
        client.ids.remove(2)
        card = await run_cell(pilot, "y")
        await until(pilot, lambda: len(client.sent) == 2)
        assert client.sent[-1] == ("px", "y", [0, 3])
        assert card.where == "px[0,2-3, 2 gone]"
        assert card.notes == ["not sent to e2: gone"]
        client.ids[:] = [1]
        card = await run_cell(pilot, "z")
        assert card.state is State.ERRORS
        await until(pilot, lambda: "none of its targets" in app.screen_text)
        assert len(client.sent) == 2
        card = await run_cell(pilot, "%%px -t 0\nx")
        assert card.state is State.ERRORS
        assert len(client.sent) == 2


async def test_ctrl_t_goes_round_the_modes_and_lb_says_where() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "lb[all]▸" in app.screen_text)
        card = await run_cell(pilot, "6 * 7")
        await until(pilot, lambda: bool(client.results))
        assert client.sent == [("lb", "6 * 7", None)]
        client.results[0].ends(0, value=CellValue("42"), engine=3)
        await until(pilot, lambda: not card.open)
        await until(pilot, lambda: "42   on e3" in app.screen_text)
        await pilot.press("ctrl+t", "ctrl+t")
        assert app.repl.where.mode is Mode.PX


async def test_a_paste_is_one_insertion_and_never_runs() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "a = ")
        app.repl.editor.post_message(events.Paste("1\r\nb = 2\rprint(a)\n\x1b[31m"))
        await until(pilot, lambda: "print" in app.repl.editor.text)
        assert app.repl.editor.text == "a = 1\nb = 2\nprint(a)\n[31m"
        assert client.sent == []
        await pilot.press("ctrl+z")
        assert app.repl.editor.text == "a = "


async def test_enter_makes_lines_until_the_block_is_whole() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "for i in range(3):")
        await pilot.press("enter")
        await type_in(pilot, "print(i)")
        await pilot.press("enter")
        assert app.repl.editor.text == "for i in range(3):\n    print(i)\n    "
        await pilot.press("enter")
        await until(pilot, lambda: bool(client.sent))
        assert client.sent[0][1] == "for i in range(3):\n    print(i)"


async def test_a_syntax_error_stays_in_place_until_a_second_enter() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "1 +")
        await pilot.press("enter")
        await until(pilot, lambda: "invalid syntax (line 1, column" in app.screen_text)
        assert client.sent == []
        await pilot.press("enter")
        await until(pilot, lambda: bool(client.sent))


async def test_ctrl_c_aborts_what_waits_and_signals_what_runs_by_msg_id() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await run_cell(pilot, "loop()")
        await until(pilot, lambda: card.sent is not None)
        result = client.results[0]
        result.ends(0, "1")
        client.running = {"abc-2"}
        await pilot.press("ctrl+c")
        await until(pilot, lambda: bool(client.signalled))
        assert client.aborted == [["abc-1", "abc-2", "abc-3"]]
        assert client.signalled == ["abc-2"]
        for index in (1, 3):
            result.ends(index, error=failure("AbortedTask", "aborted"), state=TaskState.ABORTED)
        result.ends(2, error=failure("KeyboardInterrupt", ""))
        await until(pilot, lambda: not card.open)
        assert card.state is State.INTERRUPTED


async def test_a_cell_that_is_stopped_before_it_was_sent_is_stopped_then() -> None:
    client = ScriptedClient()
    client.hold = threading.Event()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await run_cell(pilot, "x")
        await pilot.press("ctrl+c")
        assert client.aborted == []
        client.hold.set()
        await until(pilot, lambda: bool(client.aborted))


async def test_ctrl_c_clears_the_text_when_nothing_runs_and_then_hints() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "abc")
        await pilot.press("ctrl+c")
        assert app.repl.editor.text == ""
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "nothing runs here" in app.screen_text)
        await pilot.press("ctrl+d")
        assert app.is_running


async def test_who_does_not_stop_is_named_and_a_question_restarts_the_local_process() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=SIZE) as pilot:
        app.repl.go_to(app.repl.where.in_mode(Mode.LOCAL))
        stubborn = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nprint('begun')\ntime.sleep(60)"
        card = await run_cell(pilot, stubborn)
        await until(pilot, lambda: len(card.printed) > 0)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: bool(card.stubborn))
        await until(pilot, lambda: "did not stop" in app.screen_text)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "end the local process and lose its names?" in app.screen_text)
        await pilot.press("y")  # typed ahead: not heard
        assert card.open
        asked = app.repl.asked
        assert asked is not None
        asked.asked -= 1
        await pilot.press("y")
        await until(pilot, lambda: card.state is State.LOST)
        again = await run_cell(pilot, "6 * 7")
        await until(pilot, lambda: not again.open)
        assert again.parts[0].value == "42"


async def test_local_cells_run_in_a_process_and_keys_answer_meanwhile() -> None:
    app = ReplApp(None)
    async with app.run_test(size=SIZE) as pilot:
        app.repl.go_to(app.repl.where.in_mode(Mode.LOCAL))
        card = await run_cell(pilot, "print('begun')\nwhile True: pass")
        await until(pilot, lambda: len(card.printed) > 0)
        clock = app.desk.clock
        began = clock.monotonic()
        await type_in(pilot, "x")
        assert clock.monotonic() - began < PATIENCE  # it would be for ever
        assert app.repl.editor.text == "x"
        waiting = await run_cell(pilot, "1 + 1")
        assert waiting.state is State.WAITING
        await until(pilot, lambda: f"behind [{card.number}]" in app.screen_text)
        app.repl.runs.stop(card)
        await until(pilot, lambda: not app.repl.runs.open)
        assert card.state is State.INTERRUPTED
        assert waiting.parts[0].value == "2"
        card = await run_cell(pilot, "import os; os._exit(3)")
        await until(pilot, lambda: not card.open)
        assert card.state is State.LOST
        assert "status 3" in card.notes[0]


async def test_without_a_cluster_a_cell_says_so() -> None:
    app = ReplApp(None)
    async with app.run_test(size=SIZE) as pilot:
        card = await run_cell(pilot, "x")
        assert card.state is State.ERRORS
        assert "there is no cluster" in card.notes[0]


async def test_completion_asks_the_lowest_target_and_merges() -> None:
    client = ScriptedClient()
    client.answers["complete"] = ["residuals", "reset", "result"]
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        app.repl.aim(Targets((2, 3)))
        await type_in(pilot, "res")
        await pilot.press("tab")
        await until(pilot, lambda: app.repl.choices.items != ())
        assert client.asked[-1] == (2, "complete", "res", 3)
        assert app.repl.choices.word == "residuals"
        await pilot.press("down", "enter")
        assert app.repl.editor.text == "reset"
        assert client.sent == []
        client.answers["complete"] = ["alone"]
        await pilot.press("ctrl+c")
        await type_in(pilot, "x.al")
        await pilot.press("tab")
        await until(pilot, lambda: app.repl.editor.text == "x.alone")


async def test_a_dot_completes_by_itself_and_enter_still_runs() -> None:
    client = ScriptedClient()
    client.answers["complete"] = ["x.first", "x.second"]
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "x.")
        await until(pilot, lambda: app.repl.choices.items == ("first", "second"))
        await type_in(pilot, "s")
        await until(pilot, lambda: app.repl.choices.items == ("second",))
        await pilot.press("enter")
        await until(pilot, lambda: client.sent == [("px", "x.s", "all")])
        assert app.repl.choices.items == ()


async def test_an_engine_that_does_not_answer_is_named() -> None:
    client = ScriptedClient()
    client.hold = threading.Event()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "pri")
        await pilot.press("tab")
        await until(pilot, lambda: "engine 0 does not answer" in app.screen_text)
        client.hold.set()


async def test_history_prefix_ghost_and_search() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=SIZE) as pilot:
        for text in ("import numpy as np", "x = np.ones(3)", "x.sum()"):
            await run_cell(pilot, text)
        await until(pilot, lambda: len(app.repl.history.cells) == 3)
        await type_in(pilot, "x")
        await until(pilot, lambda: app.repl.editor.suggestion == ".sum()")
        await pilot.press("right")
        assert app.repl.editor.text == "x.sum()"
        app.repl.editor.put("")
        await type_in(pilot, "x ")
        await pilot.press("up")
        assert app.repl.editor.text == "x = np.ones(3)"
        await pilot.press("down")
        assert app.repl.editor.text == "x "
        app.repl.editor.put("")
        await pilot.press("ctrl+r")
        await type_in(pilot, "numpy")
        await until(pilot, lambda: app.repl.choices.items == ("import numpy as np",))
        await pilot.press("enter")
        assert app.repl.editor.text == "import numpy as np"


async def test_cards_are_walked_unfolded_taken_back_and_run_again() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        for text in ("first()", "second()"):
            card = await run_cell(pilot, text)
            await until(pilot, lambda: card.sent is not None)  # noqa: B023
            for index in range(4):
                client.results[-1].ends(index, error=failure("ValueError", "no"))
            await until(pilot, lambda: not card.open)  # noqa: B023
        first, second = app.repl.cards.cards
        await pilot.press("ctrl+up")
        assert app.repl.cards.here_card() is second
        await pilot.press("ctrl+up")
        assert app.repl.cards.here_card() is first
        await pilot.press("enter")
        assert first.unfolded
        await until(pilot, lambda: "Traceback (most recent call last):" in app.screen_text)
        await pilot.press("T")
        await until(pilot, lambda: len(client.sent) == 3)
        assert client.sent[-1][1] == "first()"
        await pilot.press("ctrl+up", "ctrl+up", "ctrl+up", "e")
        assert app.repl.editor.text == "first()"
        assert app.repl.editor.has_focus


async def test_block_makes_the_prompt_wait() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await run_cell(pilot, "%block")
        card = await run_cell(pilot, "x")
        await until(pilot, lambda: card.sent is not None)
        await type_in(pilot, "y")
        await pilot.press("enter")
        await until(pilot, lambda: "the prompt waits for" in app.screen_text)
        assert len(client.sent) == 1
        for index in range(4):
            client.results[0].ends(index)
        await until(pilot, lambda: not card.open)
        await pilot.press("enter")
        await until(pilot, lambda: len(client.sent) == 2)


async def test_readonly_sends_nothing() -> None:
    client = ScriptedClient()
    app = ReplApp(client, Options(readonly=True))
    async with app.run_test(size=SIZE) as pilot:
        await type_in(pilot, "x")
        await pilot.press("enter")
        await until(pilot, lambda: "read-only" in app.screen_text)
        assert client.sent == []
        assert app.repl.cards.cards == []


async def test_foreign_text_draws_no_escape_and_is_no_markup() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await run_cell(pilot, "x")
        await until(pilot, lambda: card.sent is not None)
        for index in range(4):
            client.results[0].ends(index, "[red]a\x1b]0;title\x07b", stdout="\x1b[2Jc\n")
        await until(pilot, lambda: not card.open)
        await until(pilot, lambda: "4 × [red]ab" in app.screen_text)
        assert "\x1b" not in app.screen_text
        assert "c" in app.screen_text


async def test_a_thousand_cards_are_as_many_widgets_as_none() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=SIZE) as pilot:
        before = len(app.screen.query("*"))
        for number in range(1100):
            card = Card(number + 1, Mode.PX, "px[all]", f"cell {number}", 0.0, total=4)
            card.parts = (Part(0, True, "x"), Part(1, False, ename="E"))
            card.end(State.DONE, 1.0)
            app.repl.cards.add(card)
        app.repl.cards.pull_now(force=True)
        await pilot.pause()
        assert len(app.screen.query("*")) == before
        assert len(app.repl.cards.cards) == 1000
        assert "cell 1099" in app.screen_text


@pytest.mark.parametrize("size", [(40, 4), (60, 3), (80, 5), (80, 12), (200, 40)])
async def test_every_size_shows_the_prompt(size: tuple[int, int]) -> None:
    client = ScriptedClient()
    app = ReplApp(client, glyphs=ASCII)
    async with app.run_test(size=size) as pilot:
        card = await run_cell(pilot, "x = 1\ny = 2\nz = 3")
        await until(pilot, lambda: card.sent is not None)
        for index in range(4):
            client.results[0].ends(index, "1")
        await until(pilot, lambda: not card.open)
        app.repl.editor.put("a\n" * 20 + "last")
        await until(pilot, lambda: "last" in app.screen_text)
        await until(pilot, lambda: "px[all]>" in app.screen_text)
        assert app.screen_text.isascii()


async def test_leaving_is_quick_with_a_local_cell_running() -> None:
    app = ReplApp(ScriptedClient())
    async with app.run_test(size=SIZE) as pilot:
        app.repl.go_to(app.repl.where.in_mode(Mode.LOCAL))
        card = await run_cell(pilot, "print('begun')\nwhile True: pass")
        await until(pilot, lambda: len(card.printed) > 0)
        pid = app.repl.runs.local.pid
        clock = app.desk.clock
        began = clock.monotonic()
        app.repl.runs.close()
        assert clock.monotonic() - began < PATIENCE  # it would be for ever
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists()
        await asyncio.sleep(0)


async def test_what_is_typed_ahead_finds_its_place() -> None:
    """Keys that come faster than they are handled: a new cell after enter, a search, and back to the text."""
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        keys = [*"one()", "enter", *"two()", "enter", *"th", "ctrl+g", "1", "enter", *"ree()", "enter"]
        for key in keys:
            character = key if len(key) == 1 else None
            app.post_message(events.Key({"(": "left_parenthesis", ")": "right_parenthesis"}.get(key, key), character))
        await until(pilot, lambda: len(client.sent) == 3)
        assert client.sent == [("px", "one()", "all"), ("px", "two()", "all"), ("px", "three()", [1])]
