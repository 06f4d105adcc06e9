"""A client's session over a real socket, with a hub that follows a script."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import ScriptedHub, accepting, connected, echoing, scripted, silent, until
from tuiparallel.client.client import Client
from tuiparallel.errors import (
    AuthenticationError,
    ClientClosed,
    ConnectTimeout,
    HubUnreachable,
    ProtocolMismatch,
    StorageFull,
)
from tuiparallel.wire.messages import (
    Accepted,
    ClientBye,
    ErrorText,
    Got,
    Message,
    Notice,
    Query,
    Refused,
    Rejected,
    Reply,
    Submit,
)


@pytest.fixture
def place(home: Path) -> Path:
    folder = home / "hub"
    folder.mkdir()
    return folder


def test_a_lone_call_leaves_at_once_and_a_large_outcome_is_got(place: Path) -> None:
    with scripted(place) as hub, connected(hub) as rc:
        assert rc[0].apply_sync(max, 3, bytes(5000)) == (3, bytes(5000))
        [submit] = hub.submits()
        assert (submit.first, submit.count, submit.work.targets) == (0, 1, [0])
        assert submit.work.name == "max" and submit.code is not None
        until(lambda: Got([(rc.session, 0, 1)]) in hub.heard)


def test_calls_gather_while_earlier_ones_are_unacknowledged(place: Path) -> None:
    with scripted(place, silent) as hub, connected(hub) as rc:
        view = rc.load_balanced_view()
        results = [view.apply_async(max, number) for number in range(2500)]
        until(lambda: len(hub.submits()) == 3)  # the first alone, then full batches; the rest waits
        assert [submit.count for submit in hub.submits()] == [1, 1000, 1000]
        hub.answer = echoing
        for submit in hub.submits():
            hub.say(Accepted([submit.first]), hub.done(submit))
        assert [result.get(timeout=10) for result in results] == [(number,) for number in range(2500)]
        firsts = [(submit.first, submit.count) for submit in hub.submits()]
        assert sorted(firsts) == firsts and sum(count for _, count in firsts) == 2500


def test_whoever_waits_flushes_what_was_gathered(place: Path) -> None:
    with scripted(place, silent) as hub, connected(hub) as rc:
        view = rc[0]
        first, second = view.apply_async(max, 1), view.apply_async(max, 2)
        assert second.wait(0.01) is None
        until(lambda: len(hub.submits()) == 2)
        for submit in hub.submits():
            hub.say(hub.done(submit))
        assert (first.get(timeout=5), second.get(timeout=5)) == ((1,), (2,))


def test_other_flags_or_functions_make_another_submit_in_order(place: Path) -> None:
    with scripted(place, silent) as hub, connected(hub) as rc:
        view = rc.load_balanced_view()
        view.apply_async(max, 0)
        view.apply_async(max, 1)
        view.label = "other"
        view.apply_async(max, 2)
        view.apply_async(min, 3)
        rc[:].apply_async(min, 4)
        rc._session.submitter.flush()
        until(lambda: len(hub.submits()) == 5)
        assert [(s.first, s.count, s.work.name, s.work.label) for s in hub.submits()] == [
            (0, 1, "max", None), (1, 1, "max", None), (2, 1, "max", "other"), (3, 1, "min", "other"), (4, 2, "min", None)
        ]  # fmt: skip


def test_code_crosses_once_per_connection(place: Path) -> None:
    with scripted(place) as hub, connected(hub) as rc:
        for _ in range(2):
            rc[0].apply_sync(max, 1)
        assert [submit.code is not None for submit in hub.submits()] == [True, False]
        hub.next = 2
        hub.lose_the_connection()
        until(lambda: len(hub.hellos) == 2)
        rc[0].apply_sync(max, 1)
        assert hub.submits()[-1].code is not None


def test_a_new_connection_says_what_is_awaited_and_sends_what_is_unacknowledged(place: Path) -> None:
    with scripted(place, silent) as hub, connected(hub) as rc:
        one, two = rc[:].apply_async(max, 1), rc[0].apply_async(max, 2)
        rc._session.submitter.flush()
        until(lambda: len(hub.submits()) == 2)
        hub.next = 2  # it has the first one on record
        hub.answer = echoing
        hub.lose_the_connection()
        until(lambda: len(hub.hellos) == 2)
        assert [tuple(span) for span in hub.hellos[1].waits] == [(0, 3)]
        assert two.get(timeout=10) == (2,)
        assert [submit.first for submit in hub.submits()] == [0, 2, 2]
        hub.say(hub.done(hub.submits()[0]))
        assert one.get(timeout=10) == [(1,), (1,)]


def test_copies_of_outcomes_change_nothing(place: Path) -> None:
    def answering(hub: ScriptedHub, message: Message) -> list[Message]:
        return [Reply(message.request, [])] if isinstance(message, Query) else accepting(hub, message)

    with scripted(place, answering) as hub, connected(hub) as rc:
        result = rc[:].apply_async(max, 1)
        until(lambda: len(hub.submits()) == 1)
        done = hub.done(hub.submits()[0])
        hub.say(done, hub.done(hub.submits()[0], lambda *args: "another"))
        assert result.get(timeout=10) == [(1,), (1,)] and rc.outstanding == set()
        assert rc.hub_history() == []  # everything that was sent before the answer has arrived
        assert result.get() == [(1,), (1,)]


def test_a_rejected_submit_fails_its_tasks_alone(place: Path) -> None:
    def rejecting(hub: ScriptedHub, message: Message) -> list[Message]:
        if isinstance(message, Submit) and message.work.name == "max":
            return [Rejected(message.first, ErrorText("StorageFull", "no room", ""))]
        return echoing(hub, message)

    with scripted(place, rejecting) as hub, connected(hub) as rc:
        bad, good = rc[0].apply_async(max, 1), rc[0].apply_async(min, 1)
        with pytest.raises(StorageFull, match="no room"):
            bad.get(timeout=10)
        assert good.get(timeout=10) == (1,) and rc.outstanding == set()


def test_submitting_waits_while_too_much_is_unacknowledged(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuiparallel.client.submitting.TASKS_UNDER_WAY", 5)
    with scripted(place, silent) as hub, connected(hub) as rc:
        done = threading.Event()

        def submit() -> None:
            for number in range(7):
                rc[:].apply_async(max, number)
            done.set()

        thread = threading.Thread(target=submit)
        thread.start()
        until(lambda: len(hub.submits()) == 3)
        assert not done.wait(0.05)
        hub.answer = accepting
        hub.say(*[Accepted([submit.first]) for submit in hub.submits()])
        assert done.wait(10)
        thread.join()


def test_requests_are_asked_again_after_a_reconnection(place: Path) -> None:
    with scripted(place, silent) as hub, connected(hub) as rc:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(rc.hub_history()))
        thread.start()
        until(lambda: any(isinstance(message, Query) for message in hub.heard))
        hub.answer = lambda hub, message: (
            [Reply(message.request, [("ab", 0, 2)])] if isinstance(message, Query) else []
        )
        hub.lose_the_connection()
        thread.join(10)
        assert answers == [["ab-0", "ab-1"]]


def test_a_question_that_nobody_answers_ends(place: Path) -> None:
    with scripted(place, silent) as hub, connected(hub, query_timeout=0.1) as rc:
        with pytest.raises(HubUnreachable, match=r"queue_status within 0.1 s"):
            rc.queue_status()
        assert not len(rc._session.link.outbox)


def test_a_hub_that_is_gone_ends_every_wait(place: Path) -> None:
    with scripted(place, silent) as hub:
        rc = Client(hub.connection, hub_timeout=0.2)
        result = rc[0].apply_async(max, 1)
        future = result.as_future()
    with pytest.raises(HubUnreachable, match="hub_timeout is 0.2"):
        result.get()
    assert isinstance(future.exception(timeout=10), HubUnreachable)
    assert not result.ready() and result.wait() is None
    rc.close(0.0)


def test_the_end_of_the_cluster_ends_every_wait_at_once(place: Path) -> None:
    with scripted(place, accepting) as hub, connected(hub) as rc:
        result = rc[0].apply_async(max, 1)
        hub.say(Notice("ended", "somebody shut it down", []))
        with pytest.raises(HubUnreachable, match="somebody shut it down"):
            result.get(timeout=10)


@pytest.mark.parametrize("cls", [AuthenticationError, ProtocolMismatch])
def test_a_refusal_is_raised_as_its_own_class(place: Path, cls: type[Exception]) -> None:
    with scripted(place, lambda hub, message: [Refused(cls.__name__, "not you")]) as hub:
        with pytest.raises(cls, match="not you"):
            Client(hub.connection)


def test_a_hub_that_does_not_answer_is_a_connect_timeout(place: Path) -> None:
    with scripted(place, lambda hub, message: [Notice("other", "")]) as hub, pytest.raises(ConnectTimeout):
        Client(hub.connection, timeout=0.1)


def test_an_interrupted_wait_greets_again_so_that_nothing_is_lost(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(place, echoing) as hub, connected(hub) as rc:
        link = rc._session.link
        turn, main = link.turn, threading.current_thread()
        interrupted: list[Any] = []

        def turning(timeout: float | None, vigil: Any = None) -> list[Message]:
            messages = turn(timeout, vigil)
            if threading.current_thread() is main and messages and not interrupted:
                interrupted.append(messages)
                raise KeyboardInterrupt  # what has arrived is lost
            return messages

        monkeypatch.setattr(link, "turn", turning)
        with pytest.raises(KeyboardInterrupt) as caught:
            while True:  # until this thread, not the background, is the one that turns the link
                rc[0].apply_sync(max, 1)
        result = caught.value.async_result  # type: ignore[attr-defined]
        until(lambda: len(hub.hellos) >= 2)
        assert [tuple(span) for span in hub.hellos[1].waits] == [(rc.history.counter(len(rc.history) - 1), 1)]
        hub.next = len(rc.history)
        hub.say(hub.done(hub.submits()[-1]))
        assert result.get(timeout=10) == (1,)


def test_close_says_goodbye_and_ends_what_waits(place: Path) -> None:
    with scripted(place, accepting) as hub:
        rc = Client(hub.connection)
        result = rc[0].apply_async(max, 1)
        future = result.as_future()
        rc.close()
        until(lambda: any(isinstance(message, ClientBye) for message in hub.heard))
        assert isinstance(future.exception(timeout=10), ClientClosed)
        with pytest.raises(ClientClosed):
            result.get()


def test_ids_follow_the_hubs_notices(place: Path) -> None:
    with scripted(place, accepting, engines=(3, 1)) as hub, connected(hub) as rc:
        assert rc.ids == [1, 3] and len(rc) == 2
        hub.say(Notice("engines", "engine 1 ended with exit code 3", [3]))
        until(lambda: rc.ids == [3])
        with pytest.raises(IndexError, match="exit code 3"):
            rc[1]
        rc.ids.append(9)
        assert rc.ids == [3]


def test_a_large_argument_is_handed_over_in_the_background_and_in_order(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from tuiparallel.client.handover import ClientBlobs

    hold = threading.Event()
    written = ClientBlobs.fulfil

    def held(self: ClientBlobs, *args: Any) -> None:
        hold.wait(10)
        written(self, *args)

    monkeypatch.setattr(ClientBlobs, "fulfil", held)
    with scripted(place, accepting) as hub, connected(hub) as rc:
        with rc[0].temp_flags(track=True):
            pass
        view = rc[0].set_flags(track=True)
        large, small = view.apply_async(len, np.zeros(1_000_000)), view.apply_async(max, 1)
        assert not large.sent and small.sent
        assert not hub.submits()
        hold.set()
        large.wait_on_send(10)
        rc._session.submitter.flush()
        until(lambda: len(hub.submits()) == 2)
        assert [submit.first for submit in hub.submits()] == [0, 1]
        [blob] = hub.submits()[0].blobs
        assert (place / "blobs" / blob.name).stat().st_size == blob.size == 8_000_000


def test_a_blob_that_cannot_be_written_fails_its_task_and_keeps_the_count(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from tuiparallel.client.handover import ClientBlobs
    from tuiparallel.wire.blobs import NoRoom

    def full(self: ClientBlobs, *args: Any) -> None:
        raise NoRoom(28, "no room for a blob")

    monkeypatch.setattr(ClientBlobs, "fulfil", full)
    with scripted(place, accepting) as hub, connected(hub) as rc:
        result = rc[0].apply_async(len, np.zeros(1_000_000))
        with pytest.raises(StorageFull, match="no room"):
            result.get(timeout=10)
        rc[0].apply_async(max, 1)
        until(lambda: len(hub.submits()) == 2)
        assert hub.submits()[0].work.targets == [-1] and hub.submits()[1].first == 1


def test_a_client_that_nobody_holds_leaves_by_itself(place: Path) -> None:
    with scripted(place) as hub:
        rc = Client(hub.connection)
        result = rc[0].apply_async(max, 1)
        del rc
        assert result.get(timeout=10) == (1,)  # it is held by its results, too
        del result
        gc.collect()
        until(lambda: any(isinstance(message, ClientBye) for message in hub.heard))
