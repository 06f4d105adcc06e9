"""The REPL's pane on a real cluster: keys in, processes running, cards out."""

from __future__ import annotations

from typing import Any

from tests.conftest import PATIENCE
from tests.console.repl.scripted import ReplApp, until
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.console.repl.card import Card, State
from tuiparallel.console.repl.modes import Mode, Targets

SIZE = (120, 36)


async def run_cell(pilot: Any, text: str, mode: Mode = Mode.PX) -> Card:
    """Puts a cell at the prompt and runs it."""
    repl = pilot.app.repl
    count = len(repl.cards.cards)
    repl.go_to(repl.where.in_mode(mode))
    repl.editor.put(text)
    await pilot.press("f5")
    await until(pilot, lambda: len(repl.cards.cards) > count, "a card")
    card: Card = repl.cards.cards[count]
    return card


async def finished(pilot: Any, text: str, mode: Mode = Mode.PX) -> Card:
    """Runs a cell to its end."""
    card = await run_cell(pilot, text, mode)
    await until(pilot, lambda: not card.open, f"the end of {text!r}", PATIENCE)
    return card


async def test_px_shows_one_pid_per_engine(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await finished(pilot, "import os\nos.getpid()")
        assert card.state is State.DONE
        assert len({part.value for part in card.parts}) == 4
        await until(pilot, lambda: "4 different:" in app.screen_text)
        card = await finished(pilot, "print('here')\n1 / 0")
        assert card.state is State.ERRORS
        await until(
            pilot, lambda: "4 × ZeroDivisionError: division by zero   e0-3   line 2 of this cell" in app.screen_text
        )
        app.repl.aim(Targets((1,)))
        card = await finished(pilot, "x = 'only here'\nx")
        assert [part.place for part in card.parts] == [1]
        assert client[:].apply_sync(lambda: "x" in globals()) == [False, True, False, False]


async def test_lb_runs_once_and_says_where(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await finished(pilot, "import os\nname = 'kept'\nprint('printed')\nos.getpid()", Mode.LB)
        pids = client[:].apply_sync(lambda: __import__("os").getpid())
        place = card.parts[0].place
        assert place is not None
        assert card.parts[0].value == str(pids[client.ids.index(place)])
        await until(pilot, lambda: f"{card.parts[0].value}   on e{place}" in app.screen_text)
        assert "printed" in app.screen_text
        assert client[place]["name"] == "kept"


async def test_map_keeps_order_and_folds_failures(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await finished(pilot, "scale = 3")
        await finished(pilot, "def numbers():\n    return range(5)\n", Mode.LOCAL)
        card = await finished(pilot, "%%map x in numbers()\ny = x * scale\ny")
        assert [part.value for part in card.parts] == ["0", "3", "6", "9", "12"]
        assert (card.done, card.total) == (5, 5)
        card = await finished(
            pilot, "%%map -c 50 a, b in zip(range(1000), range(1000))\nif a % 2:\n    raise ValueError(a)\na + b"
        )
        assert card.state is State.ERRORS
        assert card.failed == 500
        await until(pilot, lambda: "ValueError" in app.screen_text)
        card = await finished(pilot, "Out[3].get() if 3 in Out else None", Mode.LOCAL)
        assert card.parts[0].value == "[0, 3, 6, 9, 12]"
        card = await finished(pilot, "%%map x in []\nx")
        assert card.state is State.DONE


async def test_local_has_rc_and_views_and_shows_the_progress_of_what_it_submits(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await finished(pilot, "a = 5")
        card = await finished(pilot, "rc.ids, dview['a'], lview.apply_sync(abs, -3)", Mode.LOCAL)
        assert card.parts[0].value == "([0, 1, 2, 3], [5, 5, 5, 5], 3)"
        card = await run_cell(
            pilot, "import time\nar = lview.map(lambda x: time.sleep(0.02), range(200))", Mode.LOCAL
        )
        await until(pilot, lambda: card.total == 200 and 0 < card.done < 200, "progress")
        assert card.state is State.RUNNING
        other = await finished(pilot, "'free meanwhile'", Mode.LOCAL)
        assert other.state is State.DONE
        await until(pilot, lambda: not card.open, "the map", PATIENCE)
        assert (card.state, card.done) == (State.DONE, 200)
        card = await finished(pilot, "Out[1].get()[0].execute_result, In[1]", Mode.LOCAL)
        assert "'a = 5'" in card.parts[0].value
        app.repl.aim(Targets((0, 2)))
        card = await finished(pilot, "dview.targets", Mode.LOCAL)
        assert card.parts[0].value == "[0, 2]"


async def test_push_pull_scatter_gather(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await finished(pilot, "word = 'hi'; row = list(range(8))", Mode.LOCAL)
        for text in ("%push word", "%scatter row"):
            card = await finished(pilot, text)
            assert card.state is State.DONE, card.parts
        card = await finished(pilot, "word, row")
        assert [part.value for part in card.parts][:1] == ["('hi', [0, 1])"]
        card = await finished(pilot, "%pull word")
        assert card.parts[0].value == "['hi', 'hi', 'hi', 'hi']"
        card = await finished(pilot, "%gather row")
        assert card.parts[0].value == "[0, 1, 2, 3, 4, 5, 6, 7]"


async def test_ctrl_c_interrupts_what_runs_and_aborts_what_waits(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        loop = await run_cell(pilot, "while True: pass")
        behind = await run_cell(pilot, "'never'")
        await until(pilot, lambda: behind.sent is not None)
        app.repl.runs.stop(behind)
        await until(pilot, lambda: not behind.open)
        assert behind.state is State.ABORTED
        assert loop.open
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not loop.open)
        assert loop.state is State.INTERRUPTED
        assert {part.ename for part in loop.parts} == {"KeyboardInterrupt"}
        card = await finished(pilot, "'alive'")
        assert {part.value for part in card.parts} == {"'alive'"}


async def test_another_clients_task_is_not_touched(cluster: Cluster, client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        with cluster.connect() as other:
            app.repl.aim(Targets((0,)))
            theirs = other[0].apply_async(lambda: __import__("time").sleep(1.0) or "theirs")
            card = await run_cell(pilot, "1")
            await until(pilot, lambda: card.sent is not None)
            await pilot.press("ctrl+c")
            await until(pilot, lambda: not card.open)
            assert theirs.get(PATIENCE) == "theirs"


async def test_a_busy_engine_completes_and_tells_its_names(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await finished(pilot, "residuals = [1]\ndef area(width, height): 'Says how large.'\n")
        loop = await run_cell(pilot, "while True: pass")
        app.repl.editor.put("resid")
        await pilot.press("tab")
        await until(pilot, lambda: app.repl.editor.text == "residuals")
        app.repl.editor.put("area(")
        await pilot.press("shift+tab")
        await until(pilot, lambda: "area: function" in app.screen_text and "width, height" in app.screen_text)
        card = await finished(pilot, "%who")
        assert any(line.split()[:2] == ["residuals", "list"] for line in card.text)
        card = await finished(pilot, "area?")
        assert "Says how large." in card.text
        app.repl.runs.stop(loop)
        await until(pilot, lambda: not loop.open)


async def test_shell_and_run_happen_where_the_cell_would(client: Client, tmp_path: Any) -> None:
    app = ReplApp(client)
    path = tmp_path / "job.py"
    path.write_text("value = 6 * 7\nvalue\n")
    async with app.run_test(size=SIZE) as pilot:
        card = await finished(pilot, "!echo from the shell")
        assert [part.stdout for part in card.parts] == ["from the shell\n"] * 4
        for mode in Mode:
            card = await finished(pilot, f"%run {path}", mode)
            assert {part.value for part in card.parts} == {"42"}


async def test_the_childs_deaths_leave_the_cluster_alone(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await finished(pilot, "import ctypes; ctypes.string_at(0)", Mode.LOCAL)
        assert card.state is State.LOST
        card = await finished(pilot, "rc.ids", Mode.LOCAL)
        assert card.parts[0].value == "[0, 1, 2, 3]"


async def test_interrupting_a_local_cells_map_tells_what_became_of_it(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        text = "import time\nar = lview.map(lambda x: time.sleep(0.05), range(400))"
        card = await run_cell(pilot, text, Mode.LOCAL)
        await until(pilot, lambda: card.total == 400 and card.done > 4, "progress")
        app.repl.runs.stop(card)
        await until(pilot, lambda: not card.open, "the end", PATIENCE)
        assert card.state is State.INTERRUPTED
        assert 0 < card.failed < 400
        card = await run_cell(pilot, "%%map x in range(400)\nimport time\ntime.sleep(0.05)\nx")
        await until(pilot, lambda: card.total == 400 and card.done > 4, "progress")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not card.open, "the end", PATIENCE)
        assert card.state is State.INTERRUPTED
        assert "AbortedTask" in {part.ename for part in card.parts}


async def test_100_000_elements_come_back_in_order(client: Client) -> None:
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await run_cell(pilot, "%%map x in range(100_000)\nif x % 1000 == 7: raise ValueError(x)\nx * 2")
        await until(pilot, lambda: not card.open, "the end", 60)
        assert (card.done, card.total, card.failed) == (100_000, 100_000, 100)
        assert [part.value for part in card.parts[:5]] == ["0", "2", "4", "6", "8"]
        assert [(part.ename, part.count) for part in card.parts if not part.ok] == [("ValueError", 100)]
        check = "results = Out[1].get(return_exceptions=True)\nlen(results), [r for r in results if not isinstance(r, Exception)][-1]"
        card = await finished(pilot, check, Mode.LOCAL)
        assert card.parts[0].value == "(100000, 199998)"
