"""The oracle of the generated histories sees rules that are broken: each of these faults, planted by hand, is found."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType

import pytest

from tests.hub.histories import fails
from tests.hub.world import plan
from tuiparallel.hub import dependencies, scheduler
from tuiparallel.hub.aborts import Aborts
from tuiparallel.hub.endings import Endings
from tuiparallel.hub.lanes import Lanes
from tuiparallel.hub.scheduler import Scheduler

MOST = 1500  # histories until a planted fault must have shown
RARE = {
    "returns of an old lease count": 3600,
    "what an engine has of old leases is its own": 3600,
}  # begun with this one

FAULTS: dict[str, tuple[type | ModuleType, str, str, str]] = {
    "results are taken twice": (
        Scheduler,
        "_ran",
        "effects.append(TaskEnded(task, State.DONE, ran))",
        "effects.extend([TaskEnded(task, State.DONE, ran)] * 2)",
    ),
    "a death is always tried again": (Scheduler, "_lost", "task.attempt <= work.retries and", ""),
    "a failure is always tried again": (Scheduler, "_failed", "task.attempt <= work.retries and", ""),
    "attempts are not counted": (Scheduler, "_again", "task.attempt += 1", "pass"),
    "one attempt too few after a death": (
        Scheduler,
        "_lost",
        "task.attempt <= work.retries",
        "task.attempt < work.retries",
    ),
    "unstarted tasks of the dead are lost": (Scheduler, "_lost", "free.append(task)", "pass"),
    "direct tasks of the dead are forgotten": (
        Scheduler,
        "_lost",
        "seat.next_direct()) is not None",
        "None) is not None",
    ),
    "the start mark is read one too early": (scheduler, "_may_have_started", "position + 1", "position"),
    "no mark means that nothing started": (Scheduler, "_lost", "if event.exact else len(held)", ""),
    "returns of an old lease count": (
        Scheduler,
        "_leased",
        "or task.engine != engine or task.lease != lease.lease ",
        "",
    ),
    "results of an old lease count": (Scheduler, "_ran", "or task.lease != ran.lease or task.engine != engine", ""),
    "what never arrived is not sent again": (Scheduler, "_back", "if unheard:", "if False:"),
    "what an engine has of old leases is its own": (Scheduler, "_back", "and task.lease == lease.lease", ""),
    "an aborted task that is given back runs": (Scheduler, "_returned", "if task.ending is not None:", "if False:"),
    "an interrupted task is tried again": (Scheduler, "_failed", "if task.ending is not None:", "if False:"),
    "who does not stop is left alone": (Scheduler, "_expire", "elif task.ending is not None", "elif False"),
    "dependencies time out at once": (Scheduler, "_enqueue", "now + work.timeout", "now"),
    "time limits count from the epoch": (Scheduler, "_began", "now + task.batch.work.time_limit", "now"),
    "targets are forgotten": (Scheduler, "_enqueue", "task.places = places", "pass"),
    "nobody hears of an end": (Endings, "_finish", "if len(self.dependencies):", "if False:"),
    "any end will do": (
        dependencies._Clause,
        "count",
        "if self.need.success if fact.ok else self.need.failure:",
        "if True:",
    ),
    "followers go anywhere": (Endings, "_decide", "if allowed is not None:", "if False:"),
    "an abort is not answered": (Endings, "_settle_ticket", "self._answer(number, effects)", "pass"),
    "an abort says aborted and leaves it": (
        Aborts,
        "_abort",
        "self._finish(task, State.ABORTED, ran, effects)",
        "pass",
    ),
    "a restart forgets where tasks may run": (
        Scheduler,
        "places_of",
        "return targets",
        "return None if True else targets",
    ),
    "what is put back is forgotten": (Lanes, "extend_front", "self._lane(task).queue.appendleft(task)", "pass"),
}


def planted(monkeypatch: pytest.MonkeyPatch, owner: type | ModuleType, name: str, old: str, new: str) -> None:
    """Change the source of one function of the rules."""
    raw = inspect.getattr_static(owner, name)
    function = raw.__func__ if isinstance(raw, staticmethod) else raw
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{name} has no {old!r} any more"
    scope = dict(vars(sys.modules[function.__module__]))
    exec(compile(source.replace(old, new, 1), f"{name}, changed", "exec"), scope)
    made: Callable[..., object] | staticmethod[..., object] = scope[name]
    if isinstance(owner, ModuleType):
        monkeypatch.setitem(vars(owner), name, made)
    else:
        monkeypatch.setattr(owner, name, made)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    planted(monkeypatch, *FAULTS[fault])
    first = RARE.get(fault, 0)
    for seed in range(first, first + MOST):
        if found := fails(seed, plan(seed), check=False):
            assert found.startswith("BrokenError"), found
            print(f"{fault}: history {seed}, {found}")
            return
    pytest.fail(f"{MOST} histories did not show it")
