"""Values to bytes and back.

A body begins with the byte 0x80 when it is a plain pickle, as most small values are. Otherwise it is 0x01, the length of a
header (4 bytes, little-endian), the header (MessagePack), then the region: small buffers one after another, each at a
multiple of 16 bytes. A buffer above INLINE_LIMIT is a blob of its own; so is the region when it is larger than that.

bytes, bytearrays, memoryviews and numpy arrays that are the value, or an argument of the call, are buffers and are not
pickled. Others inside larger objects are out-of-band buffers of one pickle. What is made of a buffer is read-only.
"""

from __future__ import annotations

import pickle
import sys
from _pickle import PickleBuffer
from collections.abc import Sequence
from itertools import chain
from typing import Any, NoReturn

import msgspec

from tuiparallel.errors import DeserializationError, ParallelError, SerializationError
from tuiparallel.wire import arrays, pickling, sources
from tuiparallel.wire.blobs import BlobReader, BlobRef, BlobStore, NoRoom
from tuiparallel.wire.unsendable import whats_wrong

INLINE_LIMIT = 32 << 10
"""Bytes up to which a buffer stays in the body, and so in the hub's history, which writes it to the disk. A file for each
is written, mapped and removed at about the same cost as a row of 16 kB; from there on it is cheaper, and the hub, which
all others wait for, has hardly any part in it."""

ROOMLESS_LIMIT = 1 << 20  # bytes up to which a buffer stays in the body when there is no room for blobs
BATCH_LIMIT = 4 << 20  # bytes of bodies in one Submit, well below what a frame may hold
ALIGNMENT = 16
ATOMS = frozenset({int, float, bool, str, complex, type(None)})
PLAIN = b"\x80"  # how every pickle begins
GENERAL = b"\x01"


class Packed(msgspec.Struct, frozen=True, gc=False):
    """A value as bytes: what goes into a message, and the blobs that this refers to."""

    body: bytes
    blobs: tuple[BlobRef, ...] = ()


class Special(msgspec.Struct, array_like=True, gc=False):
    """A value that is a buffer: argument number or keyword `where`, or None for the value itself.

    letter: b bytes, a bytearray, n array, m and v memoryview (see arrays.view_parts).
    """

    where: int | str | None
    letter: str
    buffer: int
    meta: Any = None


class Header(msgspec.Struct, array_like=True, gc=False):
    """What a body is made of. Buffers: first the ones of the pickle, then the pickle itself, then the specials'."""

    sizes: list[int]
    names: list[str]  # of blobs; "" for a buffer in the region
    stream: int  # which buffer is the pickle; -1: there is none
    specials: list[Special] = []
    region: str = ""  # the blob that the region is, if it is one
    region_size: int = 0
    sources: list[sources.Source] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Header).decode


def pack(value: Any, store: BlobStore | None = None) -> Packed:
    """A value as bytes; large buffers go into the store, or without one into the body.

    Raises SerializationError naming the part that cannot be sent, MessageTooLarge above the store's budget, and
    NoRoom when a large buffer finds no space there.
    """
    if type(value) in ATOMS:
        return _plain(pickle.dumps(value, 5), store)
    letter, raw, meta = _special(value)
    if letter:
        return _general(None, [], [(None, letter, raw, meta)], store)
    return _pickled(value, "value", store)


def unpack(body: bytes | memoryview, store: BlobReader | None = None, *, loading: str = "a value") -> Any:
    """The value that was packed. loading says what it is, in messages.

    Raises DeserializationError when it cannot be made here; on an engine a failing import keeps its type.
    """
    if body[:1] == PLAIN:
        try:
            return pickle.loads(body)
        except Exception as failure:
            _raise(failure, loading)
    value, specials = _open(body, store, loading)
    return specials[0][1] if specials else value


def plain_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    """The body of a call whose arguments are numbers, short texts and the like, as most are; None when one is not."""
    if kwargs or not ATOMS.issuperset(map(type, args)):
        return None
    body = pickle.dumps((args, kwargs), 5)
    return body if len(body) <= INLINE_LIMIT else None


def pack_call(args: tuple[Any, ...], kwargs: dict[str, Any], store: BlobStore | None = None) -> Packed:
    """The arguments of a call as bytes. Raises as pack does; parts are named like `argument 1['cfg']`, from 1."""
    if (body := plain_call(args, kwargs)) is not None:
        return Packed(body)
    specials: list[tuple[int | str | None, str, Any, Any]] = []
    met: dict[int, tuple[str, Any, Any]] = {}  # an array that is given twice crosses once
    rest: list[Any] = list(args)
    named = dict(kwargs)
    place: Any
    for place, items in ((rest, enumerate(args)), (named, kwargs.items())):
        for where, value in items:
            parts = met.get(id(value)) or _special(value)
            if parts[0]:
                met[id(value)] = parts
                specials.append((where, *parts))
                place[where] = None
    if not specials:
        return _pickled((args, kwargs), "call", store)
    try:
        stream, buffers = pickling.dumps((tuple(rest), named))
    except Exception as failure:
        raise _unsendable((tuple(rest), named), "call", failure) from failure
    return _general(stream, buffers, specials, store)


def plain_calls(rows: Sequence[tuple[Any, ...]], kwargs: dict[str, Any]) -> list[bytes] | None:
    """The bodies of calls that have numbers, short texts and the like for arguments; None when any has others.

    As pack_call makes them one by one. Together they are no larger than BATCH_LIMIT.
    """
    if not (ATOMS.issuperset(map(type, chain.from_iterable(rows))) and ATOMS.issuperset(map(type, kwargs.values()))):
        return None
    dumps = pickle.dumps
    bodies = [dumps((row, kwargs), 5) for row in rows]
    sizes = list(map(len, bodies))
    return bodies if sum(sizes) <= BATCH_LIMIT and max(sizes, default=0) <= INLINE_LIMIT else None


def unpack_call(body: bytes | memoryview, store: BlobReader | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that were packed. Raises as unpack does."""
    if body[:1] == PLAIN:
        try:
            return pickle.loads(body)  # type: ignore[no-any-return]
        except Exception as failure:
            _raise(failure, "arguments")
    (args, kwargs), specials = _open(body, store, "arguments")
    if specials:
        filled = list(args)
        for where, value in specials:
            if isinstance(where, int):
                filled[where] = value
            else:
                kwargs[where] = value
        args = tuple(filled)
    return args, kwargs


# Packing ----------------------------------------------------------------------------------------------------------


def _special(value: Any) -> tuple[str, Any, Any]:
    """Letter, bytes and description of a value that is not pickled; the letter is empty for any other."""
    kind = type(value)
    if kind in ATOMS:
        return "", None, None
    if kind is bytes:
        return "b", value, None
    if kind is bytearray:
        return "a", value, None
    if kind is memoryview:
        raw, letter, meta = arrays.view_parts(value)
        return letter, raw, meta
    if "numpy" in sys.modules and kind in arrays.array_types() and arrays.is_raw(value):
        raw, array_meta = arrays.array_parts(value)
        return "n", raw, array_meta
    return "", None, None


def _plain(stream: bytes, store: BlobStore | None) -> Packed:
    if store is None or len(stream) <= INLINE_LIMIT:
        return Packed(stream)
    return _general(stream, [], [], store)


def _pickled(value: Any, what: str, store: BlobStore | None) -> Packed:
    try:
        stream, buffers = pickling.dumps(value)
    except Exception as failure:
        raise _unsendable(value, what, failure) from failure
    if not buffers and (store is None or len(stream) <= INLINE_LIMIT) and not sources.mentioned(stream):
        return Packed(stream)
    return _general(stream, buffers, [], store)


def _unsendable(value: Any, what: str, failure: Exception) -> Exception:
    return SerializationError(whats_wrong(value, what, failure))


def _general(
    stream: bytes | None,
    outside: list[PickleBuffer],
    specials: list[tuple[int | str | None, str, Any, Any]],
    store: BlobStore | None,
) -> Packed:
    buffers: list[Any] = [buffer.raw() for buffer in outside]
    header = Header([], [], -1)
    if stream is not None:
        header.stream = len(buffers)
        header.sources = sources.mentioned(stream)
        buffers.append(stream)
    places: dict[int, int] = {}
    for where, letter, raw, meta in specials:
        if (place := places.get(id(raw))) is None:
            place = places[id(raw)] = len(buffers)
            buffers.append(raw)
        header.specials.append(Special(where, letter, place, meta))
    blobs: list[BlobRef] = []
    region: list[Any] = []
    try:
        for buffer in buffers:
            size = len(buffer)
            blob = _blob(buffer, size, store)
            header.sizes.append(size)
            header.names.append("" if blob is None else blob.name)
            if blob is not None:
                blobs.append(blob)
            elif size:
                region += (buffer, bytes(-size % ALIGNMENT))
        tail = b"".join(region)
        if (blob := _blob(tail, len(tail), store)) is not None:
            header.region, header.region_size = blob
            blobs.append(blob)
            tail = b""
    except BaseException:
        if store is not None:
            store.unlink(blob.name for blob in blobs)
        raise
    head = _encode(header)
    start = 5 + len(head)
    return Packed(
        b"".join((GENERAL, len(head).to_bytes(4, "little"), head, bytes(-start % ALIGNMENT), tail)), tuple(blobs)
    )


def _blob(buffer: Any, size: int, store: BlobStore | None) -> BlobRef | None:
    if store is None or size <= INLINE_LIMIT:
        return None
    try:
        return store.write(buffer)
    except NoRoom:
        if size > ROOMLESS_LIMIT:
            raise
        return None


# Unpacking --------------------------------------------------------------------------------------------------------


def _open(body: bytes | memoryview, store: BlobReader | None, loading: str) -> tuple[Any, list[tuple[Any, Any]]]:
    """The value of the pickle, and (where, value) of each special."""
    try:
        view = memoryview(body).toreadonly()
        if view[:1] != GENERAL:
            raise ValueError("these bytes are no value")
        end = 5 + int.from_bytes(view[1:5], "little")
        header = _decode(view[5:end])
        if header.sources:
            sources.install(header.sources)
        buffers = _buffers(header, view[end + -end % ALIGNMENT :], store)
        value = None
        if header.stream >= 0:
            value = pickling.loads(buffers[header.stream], buffers[: header.stream])
        return value, [(s.where, _made(s, buffers[s.buffer])) for s in header.specials]
    except Exception as failure:
        _raise(failure, loading)


def _buffers(header: Header, region: memoryview, store: BlobReader | None) -> list[memoryview]:
    if header.region:
        region = _mapped(header.region, header.region_size, store)
    found = []
    offset = 0
    for size, name in zip(header.sizes, header.names, strict=True):
        if name:
            found.append(_mapped(name, size, store))
            continue
        found.append(region[offset : offset + size])
        if len(found[-1]) != size:
            raise ValueError("the body is shorter than its header says")
        offset += size + -size % ALIGNMENT
    return found


def _mapped(name: str, size: int, store: BlobReader | None) -> memoryview:
    if store is None:
        raise ValueError("it has a part that is a blob, and blobs of its cluster cannot be read here")
    return store.open(name, size)


def _made(special: Special, raw: memoryview) -> Any:
    match special.letter:
        case "b":
            return bytes(raw)
        case "a":
            return bytearray(raw)
        case "n":
            return arrays.array_from(raw, special.meta)
        case letter:
            return arrays.view_from(raw, letter, special.meta)


def _raise(failure: Exception, loading: str) -> NoReturn:
    if isinstance(failure, ParallelError):
        raise failure
    if isinstance(failure, ImportError) and sources.place():
        raise sources.explained(failure, loading)
    reason = f"{type(failure).__name__}: {failure}"
    raise DeserializationError(f"{loading} cannot be loaded {_where()}: {reason}") from failure


def _where() -> str:
    return f"on {sources.place()}" if sources.place() else "here"
