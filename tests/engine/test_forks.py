"""Children of an engine process end as scripts do."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, sys
from tuiparallel.engine import forks
forgotten = []
forks.watch(lambda: forgotten.append(1))
forks.leave()  # not a child: nothing happens
pid = os.fork()
if pid == 0:
    assert forgotten == [1] and forks.process.is_child
    forks.leave({failure})
    os._exit(99)
assert forgotten == [] and not forks.process.is_child
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        ("None", 0, ""),
        ("SystemExit(4)", 4, ""),
        ("SystemExit()", 0, ""),
        ("SystemExit('stop')", 1, "stop"),
        ("ValueError('bad')", 1, "ValueError: bad"),
    ],
)
def test_a_child_leaves_with_its_code(failure: str, code: int, said: str) -> None:
    text = CODE.replace("{failure}", failure)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{code}\n", done.stderr
    assert said in done.stderr
