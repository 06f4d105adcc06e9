"""The bare echo: answers come back, and its processes and files go with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import psutil
import pytest

from tuiparallel.link.echo import WINDOW, BareEcho


@pytest.mark.live
def test_what_is_sent_comes_back_and_nothing_stays() -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    others = set(psutil.Process().children())  # a cluster that tests share may be one
    with BareEcho() as bare:
        assert bare.call() == b"x"
        assert bare.stream(3 * WINDOW) == 3 * WINDOW
        assert bare.stream(0) == 0
        assert len(set(psutil.Process().children()) - others) == 2
    assert set(psutil.Process().children()) <= others
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in left if name.startswith("tp-echo-")]


def test_its_processes_take_no_other_arguments() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tuiparallel.link.echo", "broker"], capture_output=True, text=True, stdin=subprocess.PIPE,
        timeout=30,
    )  # fmt: skip
    assert done.returncode != 0
    assert "usage" in done.stderr
