"""What a client keeps itself: results that were asked for with owner=False."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuiparallel.client.call import Call
from tuiparallel.client.metadata import Metadata, metadata_of
from tuiparallel.client.session import Session
from tuiparallel.wire.ids import parse_msg_id


class Kept:
    """Tasks by msg_id, until they are purged."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tasks: dict[str, tuple[Call, int]] = {}

    def find(self, name: str) -> tuple[Call, int]:
        """A task that is kept, or that a living AsyncResult holds. Raises KeyError."""
        found = self.tasks.get(name)
        if found is None:
            try:
                session, counter = parse_msg_id(name)
            except (ValueError, AttributeError):
                raise KeyError(name) from None
            ledger = self.session.ledgers.get(session)
            found = ledger.find(counter) if ledger is not None else None
        if found is None:
            raise KeyError(name)
        return found


class KeptMetadata(Mapping[str, Metadata]):
    """Metadata by msg_id."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> Metadata:
        return metadata_of(*self._kept.find(name))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._kept.tasks))

    def __len__(self) -> int:
        return len(self._kept.tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._kept.tasks

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} tasks>"


class KeptResults(Mapping[str, Any]):
    """Values by msg_id; the exception of a task that failed. A task that has not ended is a KeyError."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> Any:
        call, index = self._kept.find(name)
        if call.outcomes[index] is None:
            raise KeyError(name)
        error = call.error(index)
        return call.value(index) if error is None else error

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, (call, index) in list(self._kept.tasks.items()) if call.outcomes[index]])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        found = self._kept.tasks.get(name) if isinstance(name, str) else None
        return found is not None and found[0].outcomes[found[1]] is not None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} tasks>"
