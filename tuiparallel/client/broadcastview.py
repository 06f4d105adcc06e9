"""BroadcastView: a DirectView whose calls to many engines are one message to the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuiparallel.client.directview import DirectView

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


class BroadcastView(DirectView):
    """A DirectView whose calls are one message to the hub, which fans it out, however many engines it is for.

        >>> rc.broadcast_view().apply_sync(abs, -1)
        [1, 1, 1, 1]

    In all other respects it is a DirectView: one msg_id per engine, results one by one in the order of `targets`,
    arguments stored once. is_coalescing: accepted for ipyparallel's sake, changes nothing.
    """

    def __init__(self, client: Client, targets: Any, is_coalescing: bool = False, **flags: Any) -> None:
        super().__init__(client, targets, **flags)
        self._is_coalescing = bool(is_coalescing)

    @property
    def is_coalescing(self) -> bool:
        """What it was made with: a bool without effect."""
        return self._is_coalescing
