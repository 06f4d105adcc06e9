"""The tree of exceptions: who is a kind of what, what each says, and that all of them pickle."""

from __future__ import annotations

import builtins
import inspect
import pickle
import subprocess
import sys

import pytest

from tuiparallel import errors
from tuiparallel.errors import AlreadyDisplayedError, CompositeError, EngineError, NoSuchTask, RemoteError

ALL = {
    name: cls
    for name, cls in vars(errors).items()
    if inspect.isclass(cls) and issubclass(cls, BaseException) and cls.__module__ == errors.__name__
}
INFO = {"engine_id": 0, "engine_uuid": "u", "method": "apply"}

BASES = {
    "HubUnreachable": (ConnectionError,),
    "ConnectTimeout": (errors.HubUnreachable, builtins.TimeoutError),
    "ClusterNotFound": (FileNotFoundError,),
    "ClusterExists": (RuntimeError,),
    "StartError": (RuntimeError,),
    "InsecureFile": (PermissionError,),
    "AuthenticationError": (ConnectionError,),
    "ProtocolMismatch": (ConnectionError,),
    "ClientClosed": (RuntimeError, OSError),
    "ResultNotReady": (AssertionError, RuntimeError, ValueError),
    "NoEnginesRegistered": (errors.ParallelError,),
    "NoSuchEngine": (IndexError,),
    "SerializationError": (TypeError, pickle.PicklingError),
    "DeserializationError": (errors.ParallelError,),
    "MessageTooLarge": (ValueError,),
    "UnmetDependency": (errors.ParallelError,),
    "CompositeError": (RemoteError,),
    "AlreadyDisplayedError": (RemoteError,),
    "EngineError": (RemoteError,),
    "AbortedTask": (RemoteError,),
    "TaskTimeout": (RemoteError,),
    "ImpossibleDependency": (RemoteError, errors.UnmetDependency),
    "InvalidDependency": (errors.ImpossibleDependency,),
    "TaskLost": (RemoteError,),
    "ResultExpired": (RemoteError,),
    "StorageFull": (RemoteError,),
    "NoSuchTask": (RemoteError, KeyError),
}


@pytest.mark.parametrize("name", BASES)
def test_bases(name: str) -> None:
    assert all(issubclass(ALL[name], base) for base in BASES[name])


def test_aliases() -> None:
    assert errors.KernelError is errors.IPythonError is errors.ParallelError
    assert errors.TaskAborted is errors.AbortedTask
    assert errors.DependencyTimeout is errors.TaskTimeout
    assert errors.TaskRejectError is errors.UnmetDependency


@pytest.mark.parametrize("cls", set(ALL.values()), ids=lambda cls: cls.__name__)
def test_each_is_built_from_one_message_and_pickles(cls: type[Exception]) -> None:
    error = cls("what went wrong")
    assert isinstance(error, errors.ParallelError) and "what went wrong" in str(error) and cls.__doc__
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls and again.args == error.args and str(again) == str(error)


def test_the_docstring_draws_every_class() -> None:
    assert errors.__doc__
    for name in ALL:
        assert name in errors.__doc__, name


def test_a_remote_error_shows_where_and_what() -> None:
    error = RemoteError("ZeroDivisionError", "division by zero", "Traceback...\n  line\n", INFO)
    assert str(error) == "[0:apply] ZeroDivisionError: division by zero"
    assert repr(error) == "<RemoteError[0]:ZeroDivisionError(division by zero)>"
    assert error.args == ("ZeroDivisionError", "division by zero")
    assert error.engine_info == INFO and error.original is None
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.traceback, again.engine_info) == (str(error), error.traceback, INFO)
    assert again.__notes__ == error.__notes__  # once, not twice


def test_tracebacks_are_rendered_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    error = RemoteError("KeyError", "1", "Traceback\n  line\nKeyError: 1\n", INFO)
    assert error.render_traceback() == ["Traceback", "  line", "KeyError: 1"]
    error.print_traceback()
    assert capsys.readouterr().out == "Traceback\n  line\nKeyError: 1\n"
    assert RemoteError("KeyError", "1").render_traceback() == ["KeyError: 1"]


def test_an_uncaught_one_prints_the_remote_traceback() -> None:
    code = (
        "from tuiparallel.errors import RemoteError\n"
        "raise RemoteError('KeyError', '1', 'Traceback (most recent call last):\\n  far away', {'engine_id': 2})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "RemoteError: [2:apply] KeyError: 1" in run.stderr and "  far away" in run.stderr


def test_a_composite_error_gives_access_to_each() -> None:
    parts = [RemoteError("KeyError", str(n), f"text {n}", INFO | {"engine_id": n}) for n in range(6)]
    error = CompositeError("6 of 7 tasks of f failed", errors=parts, results=[*parts, 7])
    assert error.elist[2] == ("KeyError", "2", "text 2", INFO | {"engine_id": 2})
    assert error.errors == parts and error.results[-1] == 7 and error.tb_limit == 4
    assert str(error).splitlines() == [
        "6 of 7 tasks of f failed",
        *(f"[{n}:apply] KeyError: {n}" for n in range(4)),
        "... and 2 more",
    ]
    with pytest.raises(RemoteError) as caught:
        error.raise_exception(3)
    assert caught.value is parts[3]
    with pytest.raises(RemoteError) as caught:
        error.raise_exception()
    assert caught.value is parts[0]
    with pytest.raises(IndexError, match="no error number 9: this CompositeError has 6"):
        error.raise_exception(9)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.elist == error.elist


def test_a_composite_error_prints_one_or_some(capsys: pytest.CaptureFixture[str]) -> None:
    error = CompositeError("f failed", [("KeyError", str(n), f"text {n}", INFO) for n in range(6)])
    error.print_traceback(5)
    assert capsys.readouterr().out == "text 5\n"
    error.print_traceback()
    shown = capsys.readouterr().out
    assert "text 3" in shown and "text 4" not in shown and "... and 2 more" in shown
    assert [type(part) for part in error.errors] == [RemoteError] * 6


def test_an_engine_error_knows_how_the_engine_died() -> None:
    facts = {"engine_id": 3, "host": "node7", "pid": 9, "exitcode": None, "signal": 9, "peak_rss": 1 << 30}
    facts |= {"stderr_tail": "Killed", "attempts": [[3, 1.0, 2.0, "lost"]], "may_have_started": False}
    error = EngineError("EngineError", "engine 3 on node7 died", "", INFO, facts=facts)
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert (one.engine_id, one.host, one.pid, one.signal, one.exitcode) == (3, "node7", 9, 9, None)
        assert (one.peak_rss, one.stderr_tail, one.may_have_started) == (1 << 30, "Killed", False)
        assert one.attempts == [[3, 1.0, 2.0, "lost"]]
    assert EngineError("it died").may_have_started is True


def test_no_such_task_is_a_key_error_by_name_and_by_class() -> None:
    error = NoSuchTask("there is no task x-1")
    assert error.ename == "KeyError" and isinstance(error, KeyError)
    assert str(error) == "KeyError: there is no task x-1"


def test_an_error_that_was_shown_prints_one_line() -> None:
    error = AlreadyDisplayedError("KeyError", "1", "Traceback...", INFO)
    assert error.render_traceback() == ["[0:apply] KeyError: 1"] and not error.__notes__


def test_the_tables_name_their_classes() -> None:
    assert all(cls("m").ename == name for name, cls in errors.HUB_ERRORS.items())
    assert all(ALL[name] is cls for name, cls in errors.LOCAL_ERRORS.items())
    above = {name for name, cls in ALL.items() if not issubclass(cls, RemoteError) and cls.__name__ == name}
    assert above == set(errors.LOCAL_ERRORS) | {"ParallelError"}
