"""Flags: what they may be, and per thread and block."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import pytest

from tuiparallel.client.flags import Flag, Flagged, given


class Thing(Flagged):
    FLAGS: ClassVar[tuple[str, ...]] = ("block", "label", "retries", "timeout", "after")
    block = Flag()
    label = Flag()
    retries = Flag()


def test_flags_are_attributes_with_defaults() -> None:
    thing = Thing(label="x")
    assert (thing.block, thing.label, thing.retries) == (False, "x", 0)
    thing.block = True
    assert thing.set_flags(retries=2) is thing and thing.retries == 2 and thing.block


def test_temp_flags_hold_for_their_block_and_nest() -> None:
    thing = Thing()
    before = thing._flags_now()
    with thing.temp_flags(label="outer", retries=1):
        with thing.temp_flags(label="inner"):
            assert (thing.label, thing.retries) == ("inner", 1)
            thing.retries = 5
        assert (thing.label, thing.retries) == ("outer", 5)
    assert (thing.label, thing.retries) == (None, 0) and thing._flags_now() is before


def test_temp_flags_are_undone_after_an_error() -> None:
    thing = Thing()
    with pytest.raises(ZeroDivisionError), thing.temp_flags(block=True):
        1 / 0  # noqa: B018
    assert thing.block is False


def test_other_threads_do_not_see_them() -> None:
    thing = Thing()
    seen: list[Any] = []
    with thing.temp_flags(label="mine"):
        thread = threading.Thread(target=lambda: seen.append(thing.label))
        thread.start()
        thread.join()
    assert seen == [None]


def test_bad_flags_change_nothing() -> None:
    thing = Thing()
    with pytest.raises(TypeError):
        thing.set_flags(block=True, label=5)
    assert thing.block is False
    with pytest.raises(KeyError, match="did you mean 'label'"):
        thing.set_flags(lable="x")
    with pytest.raises(AttributeError, match="did you mean 'label'"):
        thing.lable = "x"


def test_values_are_normalised() -> None:
    assert given("timeout", 0, None) is None and given("timeout", 5, None) == 5.0
    assert given("retries", 3, 0) == 3 and given("block", None, True) is True
    with pytest.raises(TypeError):
        given("retries", True, 0)
