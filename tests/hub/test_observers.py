"""Observers that read, that stop reading, and that begin again."""

from __future__ import annotations

import pytest

from tests.hub.stage import ClientPeer, Stage, balanced
from tuiparallel.hub.observers import ASK_EVERY, PATIENCE
from tuiparallel.link.doors import Role, Sent
from tuiparallel.link.link import LinkState
from tuiparallel.wire.messages import Delta, Observe, Seen, Snapshot


def work(stage: Stage, client: ClientPeer, tasks: int, seconds: float) -> None:
    """So many tasks run, `seconds` apart."""
    for _ in range(tasks):
        client.outcome(client.submit(balanced()))
        stage.advance(seconds, 0.1)


def test_who_reads_is_asked_about_once_a_second_and_told_everything(stage: Stage) -> None:
    client, watcher = stage.client(), stage.client("ob", observer=True)
    stage.engine(auto=True)
    watcher.watch()
    begun = stage.clock.monotonic()
    work(stage, client, 20, 0.5)
    asked = sum(delta.confirm for delta in watcher.deltas())
    passed = stage.clock.monotonic() - begun
    assert passed / ASK_EVERY / 2 <= asked <= passed / ASK_EVERY + 1
    assert len(watcher.of(Snapshot)) == 1
    stage.until(lambda: watcher.deltas()[-1].counters.done == 20)


def test_who_does_not_confirm_costs_nothing_until_it_reads_again(stage: Stage) -> None:
    client, watcher = stage.client(), stage.client("ob", observer=True)
    stage.engine(auto=True)
    watcher.watch()
    watcher.confirms = False
    work(stage, client, 2, 1.1 * ASK_EVERY)
    asked = next(delta.number for delta in watcher.deltas() if delta.confirm)
    work(stage, client, 2, PATIENCE)
    told = len(watcher.deltas())
    assert not stage.book.feed.observers, "nobody reads: nothing is gathered"
    work(stage, client, 10, 0.5)
    assert len(watcher.deltas()) == told and len(watcher.of(Snapshot)) == 1
    watcher.confirms = True
    watcher.link.send(Seen(asked))
    stage.until(lambda: len(watcher.of(Snapshot)) == 2)
    snapshot = watcher.of(Snapshot)[-1]
    assert snapshot.skipped == snapshot.counters.done - watcher.deltas()[-1].counters.done >= 10
    work(stage, client, 1, 0.5)
    assert watcher.deltas()[told].number == snapshot.number + 1


def test_one_that_does_not_read_keeps_nothing_from_one_that_does(stage: Stage) -> None:
    client = stage.client()
    reader, sleeper = stage.client("ob", observer=True), stage.client("oc", observer=True)
    stage.engine(auto=True)
    reader.watch()
    sleeper.watch()
    sleeper.confirms = False
    work(stage, client, 12, 0.5)
    stage.until(lambda: reader.deltas()[-1].counters.done == 12)
    assert len(sleeper.deltas()) < len(reader.deltas())
    assert stage.book.feed.observers == 1


def test_a_sleeper_that_asks_again_gets_a_snapshot_that_says_what_it_missed(stage: Stage) -> None:
    client, watcher = stage.client(), stage.client("ob", observer=True)
    stage.engine(auto=True)
    watcher.watch()
    watcher.confirms = False
    work(stage, client, 10, 0.5)
    watcher.link.send(Observe())
    stage.until(lambda: len(watcher.of(Snapshot)) == 2)
    assert watcher.of(Snapshot)[-1].skipped > 0


def test_one_that_was_cut_off_is_told_what_it_missed(stage: Stage) -> None:
    client, watcher = stage.client(), stage.client("ob", observer=True)
    stage.engine(auto=True)
    watcher.watch()
    work(stage, client, 2, 0.5)
    session = stage.book.registry.session_of_hex["ob"]
    assert session.peer is not None
    stage.doors.forget(Role.CLIENT, session.peer)
    stage.loop.clients.gone(session)
    work(stage, client, 5, 0.1)
    watcher.link.send(Observe())  # its hub does not know this connection any more, and lets it say Hello
    stage.until(lambda: session.peer is not None and watcher.link.state is LinkState.LIVE)
    watcher.link.send(Observe())
    stage.until(lambda: len(watcher.of(Snapshot)) > 1)
    assert watcher.of(Snapshot)[1].skipped == 5


def test_asking_for_a_snapshot_is_no_gap(stage: Stage) -> None:
    client, watcher = stage.client(), stage.client("ob", observer=True)
    stage.engine(auto=True)
    watcher.watch()
    work(stage, client, 3, 0.1)
    watcher.link.send(Observe())
    stage.until(lambda: len(watcher.of(Snapshot)) == 2)
    assert watcher.of(Snapshot)[-1].skipped == 0


def test_whose_pipe_is_full_is_tried_again_and_told_what_it_missed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, engine = stage.client(), stage.engine(auto=True)
    client.watch()
    send, full = stage.doors.send, True
    snapshots: list[bool] = []

    def maybe(role, peer, message):  # type: ignore[no-untyped-def]
        if full and isinstance(message, (Delta, Snapshot)):
            snapshots.append(isinstance(message, Snapshot))
            return Sent.AGAIN
        return send(role, peer, message)

    monkeypatch.setattr(stage.doors, "send", maybe)
    work(stage, client, 6, 0.2)
    assert sum(snapshots) <= 2, "they are not made for nothing"
    seen = len(client.deltas())
    full = False
    stage.advance(1.5)
    client.submit(balanced())
    stage.until(lambda: len(client.of(Snapshot)) == 2)
    snapshot = client.of(Snapshot)[1]
    assert snapshot.skipped >= 5 and snapshot.counters.done >= 6
    client.submit(balanced())
    stage.until(lambda: len(client.deltas()) > seen)
    assert client.deltas()[seen].number == snapshot.number + 1
    assert engine.starts
