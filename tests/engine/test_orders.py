"""Template and supervisor understand each other."""

from __future__ import annotations

from tuiparallel.engine import orders


def test_each_message_arrives_as_it_was() -> None:
    template, supervisor = orders.pair()
    many = [(f"{i:032x}", i if i % 2 else None) for i in range(orders.MOST_AT_ONCE)]
    up = [orders.Fork(many), orders.Kill("u", 9), orders.End("why")]
    down = [
        orders.Forked([(uuid, 1 << 22, was) for uuid, was in many], True),
        orders.Gone("u", 5, None, 9, 1 << 30, 1.5),
        orders.Hub(7),
        orders.Ending("why"),
    ]
    for order in up:
        assert orders.send(supervisor, order)
        assert orders.receive_up(template) == order
    for answer in down:
        assert orders.send(template, answer)
        assert orders.receive_down(supervisor) == answer
    template.close()
    assert orders.receive_down(supervisor) is None
    assert not orders.send(supervisor, orders.End("nobody"))
    supervisor.close()
