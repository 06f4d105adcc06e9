"""Arguments to what a Submit carries: bodies, blobs, and what is still to be written of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tuiparallel.client.handover import Handover, Writing
from tuiparallel.errors import StorageFull
from tuiparallel.wire.blobs import BlobRef, NoRoom
from tuiparallel.wire.messages import BlobUse
from tuiparallel.wire.objects import pack_call, plain_call


class PackedCall(NamedTuple):
    """The arguments of one task."""

    body: bytes
    blobs: tuple[BlobRef, ...]
    writing: Writing | None


def pack_arguments(handover: Handover, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PackedCall:
    """Arguments as a body with its blobs.

    Raises SerializationError naming the argument, MessageTooLarge, StorageFull.
    """
    if (body := plain_call(args, kwargs)) is not None:
        return PackedCall(body, (), None)
    store = handover.store
    store.begin()
    try:
        packed = pack_call(args, kwargs, store)
    except NoRoom as error:
        raise StorageFull(str(error)) from error
    return PackedCall(packed.body, packed.blobs, store.writing)


def uses(blobs: tuple[BlobRef, ...], index: int = 0) -> list[BlobUse]:
    """The blobs of task number `index` of a Submit."""
    return [BlobUse(index, blob.name, blob.size) for blob in blobs]
