"""Connection files: how a process finds its hub, and the private files around it.

A cluster's directory has one file per role, client.json and engine.json: JSON, mode 0600, replaced atomically. What can
be read by anyone else, or belongs to someone else, is refused: whoever holds the file may run code as its owner.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec

from tuiparallel.errors import InsecureFile


class Keys(msgspec.Struct, frozen=True):
    """What a peer needs to connect over the network: the hub's public key and its own pair. Z85."""

    server: str
    public: str
    secret: str

    def __repr__(self) -> str:  # keys must not reach a log or a traceback
        return "<Keys>"


class Connection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a hub listens for one role. address is a 0MQ endpoint; directory and blobs are paths on the hub's host."""

    protocol: int
    role: str  # "client" or "engine"
    name: str  # the cluster's name, for people
    cluster: str  # its id, new at every start
    address: str
    directory: str
    blobs: str
    host: str
    server_key: str | None = None  # Z85, with TCP only
    public_key: str | None = None
    secret_key: str | None = None

    @property
    def keys(self) -> Keys | None:
        """The three keys; None when one is missing, as without TCP."""
        if self.server_key is None or self.public_key is None or self.secret_key is None:
            return None
        return Keys(self.server_key, self.public_key, self.secret_key)

    def __repr__(self) -> str:  # keys must not reach a log or a traceback
        return f"<Connection {self.role} of {self.name!r} at {self.address}>"


def read_private(path: Path) -> bytes:
    """The bytes of a private file.

    Raises FileNotFoundError when it is missing, InsecureFile when it is a link, is not ours, or is open to others.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InsecureFile(f"{path} cannot be opened as a plain file of yours: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_uid != os.getuid():
            raise InsecureFile(
                f"{path} belongs to user {facts.st_uid}, not to you ({os.getuid()}): it is not trusted"
            )
        mode = stat.S_IMODE(facts.st_mode)
        if mode & 0o077:
            raise InsecureFile(f"{path} has mode {mode:04o}: others could read its key. Cure: chmod 600 {path}")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 beside its place and move it there, so that a reader sees the old or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        os.unlink(beside)
    except FileNotFoundError:
        pass
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def private_directory(path: Path) -> Path:
    """Make (or check) a directory of mode 0700 that is ours.

    Raises InsecureFile when it is a link, belongs to somebody else or is open to others.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
        path.chmod(0o700)  # mkdir obeys the umask, which may take more away
    except FileExistsError:
        pass
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise InsecureFile(f"{path} is not a directory (a link or a file stands there): it is not trusted")
    if facts.st_uid != os.getuid():
        raise InsecureFile(f"{path} belongs to user {facts.st_uid}, not to you ({os.getuid()}): it is not trusted")
    mode = stat.S_IMODE(facts.st_mode)
    if mode & 0o077:
        raise InsecureFile(f"{path} has mode {mode:04o}: others could enter it. Cure: chmod 700 {path}")
    return path


def write_connection(path: Path, connection: Connection) -> None:
    """Write a connection file."""
    write_private(path, msgspec.json.format(msgspec.json.encode(connection), indent=1) + b"\n")


def read_connection(path: Path) -> Connection:
    """Read a connection file.

    Raises FileNotFoundError, InsecureFile, or ValueError that names the line or the key that is wrong.
    """
    content = read_private(path)
    try:
        return msgspec.json.decode(content, type=Connection)
    except msgspec.DecodeError as error:  # ValidationError, a missing key, is one too
        raise ValueError(f"{path} is not a connection file: {_where(content, error)}") from error


def _where(content: bytes, error: msgspec.DecodeError) -> str:
    try:
        parsed: Any = json.loads(content)
    except json.JSONDecodeError as broken:
        return f"line {broken.lineno}, column {broken.colno}: {broken.msg}"
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    if isinstance(parsed, dict):
        missing = sorted(
            {"protocol", "role", "name", "cluster", "address", "directory", "blobs", "host"} - set(parsed)
        )
        if missing:
            return f"the key {missing[0]!r} is missing"
    return str(error)
