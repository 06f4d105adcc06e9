"""Which port a hub takes, and what '*' stands for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tuiparallel.link.ports import bind, endpoint, opened, opened_at, reachable


@pytest.fixture
def router() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        yield socket


def test_a_random_port_is_none_that_outgoing_connections_get(router: zmq.Socket[bytes]) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = bind(router, endpoint("127.0.0.1"))
    assert found.startswith("tcp://127.0.0.1:")
    assert 10_000 <= int(found.rpartition(":")[2]) < first


def test_a_named_port_that_is_taken_is_refused(router: zmq.Socket[bytes]) -> None:
    found = bind(router, "tcp://127.0.0.1:*")
    with router.context.socket(zmq.ROUTER) as other:
        with pytest.raises(zmq.ZMQError, match="in use"):
            bind(other, found)


def test_everywhere_is_each_address_of_this_machine_loopback_last() -> None:
    for bound in ("tcp://*:77", "tcp://0.0.0.0:77"):
        found = opened(bound)
        assert found[-1] == "tcp://127.0.0.1:77" and all(each.endswith(":77") for each in found)
        assert reachable(bound) == found[0]
        assert opened_at("*", found[0]) == found


def test_one_address_stands_for_itself() -> None:
    for bound in ("tcp://127.0.0.1:77", "tcp://[::1]:77", "ipc:///a/c.ipc"):
        assert opened(bound) == [bound] and reachable(bound) == bound
    assert endpoint("::1") == "tcp://[::1]:*"
    assert opened_at("::1", "tcp://[::1]:5") == ["tcp://[::1]:5"]
