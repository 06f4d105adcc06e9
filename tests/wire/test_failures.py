"""Exceptions to text and back: which class arrives, what it says, and what its traceback shows."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import sqlite3
import threading
import traceback
from typing import Any

import msgspec
import pytest

from tuiparallel import errors
from tuiparallel.errors import CompositeError, EngineError, RemoteError
from tuiparallel.wire.failures import TEXT_LIMIT, from_exception, to_exception, to_local, traceback_text
from tuiparallel.wire.messages import ErrorText


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def trip(error: BaseException) -> Any:
    text = from_exception(raised(error), 3, "uuid")
    return to_exception(msgspec.msgpack.decode(msgspec.msgpack.encode(text), type=ErrorText))


class Custom(KeyError):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)
        self.second = second

    def __reduce__(self) -> Any:
        return Custom, (self.args[0], self.second)


class Slotted(Exception):
    __slots__ = ("code",)

    def __reduce__(self) -> Any:
        return Slotted, self.args, self.code

    def __setstate__(self, code: Any) -> None:
        self.code = code


class Picky(Exception):
    def __init_subclass__(cls) -> None:
        raise TypeError("not to be derived from")


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("cannot travel")
        self.lock = threading.Lock()


class Malicious(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


MIXED = [
    ZeroDivisionError("division by zero"), KeyError("x"), Custom(1, 2), ValueError("v"), NameError("n", name="n"),
    FileNotFoundError(2, "nope", "/x"), UnicodeDecodeError("utf8", b"abc", 0, 1, "bad"), ImportError("no", name="q"),
    SyntaxError("bad", ("f", 1, 2, "text")), AttributeError("a", name="r"), sqlite3.OperationalError("disk"),
    errors.SerializationError("arg"), errors.UnmetDependency("not here"), RecursionError("deep"), MemoryError(),
    ModuleNotFoundError("No module named 'x'", name="x"), OSError("plain"),
]  # fmt: skip
PLAIN = [
    TimeoutError("t"), StopIteration(1), StopAsyncIteration(), asyncio.CancelledError(), concurrent.futures.CancelledError(),
    SystemExit(3), KeyboardInterrupt(), GeneratorExit(), ExceptionGroup("g", [ValueError(1)]), Picky("p"), Unpicklable(),
    errors.ConnectTimeout("c"), TimeoutError(),
]  # fmt: skip


@pytest.mark.parametrize("error", MIXED, ids=lambda error: type(error).__name__)
def test_an_exception_arrives_as_remote_error_and_as_itself(error: Exception) -> None:
    there = trip(error)
    assert isinstance(there, RemoteError) and isinstance(there, type(error))
    assert there.args == (type(error).__name__, str(error)) and type(there.original) is type(error)
    assert str(there) == f"[3:apply] {type(error).__name__}" + (f": {error}" if str(error) else "")
    assert repr(there) == f"<RemoteError[3]:{type(error).__name__}({error})>"
    assert there.engine_info == {"engine_id": 3, "engine_uuid": "uuid", "method": "apply"}
    again = pickle.loads(pickle.dumps(there))
    assert type(again) is type(there) and repr(again) == repr(there)


@pytest.mark.parametrize("error", PLAIN, ids=lambda error: type(error).__name__)
def test_what_would_steer_the_caller_or_cannot_be_mixed_arrives_plain(error: BaseException) -> None:
    there = trip(error)
    assert type(there) is RemoteError
    assert there.args == (type(error).__name__, str(error))
    assert (there.original is None) == isinstance(
        error, SystemExit | KeyboardInterrupt | GeneratorExit | Unpicklable | asyncio.CancelledError
    )
    assert repr(pickle.loads(pickle.dumps(there))) == repr(there)


def test_what_the_original_knew_is_there() -> None:
    assert trip(FileNotFoundError(2, "nope", "/x")).filename == "/x"
    assert trip(FileNotFoundError(2, "nope", "/x")).errno == 2
    assert trip(Custom(1, 2)).second == 2
    assert trip(ImportError("no", name="q")).name == "q"
    assert trip(SyntaxError("bad", ("f", 1, 2, "text"))).lineno == 1
    error = Slotted("s")
    error.code = 5
    assert trip(error).code == 5
    group = trip(ExceptionGroup("g", [ValueError(1), KeyError(2)]))
    assert isinstance(group.original, ExceptionGroup) and len(group.original.exceptions) == 2
    assert "ValueError: 1" in group.traceback and "KeyError: 2" in group.traceback


def test_it_can_be_caught_in_both_ways() -> None:
    for way in (RemoteError, ZeroDivisionError, ArithmeticError, errors.ParallelError):
        with pytest.raises(way):
            raise trip(ZeroDivisionError("x"))


def test_a_class_that_is_unknown_here_arrives_plain() -> None:
    text = from_exception(raised(Custom(1, 2)), 3)
    assert text.pickled is not None
    for damaged in (text.pickled.replace(b"test_failures", b"test_nowheres"), b"", b"\x01junk", text.pickled[:-5]):
        there = to_exception(msgspec.structs.replace(text, pickled=damaged))
        assert type(there) is RemoteError and there.original is None and there.ename == "Custom"


def test_a_pickle_that_holds_no_exception_is_ignored() -> None:
    there = to_exception(ErrorText("E", "v", "tb", 1, pickled=pickle.dumps([1])))
    assert type(there) is RemoteError and there.original is None


def test_the_traceback_has_the_users_frames_and_no_others() -> None:
    from tuiparallel.wire import names, objects

    class Inner:
        def __reduce__(self) -> Any:
            return users_code, ()

    body = objects.pack(Inner()).body
    try:
        objects.unpack(body)
    except errors.DeserializationError as caught:
        failure = caught.__cause__
        assert failure is not None
        text = traceback_text(failure)
    assert "in users_code\n    raise LookupError('here')" in text
    assert objects.__file__ not in text and names.__file__ not in text
    assert text.startswith("Traceback (most recent call last):\n") and text.endswith("LookupError: here\n")


def users_code() -> None:
    raise LookupError('here')  # fmt: skip


def test_causes_are_shown() -> None:
    try:
        try:
            users_code()
        except LookupError as first:
            raise ValueError("second") from first
    except ValueError as second:
        text = from_exception(second).traceback
    assert text.index("LookupError: here") < text.index("direct cause") < text.index("ValueError: second")


def test_an_uncaught_one_shows_the_engines_traceback() -> None:
    shown = "".join(traceback.format_exception(trip(ValueError("v"))))
    assert "[3:apply] ValueError: v" in shown and "in raised\n" in shown


def test_texts_are_bounded_and_hostile_classes_do_no_harm() -> None:
    text = from_exception(raised(ValueError("x" * 10**6)), 1)
    assert len(text.evalue) < TEXT_LIMIT + 100 and "characters left out" in text.evalue
    assert len(text.traceback) < TEXT_LIMIT + 100 and text.pickled is None
    text = from_exception(raised(Malicious()), 1)
    assert text.evalue == "(str() of this Malicious raised RuntimeError)" and "Malicious" in text.traceback
    assert isinstance(to_exception(text), RemoteError)
    assert from_exception(ValueError("v"), pickled=False).pickled is None


def test_a_task_that_was_a_client_passes_on_what_failed_there() -> None:
    inner = trip(KeyError("x"))
    there = trip(inner)
    assert there.ename == "KeyError" and there.evalue == "'x'" and isinstance(there, KeyError)
    assert repr(there) == "<RemoteError[3]:KeyError('x')>"
    composite = trip(CompositeError("f failed", [("KeyError", "1", "", {})]))
    assert isinstance(composite, CompositeError) and composite.elist[0][0] == "KeyError"
    dead = trip(EngineError("EngineError", "it died", "", {}, facts={"pid": 4}))
    assert isinstance(dead, EngineError) and dead.pid == 4


# Errors of the hub ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ename", errors.HUB_ERRORS)
def test_an_error_of_the_hub_has_its_own_class(ename: str) -> None:
    there = to_exception(ErrorText(ename, "what happened", "", 3, facts={"pid": 4, "limit": "1 GiB"}))
    assert type(there) is errors.HUB_ERRORS[ename] and there.ename == ename
    assert there.facts == {"pid": 4, "limit": "1 GiB"}
    assert repr(there) == f"<{type(there).__name__}[3]:{ename}(what happened)>"


def test_an_engines_death_has_its_facts() -> None:
    facts = {"pid": 4, "signal": 9, "host": "node7", "engine_id": 3, "may_have_started": True}
    there = to_exception(ErrorText("EngineError", "engine 3 on node7 was killed", "", 3, facts=facts))
    assert isinstance(there, EngineError) and (there.pid, there.signal, there.host) == (4, 9, "node7")


def test_a_users_own_class_of_such_a_name_is_not_taken_for_one() -> None:
    text = from_exception(raised(KeyError("x")), 3, pickled=False)
    assert type(to_exception(text)) is RemoteError


def test_other_errors_of_the_hub_are_both_too() -> None:
    there = to_exception(ErrorText("ValueError", "no such operator", ""))
    assert isinstance(there, RemoteError) and isinstance(there, ValueError)
    assert type(pickle.loads(pickle.dumps(there))) is RemoteError
    assert type(to_exception(ErrorText("Unheard", "of", ""))) is RemoteError


def test_what_was_asked_here_is_answered_with_a_local_class() -> None:
    assert type(to_local(ErrorText("ValueError", "no such operator", ""))) is ValueError
    assert type(to_local(ErrorText("MessageTooLarge", "m", ""))) is errors.MessageTooLarge
    assert type(to_local(ErrorText("StorageFull", "m", ""))) is errors.StorageFull
    assert type(to_local(ErrorText("UnicodeDecodeError", "m", ""))) is not UnicodeDecodeError
    assert type(to_local(ErrorText("SystemExit", "m", ""))) is RemoteError
    assert isinstance(to_local(from_exception(raised(KeyError("x")), 3)), RemoteError)


def test_facts_come_with_the_exception() -> None:
    text = msgspec.structs.replace(from_exception(ValueError("bad"), 3), facts={"index": 7})
    assert text.pickled is not None
    error = to_exception(text)
    assert isinstance(error, ValueError) and error.facts == {"index": 7}
