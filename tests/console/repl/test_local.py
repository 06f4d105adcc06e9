"""The child process: a real one, and the three deaths it survives."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tuiparallel.console.repl.local import Local
from tuiparallel.console.repl.talk import (
    AskChild,
    Begin,
    CellRan,
    ChildAnswer,
    KnowCell,
    Printed,
    RunCell,
    StopCell,
)

WITHIN = 20.0


class Talk:
    """A child and what it has said."""

    def __init__(self) -> None:
        self.said: queue.Queue[Any] = queue.Queue()
        self.local = Local(self.said.put, self.said.put)
        self.number = 0

    def send(self, source: str, **more: Any) -> int:
        """Sends a cell."""
        self.number += 1
        self.local.send(RunCell(self.number, source, **more), lambda: [Begin("")])
        return self.number

    def until(self, kind: type[Any]) -> tuple[Any, str]:
        """The next message of a kind, and what was printed before it."""
        text = ""
        while True:
            said = self.said.get(timeout=WITHIN)
            if isinstance(said, Printed):
                text += said.text
            if isinstance(said, kind):
                return said, text

    def run(self, source: str) -> tuple[CellRan, str]:
        """Runs a cell to its end."""
        self.send(source)
        ran, text = self.until(CellRan)
        return ran, text

    def ask(self, what: str, text: str) -> ChildAnswer:
        """Asks while a cell may run."""
        self.local.tell(AskChild(1, what, text, len(text)))
        answer: ChildAnswer = self.until(ChildAnswer)[0]
        return answer


@pytest.fixture
def talk() -> Iterator[Talk]:
    made = Talk()
    yield made
    pid = made.local.pid
    made.local.close()
    assert pid is None or not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_names_live_from_cell_to_cell_and_the_last_value_is_told(talk: Talk) -> None:
    assert talk.run("x = 20\nprint('hello')") == (talk_ran(1, ""), "hello\n")
    assert talk.run("x + 1")[0].part.value == "21"
    assert talk.run("In[1], Out[2], _, cell(2)")[0].part.value == "(\"x = 20\\nprint('hello')\", 21, 21, 21)"
    assert talk.run("x;")[0].part.value == ""


def talk_ran(number: int, value: str) -> Any:
    """A CellRan that says so, whatever its seconds."""

    class Same:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, CellRan) and (other.number, other.part.value, other.part.ok) == (
                number,
                value,
                True,
            )

    return Same()


def test_output_of_c_code_and_of_processes_is_the_cells(talk: Talk) -> None:
    _, text = talk.run(
        "import os, sys\nprint('one')\nos.write(1, b'two\\n'); os.system('echo three')\nprint('four', file=sys.stderr)"
    )
    assert sorted(text.split()) == ["four", "one", "three", "two"]


def test_a_flood_is_bounded_and_its_end_is_kept(talk: Talk) -> None:
    _, text = talk.run("print('\\n'.join(map(str, range(600_000))))")
    assert "characters not shown" in text
    assert text.rstrip().endswith("599999")


def test_an_error_points_at_the_cells_line(talk: Talk) -> None:
    ran, _ = talk.run("def f():\n    return 1 / 0\nf()")
    assert (ran.part.ename, ran.part.evalue) == ("ZeroDivisionError", "division by zero")
    assert 'File "<cell 1>", line 2, in f' in ran.part.traceback
    assert "return 1 / 0" in ran.part.traceback
    assert "child.py" not in ran.part.traceback


@pytest.mark.parametrize(
    ("source", "ename"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("exit()", "SystemExit"),
        ("input()", "EOFError"),
        ("1 +", "SyntaxError"),
        ("class E(Exception):\n  def __str__(self): raise KeyError\nraise E", "E"),
        ("raise BaseException('x')", "BaseException"),
    ],
)
def test_whatever_is_raised_is_an_outcome(talk: Talk, source: str, ename: str) -> None:
    assert talk.run(source)[0].part.ename == ename
    assert talk.run("6 * 7")[0].part.value == "42"


def test_a_repr_that_raises_is_told(talk: Talk) -> None:
    ran, _ = talk.run("class R:\n  def __repr__(self): return 1 / 0\nR()")
    assert ran.part.ok
    assert "ZeroDivisionError" in ran.part.value


def test_an_endless_loop_is_interrupted_and_names_stay(talk: Talk) -> None:
    talk.run("x = 5")
    number = talk.send("print('begun', flush=True)\nwhile True: pass")
    talk.until(Printed)
    talk.local.tell(StopCell(number))
    ran = talk.until(CellRan)[0]
    assert ran.interrupted
    assert ran.part.ename == "KeyboardInterrupt"
    assert "child.py" not in ran.part.traceback
    assert talk.run("x")[0].part.value == "5"


def test_a_sleeping_cell_is_interrupted(talk: Talk) -> None:
    number = talk.send("print('begun')\nimport time; time.sleep(60)")
    talk.until(Printed)
    talk.local.tell(StopCell(number))
    assert talk.until(CellRan)[0].interrupted


def test_an_interrupt_of_an_ended_cell_touches_nothing(talk: Talk) -> None:
    talk.run("1")
    talk.local.tell(StopCell(1))
    assert talk.run("import time; time.sleep(0.05); 'kept'")[0].part.value == "'kept'"


def test_a_queued_cell_can_be_stopped_before_it_begins(talk: Talk) -> None:
    first = talk.send("print('begun')\nimport time; time.sleep(60)")
    second = talk.send("y = 1")
    talk.until(Printed)
    talk.local.tell(StopCell(second))
    talk.local.tell(StopCell(first))
    assert [talk.until(CellRan)[0].interrupted for _ in range(2)] == [True, True]
    assert talk.run("'y' in globals()")[0].part.value == "False"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os; os._exit(3)", "status 3"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_its_deaths_cost_its_names_and_nothing_else(talk: Talk, source: str, why: str) -> None:
    talk.run("x = 1")
    talk.send(source)
    assert why in talk.until(str)[0]
    assert talk.run("'x' in globals()")[0].part.value == "False"


def test_it_answers_questions_while_it_runs(talk: Talk) -> None:
    talk.run("table = {}\ndef area(width, height=2): 'Says how large.'")
    number = talk.send("print('begun')\nwhile True: pass")
    talk.until(Printed)
    assert talk.ask("complete", "tab").body == ["table"]
    assert talk.ask("signature", "area").body == "area(width, height=2)"
    assert "Says how large." in str(talk.ask("inspect", "area?").body)
    assert [row[:2] for row in talk.ask("names", "").body] == [["area", "function"], ["table", "dict"]]  # type: ignore[attr-defined]
    assert "no question" in talk.ask("nonsense", "").error
    talk.local.tell(StopCell(number))
    talk.until(CellRan)


def test_without_a_cluster_it_says_so(talk: Talk) -> None:
    talk.run("1")
    talk.local.tell(KnowCell(7, "x", ["abc-1"]))
    ran, _ = talk.run("Out[7]")
    assert "there is no rc" in ran.part.evalue
    assert "there is no cluster" in talk.run("px('1')")[0].part.evalue


def test_functions_of_cells_travel_by_value(talk: Talk) -> None:
    ran, _ = talk.run(
        "import cloudpickle\ndef f(): return g\ng = 1\nb'def' in b'def' and cloudpickle.dumps(f).count(b'__main__') > 0"
    )
    assert ran.part.ok


def test_it_ends_with_the_console_also_within_a_loop(talk: Talk) -> None:
    talk.send("print('begun')\nwhile True: pass")
    talk.until(Printed)
    pid = talk.local.pid
    assert pid is not None
    talk.local.close()
    assert not psutil.pid_exists(pid)


def test_processes_a_cell_has_started_end_with_it(talk: Talk) -> None:
    ran, _ = talk.run("import subprocess\nsubprocess.Popen(['sleep', '300']).pid")
    sleeper = int(ran.part.value)
    os.kill(sleeper, 0)
    talk.local.close()
    process = psutil.Process(sleeper) if psutil.pid_exists(sleeper) else None
    if process is not None:
        process.wait(5)


def test_the_child_does_not_know_textual(talk: Talk) -> None:
    ran, _ = talk.run("import sys\nsorted({'textual', 'rich', 'zmq'} & set(sys.modules))")
    assert ran.part.value == "[]"


def test_signals_from_outside_between_cells_are_nothing(talk: Talk) -> None:
    talk.run("1")
    os.kill(talk.local.pid or 0, signal.SIGINT)
    assert talk.run("2")[0].part.value == "2"
