"""A message as one frame: the sender's running number on this connection, then MessagePack.

The numbers start at 0 with the greeting (Hello, Welcome). A receiver that meets a gap knows that something was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import zmq
from zmq.backend import Socket as BackendSocket

from tuiparallel.wire.messages import Message

_NUMBER = 4
# Plain integers: combining pyzmq's flag enums costs microseconds at each use.
NOBLOCK = int(zmq.NOBLOCK)
SNDMORE_NOBLOCK = int(zmq.SNDMORE) | NOBLOCK
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)
_encoder = msgspec.msgpack.Encoder()

send_frame: Callable[[zmq.Socket[bytes], bytes | bytearray, int], object] = BackendSocket.send
"""socket.send(frame, flags) without the options for kinds of sockets that are not used here; they cost half as much."""


def encode(number: int, message: Message) -> bytearray:
    """The frame of a message."""
    frame = bytearray(256)
    _encoder.encode_into(message, frame, _NUMBER)
    frame[:_NUMBER] = number.to_bytes(_NUMBER, "little")
    return frame


def following(number: int) -> int:
    """The number after this one. 0 is the greeting's alone, so the count wraps to 1."""
    return number + 1 if number < 0xFFFFFFFF else 1


def readable(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be taken now; cheaper than an exception for an empty socket."""
    return bool(int(socket.getsockopt(_EVENTS)) & _POLLIN)


def number_of(frame: bytes | memoryview) -> int:
    """The running number of a frame; -1 when it is too short to have one."""
    return int.from_bytes(frame[:_NUMBER], "little") if len(frame) > _NUMBER else -1


class FrameDecoder:
    """Frames to messages of one union."""

    def __init__(self, union: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(union)

    def decode(self, frame: bytes | memoryview) -> Message:
        """The message of a frame. Raises msgspec.DecodeError when it is malformed or not of the union."""
        try:
            message = self._decoder.decode(memoryview(frame)[_NUMBER:])
        except (ValueError, RecursionError) as error:  # text that is none, nesting without end: garbage too
            raise msgspec.DecodeError(str(error)) from error
        assert isinstance(message, Message)
        return message
