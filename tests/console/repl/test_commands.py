"""The pane's commands: what each answers, sends or asks."""

from __future__ import annotations

from pathlib import Path

from tests.console.repl.cells import SIZE, run_cell
from tests.console.repl.scripted import ReplApp, ScriptedClient, until
from tuiparallel.console.repl.modes import Mode, Targets


async def test_commands_answer_in_cards(tmp_path: Path) -> None:
    client = ScriptedClient()
    client.answers["names"] = [["x", "ndarray", "(3,)"], ["evil\x1b[31m", "int", ""]]
    client.answers["inspect"] = "sum(iterable)\nAdds."
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        await run_cell(pilot, "%targets 0-2")
        assert app.repl.where.targets == Targets((0, 1, 2))
        card = await run_cell(pilot, "%who")
        await until(pilot, lambda: not card.open)
        assert card.text[0].split() == ["x", "ndarray", "(3,)"]
        assert "\x1b" not in "".join(card.text)
        card = await run_cell(pilot, "sum?")
        await until(pilot, lambda: not card.open)
        assert card.text == ["sum(iterable)", "Adds."]
        card = await run_cell(pilot, "%group order")
        assert "order" in card.text[0]
        card = await run_cell(pilot, "%autopx")
        modes = [app.repl.where.mode]
        await run_cell(pilot, "%autopx")
        modes.append(app.repl.where.mode)
        assert modes == [Mode.LOCAL, Mode.PX]
        await run_cell(pilot, "x = 1")
        path = tmp_path / "cells.py"
        card = await run_cell(pilot, f"%save {path}")
        await until(pilot, lambda: not card.open)
        assert "x = 1" in path.read_text()
        card = await run_cell(pilot, f"%save {path}")
        await until(pilot, lambda: not card.open)
        assert "exists" in card.notes[0]
        card = await run_cell(pilot, "%history x =")
        assert any("x = 1" in line for line in card.text)
        card = await run_cell(pilot, "%result 99")
        assert card.notes == ["there is no cell 99"]
        card = await run_cell(pilot, "%magics map")
        assert "%%map" in card.text[0]
        app.repl.editor.put("%nonsense")
        await pilot.press("f5")
        await until(pilot, lambda: "there is no magic %nonsense" in app.screen_text)


async def test_abort_and_interrupt_by_number() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await run_cell(pilot, "x")
        await until(pilot, lambda: card.sent is not None)
        client.running = {"abc-0"}
        await run_cell(pilot, "%abort 1")
        await until(pilot, lambda: len(client.aborted) == 1)
        assert client.signalled == []
        await run_cell(pilot, "%interrupt")
        await until(pilot, lambda: client.signalled == ["abc-0"])


async def test_reset_asks_first() -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    async with app.run_test(size=SIZE) as pilot:
        card = await run_cell(pilot, "%reset")
        await until(pilot, lambda: "lose all names on 4 engines (e0-3)?" in app.screen_text)
        assert app.repl.asked is not None
        app.repl.asked.asked -= 1
        await pilot.press("enter")
        await until(pilot, lambda: not card.open)
        assert client.cleared == []
        card = await run_cell(pilot, "%reset")
        app.repl.asked.asked -= 1
        await pilot.press("y")
        await until(pilot, lambda: not card.open)
        assert client.cleared == [[0, 1, 2, 3]]


async def test_run_sends_a_files_text(tmp_path: Path) -> None:
    client = ScriptedClient()
    app = ReplApp(client)
    path = tmp_path / "job.py"
    path.write_text("y = 3\n")
    async with app.run_test(size=SIZE) as pilot:
        await run_cell(pilot, f"%run {path}")
        await until(pilot, lambda: bool(client.sent))
        assert client.sent[0] == ("px", "y = 3\n", "all")
        card = await run_cell(pilot, f"%run {path}.nope")
        await until(pilot, lambda: not card.open)
        assert "No such file" in card.notes[0]
