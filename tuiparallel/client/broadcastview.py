"""BroadcastView: a DirectView whose calls to many engines are one message to the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuiparallel.client.directview import DirectView

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class BroadcastView(DirectView):
    """A DirectView in all respects: its calls are one message, fanned out by the hub, with arguments stored once.

    is_coalescing is accepted for ipyparallel's sake and changes nothing.
    """

    def __init__(self, client: Client, targets: Any, is_coalescing: bool = False, **flags: Any) -> None:
        super().__init__(client, targets, **flags)
        self._is_coalescing = bool(is_coalescing)

    @property
    def is_coalescing(self) -> bool:
        """As it was given."""
        return self._is_coalescing
