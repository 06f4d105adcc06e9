"""Which error gives which exit code."""

from __future__ import annotations

import stat

import pytest

from tuiparallel import errors
from tuiparallel.cli.exits import ExitCode, code_of, late, refused, usage, write_report


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RemoteError("ValueError", "bad"), 1),
        (errors.CompositeError("two"), 1),
        (errors.EngineError("died"), 1),
        (errors.StartError("no"), 1),
        (usage("what?"), 2),
        (errors.ClusterNotFound("lab"), 3),
        (errors.HubUnreachable("gone"), 4),
        (errors.ConnectTimeout("late"), 4),
        (errors.AuthenticationError("key"), 4),
        (errors.InsecureFile("mode"), 4),
        (errors.ProtocolMismatch("2"), 4),
        (late("more"), 5),
        (TimeoutError("more"), 5),
        (refused("--yes"), 6),
        (errors.ClusterExists("lab"), 6),
        (errors.NoSuchEngine("99"), 6),
        (errors.NoSuchTask("x-1"), 6),
        (errors.NoEnginesRegistered("none"), 6),
        (ZeroDivisionError("ours"), None),
        (ValueError("ours"), None),
    ],
)
def test_codes(error: BaseException, code: int | None) -> None:
    assert code_of(error) == code


def test_the_numbers_are_the_documented_ones() -> None:
    assert {item.name: item.value for item in ExitCode} == {
        "DONE": 0, "FAILED": 1, "USAGE": 2, "NO_CLUSTER": 3, "UNREACHABLE": 4, "LATE": 5, "REFUSED": 6,
        "INTERNAL": 70, "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip


def test_a_report_is_private_and_has_no_values() -> None:
    secret = "s3cr3t"
    try:
        raise ZeroDivisionError("division")
    except ZeroDivisionError as error:
        path = write_report(error)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text()
        assert "ZeroDivisionError: division" in text
        assert f"{secret}'" not in text.replace('secret = "s3cr3t"', "")
    finally:
        path.unlink()
