"""One peer's connection to the hub: a DEALER that greets, numbers, resends and notices loss.

0MQ reconnects by itself and says nothing, so the monitor socket is watched: each new connection begins with Hello, and
when the hub's Welcome is there, all that is unacknowledged goes out again. The hub answers SayHello when it does not
know the connection or has missed a message of it; that starts the same greeting.

Any thread may send. One thread at a time may call turn(), which waits for input and returns it. The socket's lock is
held for single calls only, never while something waits.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from typing import Any

import msgspec
import zmq

from tuiparallel.errors import AuthenticationError
from tuiparallel.link.clock import Clock, SystemClock
from tuiparallel.link.curve import dress_client
from tuiparallel.link.failpoints import chance
from tuiparallel.link.frames import NOBLOCK, FrameDecoder, encode, following, number_of, readable, send_frame
from tuiparallel.link.outbox import Outbox
from tuiparallel.link.vigil import Vigil
from tuiparallel.link.wakeup import Wakeup
from tuiparallel.wire.connection import Keys
from tuiparallel.wire.messages import (
    EngineWelcome,
    Message,
    Refused,
    SayHello,
    SupervisorWelcome,
    Welcome,
)

_FAILED = (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_WATCHED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_FAILURES = 4  # handshakes in a row that end without a word until the keys are taken to be wrong
_ADRIFT = 0.3  # seconds after a connection's end until it is ours to connect again
_QUICKLY = 1.0  # seconds between two of them; an overloaded hub gives up on a peer after five
_DRAIN = 256  # messages taken per turn, so that one turn stays short
_OFTEN = 64  # turns after which time is looked at, though messages arrive without a pause
_GREETING_PATIENCE = 2.0  # seconds until an unanswered Hello is said again


class LinkState(Enum):
    """CONNECTING until the first Welcome, LIVE after it, LOST while the hub is away, then REFUSED or CLOSED for good."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    REFUSED = "refused"
    CLOSED = "closed"


class Link:
    """A connection to the hub at `address`.

    hello(boot) makes the first message of each connection, boot being that of the last Welcome ("" before the first).
    welcomed(message) is called in the thread that turns, before the outbox is sent again: acknowledge there what the
    Welcome says has arrived. dress(message) may replace a message at the moment it is sent, under the link's lock.

    keys are needed for tcp. A hub that does not accept them makes the link REFUSED: at once when it knows its own key
    but not ours; after a few failed handshakes when it has another key than the file says, as it then cannot even say
    so, unless the link has been live before: then the keys are right, and the hub is just coming or going.
    Raises AuthenticationError for tcp without keys.
    """

    def __init__(
        self,
        address: str,
        union: Any,
        hello: Callable[[str], Message],
        *,
        welcomed: Callable[[Message], None] | None = None,
        dress: Callable[[Message], Message] | None = None,
        clock: Clock | None = None,
        heartbeat: tuple[float, float] = (2.0, 10.0),
        resend_interval: float = 5.0,
        keys: Keys | None = None,
    ) -> None:
        self.address = address
        self.state = LinkState.CONNECTING
        self.boot = ""
        self.refusal: Refused | None = None
        self.clock = clock or SystemClock()
        self.changed_at = self.clock.monotonic()  # when the state changed last
        self.tries = 0  # connections lost or refused since the link was live
        self.malformed = 0
        self.outbox: Outbox[Hashable, Message] = Outbox()
        self._hello, self._welcomed, self._dress = hello, welcomed, dress
        self._resend_interval = resend_interval
        self._awaited: Hashable = None  # the oldest of the outbox, when that was looked at last
        self._awaited_since = self.changed_at  # or when it was sent again
        self._greeted = self.changed_at
        self._decoder = FrameDecoder(union)
        self._lock = threading.Lock()
        self._sent = 0  # number of the next frame out
        self._expected = -1  # number of the next frame in; -1: not greeted yet
        self._polling = False  # somebody relies on the socket's descriptor
        self._crowded = False  # the next look is for as many frames as there are
        self._turns = 0
        self._stalled: deque[Message] = deque()  # what a full socket did not take
        self._encrypted = keys is not None
        self._failures = 0  # handshakes that failed since one succeeded
        self._failed_at = self.changed_at
        self._adrift: float | None = None  # since when 0MQ has not tried again
        self._refused_here = False  # a refusal that turn() has not returned yet
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        try:
            _configure(self._socket, heartbeat)
            dress_client(self._socket, address, keys)
        except AuthenticationError:
            self._socket.close()
            self._context.term()
            raise
        self._wakeup = Wakeup()
        self._monitor = self._socket.get_monitor_socket(_WATCHED)
        self._poll = select.poll()
        self._socket_fd = int(self._socket.getsockopt(zmq.FD))
        self._monitor_fd = int(self._monitor.getsockopt(zmq.FD))
        self._wakeup_fd = self._wakeup.fileno()
        for handle in (self._socket_fd, self._monitor_fd, self._wakeup_fd):
            self._poll.register(handle, select.POLLIN)
        self._watch()  # a descriptor of 0MQ signals only what comes after somebody has looked
        self._socket.connect(address)

    # Sending: any thread ----------------------------------------------------------------------------------------

    def send(self, message: Message) -> bool:
        """Send once, if the hub is there; returns whether it was. For what may be lost."""
        with self._lock:
            if self.state is not LinkState.LIVE:
                return False
            self._put(message)
        return True

    def post(self, key: Hashable, message: Message, size: int = 0) -> None:
        """Send now, and again after every reconnection, until ack() is told this key."""
        with self._lock:
            self.outbox.put(key, message, size)
            if self.state is LinkState.LIVE:
                self._put(message)

    def ack(self, keys: Iterable[Hashable]) -> list[Message]:
        """The hub has these on record; returns the messages that were still kept."""
        with self._lock:
            return self.outbox.ack(keys)

    def wake(self) -> None:
        """Make turn() return early, from any thread."""
        self._wakeup.set()

    def _put(self, message: Message) -> None:
        if self._dress is not None:
            message = self._dress(
                message
            )  # once, in the order of sending: a stalled message must not be dressed again
        if self._stalled:
            self._stalled.append(message)
            return
        if not self._try(message):
            self._stalled.append(message)
            self._wakeup.set()

    def _try(self, message: Message) -> bool:
        if not chance("link.drop"):
            try:
                send_frame(self._socket, encode(self._sent, message), NOBLOCK)
                if chance("link.repeat"):
                    self._socket.send(encode(self._sent, message), NOBLOCK)
            except zmq.Again:
                return False
        self._sent = following(self._sent)
        # Sending may swallow the edge that announces input: whoever polls must be told.
        if self._polling and readable(self._socket):
            self._wakeup.set()
        return True

    # Receiving: one thread at a time ----------------------------------------------------------------------------

    def turn(self, timeout: float | None, vigil: Vigil | None = None) -> list[Message]:
        """What has arrived, waiting at most `timeout` seconds (None: for ever) for the first of it.

        vigil: may keep the wait awake. Greetings are handled here; Welcome and Refused are returned too. May return
        nothing early (see wake).
        """
        messages = self._drain()
        if messages or not self._polling:
            return messages
        # Unsent or unanswered messages shorten the wait, so that they are looked at in time.
        patience = 0.02 if self._stalled else 1.0 if len(self.outbox) or self.state is not LinkState.LIVE else None
        if patience is not None:
            timeout = patience if timeout is None else min(timeout, patience)
        try:
            if vigil is not None:
                ready = vigil.wait(self._poll.poll, timeout)
            else:
                ready = self._poll.poll(None if timeout is None else max(0, int(timeout * 1000 + 0.999)))
        except OSError:  # closed by another thread meanwhile
            return []
        finally:
            self._polling = False
        announced = False
        for handle, _ in ready:
            if handle == self._wakeup_fd:
                self._wakeup.clear()
            elif handle == self._monitor_fd:
                self._watch()
            else:
                announced = True
        messages = self._drain(announced)
        self._turns += 1
        if not messages or self._stalled or self._turns % _OFTEN == 0:
            self._upkeep()
        self._polling = False
        return messages

    def _drain(self, announced: bool = False) -> list[Message]:
        """What has arrived. announced: the socket's descriptor has signalled, so there is no need to look first."""
        frames: list[bytes] = []
        with self._lock:
            if self.state is LinkState.CLOSED:
                return []
            # A lone frame is the rule, and looking for a second one costs more than reading it: the next turn begins
            # with a look. From the second one on there are many.
            most = _DRAIN if self._crowded else 1
            while len(frames) < most and (announced or readable(self._socket)):
                announced = False
                try:
                    frames.append(self._socket.recv(NOBLOCK))
                except zmq.Again:
                    break  # what it signalled was for 0MQ itself
            self._crowded = len(frames) > 1 or (bool(frames) and not self._crowded)
            self._polling = not frames  # from here on, until whoever turns has something, or has looked again
        messages: list[Message] = []
        if self._refused_here and self.refusal is not None:
            self._refused_here = False
            messages.append(self.refusal)
        for frame in frames:
            try:
                message = self._decoder.decode(frame)
            except msgspec.DecodeError:
                self.malformed += 1
                continue
            self._receive(number_of(frame), message, messages)
        return messages

    def _receive(self, number: int, message: Message, messages: list[Message]) -> None:
        match message:
            case Welcome() | EngineWelcome() | SupervisorWelcome():
                self.boot = message.boot
                self._expected = following(number)
                if self._welcomed is not None:
                    self._welcomed(message)
                self._go_live()
            case Refused():
                self.refusal = message
                self._change(LinkState.REFUSED)
            case SayHello():
                self._greet()
                return
            case _:
                if self._expected < 0:
                    return  # from before the greeting: the hub will say it again
                if number != self._expected:
                    self._greet()
                    return
                self._expected = following(number)
        messages.append(message)

    def _watch(self) -> None:
        """Read what the monitor says of the connection."""
        while readable(self._monitor):
            frames = self._monitor.recv_multipart(NOBLOCK)
            event = int.from_bytes(frames[0][:2], "little")
            if event == zmq.EVENT_CONNECT_RETRIED:
                self._adrift = None
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._failures = 0
                self._adrift = None
                self._greet()
            elif event == zmq.EVENT_DISCONNECTED:
                self.tries += 1
                self._adrift = self.clock.monotonic()
                if self.state is LinkState.LIVE:
                    self._change(LinkState.LOST)
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._turned_away(f"the hub at {self.address} does not accept this key")
            elif event in _FAILED and self._encrypted:
                now = self.clock.monotonic()
                self._failures = self._failures + 1 if now - self._failed_at < _QUICKLY else 1
                self._failed_at = now
                certain = event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL  # or bytes were damaged, later on
                if certain:
                    self._adrift = now
                    if self.state is LinkState.LIVE:
                        self._change(LinkState.LOST)
                if (certain or self._failures >= _FAILURES) and not self.boot:
                    self._turned_away(f"what listens at {self.address} cannot be spoken with: it has other keys")

    def _turned_away(self, reason: str) -> None:
        if self.state not in (LinkState.CLOSED, LinkState.REFUSED):
            self.refusal = Refused("AuthenticationError", reason)
            self._refused_here = True
            self._change(LinkState.REFUSED)

    def greet_again(self) -> None:
        """Begin the connection anew: for whom a turn() was interrupted, perhaps between receiving and returning."""
        self._greet()

    def _greet(self) -> None:
        """Say Hello as the first message of this connection; everything after it waits for the Welcome."""
        with self._lock:
            if self.state in (LinkState.CLOSED, LinkState.REFUSED):
                return
            if self.state is LinkState.LIVE:
                self._change(LinkState.LOST)
            self._expected = -1
            self._sent = 0
            self._stalled.clear()  # all of it is either in the outbox or may be lost
            self._greeted = self.clock.monotonic()
        hello = self._hello(self.boot)
        with self._lock:
            if not self._socket.closed:
                try:
                    self._socket.send(encode(0, hello), NOBLOCK)
                    self._sent = 1
                except zmq.Again:
                    pass  # upkeep says it again
                if readable(self._socket):
                    self._wakeup.set()

    def _go_live(self) -> None:
        with self._lock:
            if self.state is LinkState.CLOSED:
                return
            self._change(LinkState.LIVE)
            self.tries = 0
            self._awaited_since = self.clock.monotonic()
            for message in self.outbox.resend():
                self._put(message)

    def _connect_again(self) -> None:
        """0MQ gives a connection up for good when bytes were damaged, or the other end spoke nonsense for a moment."""
        self._adrift = None
        with self._lock:
            if self.state in (LinkState.CLOSED, LinkState.REFUSED):
                return
            try:
                self._socket.disconnect(self.address)
            except zmq.ZMQError:
                pass  # it is no longer among the socket's connections
            self._socket.connect(self.address)

    def _upkeep(self) -> None:
        now = self.clock.monotonic()
        if self._adrift is not None and now - self._adrift > _ADRIFT:
            self._connect_again()
        with self._lock:
            while self._stalled and self._try(self._stalled[0]):
                self._stalled.popleft()
            oldest = self.outbox.oldest()
            if oldest != self._awaited:  # others may well be acknowledged while this one has been overlooked
                self._awaited, self._awaited_since = oldest, now
            overdue = now - self._awaited_since > self._resend_interval
            if self.state is LinkState.LIVE:
                if overdue and len(self.outbox) and not self._stalled:
                    self._awaited_since = now
                    for message in self.outbox.resend():
                        self._put(message)
                return
        if (
            self._sent
            and self._expected < 0
            and self.state is not LinkState.REFUSED
            and now - self._greeted > _GREETING_PATIENCE
        ):
            self._greet()

    def _change(self, state: LinkState) -> None:
        if state is not self.state:
            self.state = state
            self.changed_at = self.clock.monotonic()

    def close(self, linger: float = 0.0) -> None:
        """Close the socket; what was sent just before gets `linger` seconds to leave. Safe to call twice.

        No other thread may be in turn() any more, or it must be about to notice the state CLOSED.
        """
        with self._lock:
            if self.state is LinkState.CLOSED:
                return
            self._change(LinkState.CLOSED)
            self._wakeup.set()
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._socket.close(int(linger * 1000))
            self._context.term()
            self._wakeup.close()

    def abandon(self) -> None:
        """In a forked child: forget the connection without touching it, it belongs to the parent."""
        self.state = LinkState.CLOSED


def _configure(socket: zmq.Socket[bytes], heartbeat: tuple[float, float]) -> None:
    interval, timeout = heartbeat
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 1000)
    socket.setsockopt(zmq.RCVHWM, 1000)
    socket.setsockopt(zmq.MAXMSGSIZE, 16 << 20)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
    socket.setsockopt(zmq.HEARTBEAT_IVL, int(interval * 1000))
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(timeout * 1000))
    socket.setsockopt(zmq.HEARTBEAT_TTL, int(timeout * 1000))
