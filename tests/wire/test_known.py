"""The two ends of a connection agree on which functions have crossed it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiparallel.wire.known import KnownFunctions


@given(
    uses=st.lists(st.integers(0, 12), max_size=200),
    sizes=st.lists(st.integers(0, 60), min_size=13, max_size=13),
    count_limit=st.integers(0, 8),
    byte_limit=st.integers(0, 150),
)
def test_mirrored_ends_never_disagree(uses: list[int], sizes: list[int], count_limit: int, byte_limit: int) -> None:
    sender = KnownFunctions(count_limit, byte_limit)
    receiver = KnownFunctions(count_limit, byte_limit)
    for number in uses:
        hash, code = bytes([number]) * 16, bytes([number]) * sizes[number]
        if sender.needs_code(hash, len(code)):
            receiver.learn(hash, code)
        else:
            assert receiver.get(hash) == code
        assert list(sender._sizes.items()) == list(receiver._sizes.items())
        assert sender.bytes == receiver.bytes == sum(sender._sizes.values()) <= byte_limit
        assert len(sender) == len(receiver) == len(receiver._codes) <= count_limit


def test_a_function_crosses_once() -> None:
    known = KnownFunctions()
    assert known.needs_code(b"f", 10) is True
    assert known.needs_code(b"f", 10) is False
    assert b"f" in known and b"g" not in known


def test_the_least_recently_used_goes_first() -> None:
    known = KnownFunctions(count_limit=2)
    for hash in (b"a", b"b", b"a", b"c"):
        known.needs_code(hash, 1)
    assert b"a" in known and b"b" not in known


def test_what_is_too_large_is_never_remembered() -> None:
    known = KnownFunctions(byte_limit=10)
    known.needs_code(b"small", 5)
    assert known.needs_code(b"large", 11) and known.needs_code(b"large", 11)
    assert b"small" in known and known.bytes == 5


def test_a_new_connection_starts_from_nothing() -> None:
    known = KnownFunctions()
    known.learn(b"f", b"code")
    known.learn(b"f", b"code")
    assert known.get(b"f") == b"code" and len(known) == 1
    known.clear()
    assert len(known) == 0 and known.bytes == 0
    with pytest.raises(KeyError):
        known.get(b"f")
