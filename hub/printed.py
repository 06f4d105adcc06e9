"""What tasks printed and displayed, within a bound of its own: the oldest is forgotten, results stay. A part of History."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from tuiparallel.wire.ids import SessionId, TaskId, session_of
from tuiparallel.wire.messages import Extras, Ran

_pack = msgspec.msgpack.Encoder().encode
_bundle = msgspec.msgpack.Decoder(list[Ran])


class Printed:
    """output: bytes of text and displays that are on record."""

    _db: sqlite3.Connection
    output: int

    def _recorded_output(self) -> int:
        return int(self._db.execute("SELECT ifnull(sum(output), 0) FROM bundles WHERE output > 0").fetchone()[0])

    def forget_output(self, least: int, spared: Collection[SessionId] = (), most: int = 64) -> int:
        """Forget the oldest output, at least so many bytes, of at most so many bundles; returns how many bytes went.

        A note with the number of bytes stands in its place. Bundles with a task of these sessions stay as they are.
        """
        gone = 0
        rows = self._db.execute(
            "SELECT id, body, crc, output FROM bundles WHERE output > 0 ORDER BY at LIMIT ?", (most + len(spared),)
        ).fetchall()
        for id, body, crc, size in rows:
            if gone >= least:
                break
            if zlib.crc32(body) != crc:
                self._db.execute("UPDATE bundles SET output=0 WHERE id=?", (id,))  # unreadable, and answered so
            else:
                ran = _bundle.decode(body)
                if spared and any(session_of(TaskId(one.task)) in spared for one in ran):
                    continue
                body = _pack([without_output(one) for one in ran])
                self._db.execute(
                    "UPDATE bundles SET body=?, crc=?, output=0 WHERE id=?", (body, zlib.crc32(body), id)
                )
            gone += size
        self.output -= gone
        return gone


def output_of(bundle: Sequence[Ran]) -> int:
    """Bytes that these tasks printed and displayed."""
    total = 0
    quiet: Extras | None = None  # many tasks that end together, as aborted ones, share theirs
    for ran in bundle:
        extras = ran.extras
        if extras is not None and extras is not quiet:
            if size := _size(extras):
                total += size
            else:
                quiet = extras
    return total


def without_output(ran: Ran) -> Ran:
    """The same result, with notes of how much was printed."""
    extras = ran.extras
    if extras is None or not _size(extras):
        return ran
    outputs: list[Any] = []
    if extras.outputs:
        text = _note(len(_pack(extras.outputs)))
        outputs = [{"data": {"text/plain": text.rstrip("\n")}, "metadata": {}}]
    left = msgspec.structs.replace(
        extras, stdout=_cut(extras.stdout), stderr=_cut(extras.stderr), outputs=outputs, execute_result=None
    )
    return msgspec.structs.replace(ran, extras=left)


def _size(extras: Extras | None) -> int:
    if extras is None:
        return 0
    size = _bytes(extras.stdout) + _bytes(extras.stderr)
    if extras.outputs:
        size += len(_pack(extras.outputs))
    if extras.execute_result is not None:
        size += len(_pack(extras.execute_result))
    return size


def _cut(text: str) -> str:
    return _note(_bytes(text)) if text else ""


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _note(size: int) -> str:
    return f"… {size:,} bytes left out\n"
