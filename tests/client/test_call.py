"""What a client knows of a Submit's tasks: values unpacked once, and what cannot be unpacked."""

from __future__ import annotations

import pytest

from tuiparallel.client.call import Call
from tuiparallel.errors import DeserializationError
from tuiparallel.wire.messages import Outcome
from tuiparallel.wire.objects import pack
from tuiparallel.wire.states import State


def ended(*bodies: bytes) -> Call:
    call = Call("ab", 0, len(bodies), None, None, None)
    for index, body in enumerate(bodies):
        assert call.settle(index, Outcome(index, State.DONE, 0, 1.0, 2.0, 1, body), 3.0)
    return call


def test_values_come_in_order_and_are_unpacked_once() -> None:
    values = [[1], "x" * 10_000, None, (2, 3)]
    call = ended(*(pack(value).body for value in values))
    assert call.values_of(1, 3) == values[1:]
    assert call.values_of(0, 4) == values and not call.errors
    assert call.values_of(0, 4)[0] is call.value(0)
    assert call.result_size(1) == len(pack(values[1]).body)


def test_what_cannot_be_unpacked_stands_in_errors() -> None:
    call = ended(pack(1).body, b"\x80\x05nonsense", pack(3).body)
    call.values_of(0, 3)
    assert call.errors is not None and list(call.errors) == [1]
    assert isinstance(call.errors[1], DeserializationError)
    assert call.value(2) == 3
    with pytest.raises(DeserializationError):
        call.value(1)
