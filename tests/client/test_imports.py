"""What importing the package costs, and what it offers."""

from __future__ import annotations

import subprocess
import sys

import tuiparallel


def test_every_public_name_is_there() -> None:
    for name in tuiparallel.__all__:
        assert getattr(tuiparallel, name) is not None, name
    assert tuiparallel.TimeoutError is TimeoutError and tuiparallel.version_info[:2] == (0, 1)
    assert set(tuiparallel.__all__) <= set(dir(tuiparallel))


def test_importing_is_cheap_and_brings_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import tuiparallel; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new & {'textual', 'rich', 'numpy', 'zmq', 'msgspec', 'cloudpickle', 'asyncio', 'psutil'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_older_names_change_nothing() -> None:
    thing = object()
    assert tuiparallel.PrePickled(thing) is thing
    for choose in (tuiparallel.use_cloudpickle, tuiparallel.use_pickle, tuiparallel.use_dill):
        choose()
