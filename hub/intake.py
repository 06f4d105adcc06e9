"""What becomes of a submission that is accepted: its place on record, its dependencies, the rules' event.

Also what is submitted again: a task of the past, under a new id, in a session that the hub keeps for whoever asked.
"""

from __future__ import annotations

import msgspec

from tuiparallel.hub.book import Book
from tuiparallel.hub.dependencies import Fact
from tuiparallel.hub.events import Death, TaskEnded, TasksSubmitted
from tuiparallel.hub.registry import OWN, Session
from tuiparallel.hub.task import Batch
from tuiparallel.wire.ids import IdRange, SessionId, TaskId, counter_of, session_of, task_id
from tuiparallel.wire.messages import MAX_BATCH, ErrorText, Need
from tuiparallel.wire.states import State


class RefusedError(Exception):
    """Nothing was submitted, and why."""

    def __init__(self, ename: str, evalue: str) -> None:
        super().__init__(evalue)
        self.text = ErrorText(ename, evalue, "")


class Intake:
    """Takes submissions in."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def full(self, with_blobs: bool = False) -> ErrorText | None:
        """Why nothing can be stored now; None when it can. with_blobs: what is to be stored has large buffers."""
        book = self.book
        if with_blobs and book.holdings.exhausted:
            holdings = book.holdings
            text = f"large buffers of open tasks fill {holdings.bytes:,} bytes, the limit is {holdings.limit:,} "
            return ErrorText(
                "StorageFull", f"{text}(blob_bytes), and none can go to the disk (spill_bytes): raise one of them", ""
            )
        if book.storage_error:
            return ErrorText("StorageFull", f"the hub cannot store tasks now: {book.storage_error}", "")
        if book.config.free_disk and book.room() < book.config.free_disk:
            text = f"only {book.room():,} bytes are free for {book.config.directory}, and free_disk is "
            return ErrorText("StorageFull", f"{text}{book.config.free_disk:,}: make room there", "")
        if book.open_bytes > book.config.open_bytes:
            text = f"open tasks hold {book.open_bytes:,} bytes, the limit is open_bytes={book.config.open_bytes:,}"
            return ErrorText("StorageFull", text, "")
        return None

    def take(self, session: Session, batch: Batch) -> None:
        """New tasks, with the session's next counters."""
        book = self.book
        session.next = counter_of(batch.first) + batch.count
        if session.doubtful:
            session.doubtful.difference_update(range(counter_of(batch.first), session.next))
        session.open += batch.count
        book.open_bytes += batch.size
        book.journal.batches.append((batch, book.date))
        if batch.code is not None and batch.function not in book.stored_functions:
            book.stored_functions.add(batch.function)
            book.journal.functions[batch.function] = batch.code
        if batch.blobs:
            book.holdings.add((name, size) for _, name, size in batch.blobs)
            book.holdings.use({name for _, name, _ in batch.blobs})
        book.holdings.tidy()
        book.submitted.append(batch)
        book.tell(self._event(batch))

    def _gone(self, batch: Batch) -> dict[int, Death]:
        """Targets of direct tasks that are no more: what became of each, and what follows it."""
        found: dict[int, Death] = {}
        if batch.work.balanced:
            return found
        for target in set(batch.work.targets or ()):
            engine = self.book.registry.engines.get(target)
            if engine is not None and target not in self.book.scheduler.seats:
                after = "" if engine.successor is None else f" and was restarted as {engine.successor}"
                found[target] = Death(f"{engine.reason or 'is gone'}{after}", engine.host, engine.pid)
        return found

    def _event(self, batch: Batch) -> TasksSubmitted:
        """The event for the rules, with what `after` and `follow` name resolved to tasks and facts."""
        needs: list[tuple[Need, bool, list[TaskId]]] = []
        ended: dict[TaskId, Fact] = {}
        for need, follow in ((batch.work.after, False), (batch.work.follow, True)):
            if need is None:
                continue
            ids, strangers = self.book.task_ids(need.tasks)
            if strangers:
                hex, first, _ = strangers[0]
                name = hex if first < 0 else f"{hex}-{first}"
                return TasksSubmitted(batch, invalid=f"it depends on {name}, which is no task of this cluster")
            missing = [id for id in ids if id not in self.book.scheduler.tasks]
            facts = self._facts(missing)
            for id in missing:
                if id not in facts or id >= batch.first and id < batch.first + batch.count:
                    hex, first, _ = self.book.ranges([id])[0]
                    text = f"it depends on {hex}-{first}, which the hub does not know (any more)"
                    return TasksSubmitted(batch, invalid=text)
            ended.update(facts)
            needs.append((need, follow, ids))
        return TasksSubmitted(batch, needs, ended, gone=self._gone(batch))

    def _facts(self, ids: list[TaskId]) -> dict[TaskId, Fact]:
        if not ids:
            return {}
        wanted = set(ids)
        facts = {
            TaskId(id): Fact(row[2] == State.DONE, row[3]) for id, row in self.book.history.tasks(list(ids)).items()
        }
        for row in self.book.journal.tasks:  # ended in this very turn
            if row[0] in wanted:
                facts[TaskId(row[0])] = Fact(row[2] == State.DONE, row[3])
        for effect in self.book.effects:
            if isinstance(effect, TaskEnded) and effect.task.id in wanted:
                facts[effect.task.id] = Fact(effect.state is State.DONE, effect.task.engine)
        return facts

    # Again ---------------------------------------------------------------------------------------------------------

    def again(self, asker: Session, ranges: list[IdRange]) -> list[IdRange]:
        """Submit these, or what they were last submitted again as, once more: the new ids, in the same order.

        Raises RefusedError with KeyError, ResultExpired or StorageFull; then nothing was submitted.
        """
        if (full := self.full()) is not None:
            raise RefusedError(full.ename, full.evalue)
        ids, unknown = self.book.task_ids(ranges)
        if unknown:
            raise RefusedError("KeyError", f"no task has the msg_id {unknown[0][0]}-{unknown[0][1]}")
        newest = [self._newest(id) for id in ids]
        sources = [self._source(id) for id in newest]
        session = self._session_for(asker)
        new: list[TaskId] = []
        start = 0
        for end in range(1, len(newest) + 1):
            same = end < len(newest) and sources[end].first == sources[start].first and end - start < MAX_BATCH
            if not same:
                new += self._take_again(session, sources[start], newest[start:end])
                start = end
        pairs = list(zip(ids, newest, new, strict=True))
        self.book.journal.others += [
            lambda history, old=old, fresh=fresh: history.put_resubmit(old, fresh)  # type: ignore[misc]
            for id, last, fresh in pairs
            for old in dict.fromkeys((id, last))
        ]
        return self.book.ranges(new)

    def _newest(self, id: TaskId) -> TaskId:
        seen = {id}
        while (later := self.book.history.resubmitted_as(id)) is not None and later not in seen:
            id = TaskId(later)
            seen.add(id)
        return id

    def _source(self, id: TaskId) -> Batch:
        """The submission that a task came with, bodies and all."""
        open_task = self.book.scheduler.tasks.get(id)
        if open_task is not None:
            return open_task.batch
        history = self.book.history
        row = history.batch_row(id)
        kept = history.calls_of(row[0]) if row is not None and id in history.tasks([id]) else None
        if row is None or kept is None or (row[2] and kept[1] is None):
            name = self.book.ranges([id])
            what = f"{name[0][0]}-{name[0][1]}" if name else str(id)
            raise RefusedError("ResultExpired", self._why_gone(id, what, known=id in history.tasks([id])))
        blobs = [(owner - row[0], name, size) for owner, name, size in history.blobs_of_calls(row[0], row[1])]
        return Batch(TaskId(row[0]), row[1], row[3], row[2], kept[1], kept[0], blobs)

    def _why_gone(self, id: TaskId, what: str, known: bool) -> str:
        """Why a task cannot be submitted again. known: it is on record, but what it was called with is not."""
        if known and not self.book.config.keep_calls:
            return (
                f"the arguments of {what} were not kept, since keep_calls is off: submit it anew, and start the cluster "
                "with keep_calls=True to be able to do this later"
            )
        if known:
            return f"the arguments of {what} are damaged on disk: submit it anew"
        return f"{what} {self.book.history.why_gone(id, self.book.config)}"

    def _take_again(self, session: Session, source: Batch, ids: list[TaskId]) -> list[TaskId]:
        work = source.work
        targets = (
            work.targets if work.balanced or work.targets is None else [work.targets[i - source.first] for i in ids]
        )
        names = [f"{self.book.registry.sessions[session_of(id)].hex}-{counter_of(id)}" for id in ids]
        work = msgspec.structs.replace(work, targets=targets, submitted=self.book.date, resubmit_of=names)
        calls = source.calls if len(source.calls) == 1 else [source.call(id) for id in ids]
        places = {id - source.first: place for place, id in enumerate(ids)}
        blobs = [(places[index], name, size) for index, name, size in source.blobs if index in places]
        first = task_id(session.number, session.next)
        self.take(session, Batch(first, len(ids), work, source.function, source.code, calls, blobs))
        return [TaskId(id) for id in range(first, first + len(ids))]

    def _session_for(self, asker: Session) -> Session:
        """Where the hub counts for this client: its own counters are the client's."""
        registry = self.book.registry
        hex = asker.hex if asker.hex.endswith(OWN) else asker.hex + OWN
        session = registry.session_of_hex.get(hex)
        if session is None:
            number = SessionId(registry.next_session)
            session = Session(number, hex, asker.host, asker.pid, asker.name, self.book.date, away_at=self.book.now)
            registry.add_session(session)
            record = (number, hex, asker.host, asker.pid, asker.name, self.book.date)
            self.book.journal.others.append(lambda history: history.put_session(*record))
        return session
