"""Exit codes of the command, and which error gives which."""

from __future__ import annotations

import os
import tempfile
import traceback
from enum import IntEnum
from pathlib import Path

from tuiparallel.errors import (
    AuthenticationError,
    ClusterExists,
    ClusterNotFound,
    HubUnreachable,
    InsecureFile,
    NoEnginesRegistered,
    NoSuchEngine,
    NoSuchTask,
    ProtocolMismatch,
    RemoteError,
    StartError,
)


class ExitCode(IntEnum):
    """What the command's exit status means."""

    DONE = 0
    FAILED = 1  # the work ran and failed
    USAGE = 2
    NO_CLUSTER = 3
    UNREACHABLE = 4  # found, but it cannot be spoken to
    LATE = 5  # --timeout has passed; the work goes on
    REFUSED = 6
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """Ends the command with a message and a code. kind: the name shown as `class` in JSON."""

    def __init__(self, message: str, code: ExitCode, kind: str) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


def usage(message: str) -> CommandError:
    """The error for a command line that makes no sense."""
    return CommandError(message, ExitCode.USAGE, "UsageError")


def refused(message: str) -> CommandError:
    """The error for something that is not done without being told twice, or that cannot be done."""
    return CommandError(message, ExitCode.REFUSED, "Refused")


def late(message: str) -> CommandError:
    """The error for --timeout."""
    return CommandError(message, ExitCode.LATE, "TimeoutError")


_CODES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ExitCode], ...] = (
    (ClusterNotFound, ExitCode.NO_CLUSTER),
    ((HubUnreachable, AuthenticationError, InsecureFile, ProtocolMismatch), ExitCode.UNREACHABLE),
    ((ClusterExists, NoSuchEngine, NoSuchTask, NoEnginesRegistered), ExitCode.REFUSED),
    ((RemoteError, StartError), ExitCode.FAILED),
    (TimeoutError, ExitCode.LATE),
)


def code_of(error: BaseException) -> ExitCode | None:
    """The exit code for an error that people can cause; None for one that is ours."""
    if isinstance(error, CommandError):
        return error.code
    for classes, code in _CODES:
        if isinstance(error, classes):
            return code
    return None


def write_report(error: BaseException) -> Path:
    """Write what happened into a private file (0600) and return its path. It has no values of variables."""
    handle, path = tempfile.mkstemp(prefix="tuipar-report-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        file.write("".join(traceback.format_exception(error)))
    return Path(path)
