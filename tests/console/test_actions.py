"""The registry: no action without help, reason and deed; no key twice; what is drawn comes from it."""

from __future__ import annotations

import pytest

from tests.console.driving import console, small_cluster
from tuiparallel.console.actions import Action, Here, Registry, always
from tuiparallel.console.catalogue import ACTIONS, PANES
from tuiparallel.console.desk import Options


async def test_every_action_has_help_a_reason_and_a_deed() -> None:
    async with console(small_cluster()) as it:
        assert it.app.registry.unbound() == []
        for action in it.app.registry:
            assert action.title and len(action.help) > 8, f"{action.id} has no help"
            assert callable(action.why_disabled), f"{action.id} has no why_disabled"


def test_what_changes_the_cluster_is_no_plain_key() -> None:
    for action in ACTIONS:
        if action.level and action.where != "cluster":
            assert all(len(key) == 1 and key.isupper() for key in action.keys), action.id


def test_what_changes_the_cluster_shows_its_python_and_is_off_when_read_only() -> None:
    here = Here("engines", "engine", (1,), readonly=True)
    for action in ACTIONS:
        if action.level:
            assert action.python.startswith("rc."), action.id
            assert action.why_disabled(here), f"{action.id} works in a read-only console"


def test_nothing_sits_on_keys_that_fingers_press_by_mistake() -> None:
    acting = {key for action in ACTIONS if action.level for key in action.keys}
    assert not acting & {"ctrl+k", "ctrl+d", "alt+enter", "enter", "space"}


def test_each_pane_has_its_number() -> None:
    registry = Registry(ACTIONS)
    for number, name in enumerate(PANES):
        found = registry.by_key(str(number), ("engines", "lists", "everywhere"))
        assert found is not None and found.id == f"pane.{name}"


def test_a_key_or_an_id_cannot_be_taken_twice() -> None:
    registry = Registry(ACTIONS)
    with pytest.raises(ValueError, match="belongs to 'help'"):
        registry.add(Action("other", "Other", ("?",), "everywhere", "what it does", always), lambda: None)
    with pytest.raises(ValueError, match="registered twice"):
        registry.add(Action("help", "Help", (), "everywhere", "what it does", always), lambda: None)


def test_a_disabled_action_says_why_instead_of_doing() -> None:
    done: list[int] = []
    registry = Registry()
    registry.add(
        Action("x", "Explode", ("X",), "lists", "what it does", lambda here: "no fuse"), lambda: done.append(1)
    )
    assert registry.perform("x", Here()) == "Explode: no fuse"
    assert done == []


async def test_a_dim_key_says_why_when_pressed() -> None:
    async with console(small_cluster(), options=Options(readonly=True)) as it:
        await it.press("A")
        assert "read-only" in it.said
        assert it.client.calls == []


async def test_help_lists_the_keys_of_this_place_and_runs_one() -> None:
    async with console(small_cluster()) as it:
        await it.press("?")
        frame = it.frame()
        assert "in engines" in frame and "Where is it" in frame and "in any list" in frame
        await it.type("freeze")
        await it.press("enter")
        assert it.app.screen is it.app.main
        assert it.app.main.engines.frozen_since is not None


async def test_the_palette_finds_engines_and_actions() -> None:
    async with console(small_cluster()) as it:
        await it.press("ctrl+p")
        await it.type("engine 2")
        await it.until(lambda: "Engine 2" in it.frame())
        await it.press("enter")
        await it.until(lambda: it.app.main.inspector.subject is not None)
        subject = it.app.main.inspector.subject
        assert subject is not None and subject.key == 2
