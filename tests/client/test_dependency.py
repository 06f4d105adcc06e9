"""Dependency, and what `after` and `follow` take."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.client.dependency import Dependency, as_need

IDS = ["ab-1", "ab-2", "ab-3"]


@given(st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS)), st.booleans(), st.sampled_from(["s", "f", "sf"]))
def test_it_is_met_or_unreachable_but_not_both(done: set[str], bad: set[str], every: bool, counts: str) -> None:
    bad -= done
    dependency = Dependency(IDS[:2], all=every, success="s" in counts, failure="f" in counts)
    met, hopeless = dependency.check(done, bad), dependency.unreachable(done, bad)
    assert not (met and hopeless)
    if set(IDS[:2]) <= done | bad:
        assert met or hopeless
    ended = [name for name in IDS[:2] if ("s" in counts and name in done) or ("f" in counts and name in bad)]
    assert met == (len(ended) == 2 if every else bool(ended))


def test_an_empty_one_is_met() -> None:
    assert Dependency().check([]) and not Dependency([]).unreachable([])
    assert as_need("after", None) is as_need("after", []) is as_need("after", Dependency()) is None


def test_there_and_back_as_plain_data_and_as_a_pickle() -> None:
    dependency = Dependency(IDS, all=False, failure=True)
    for copy in (Dependency.from_dict(dependency.as_dict()), pickle.loads(pickle.dumps(dependency))):
        assert copy == dependency and (copy.all, copy.success, copy.failure) == (False, True, True)
    with pytest.raises(ValueError, match="'every'"):
        Dependency.from_dict({"every": True})


def test_needs_are_ranges() -> None:
    need = as_need("after", ["ab-2", "ab-1", ("cd-7", ["ab-3"])])
    assert need is not None and need.tasks == [("ab", 1, 3), ("cd", 7, 1)]
    odd = as_need("after", "nope")
    assert odd is not None and odd.tasks == [("nope", -1, 1)]


@pytest.mark.parametrize("value", [5, 1.5, [1], object(), b"ab-1"])
def test_what_stands_for_no_task(value: Any) -> None:
    with pytest.raises(ValueError, match="after=.*msg_id, an AsyncResult"):
        as_need("after", value)
