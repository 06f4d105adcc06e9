"""The examples of docstrings, each run on the shared cluster and compared with what it says it gives."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import pkgutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tuiparallel
import tuiparallel.client
import tuiparallel.cluster
from tests.conftest import PATIENCE

if TYPE_CHECKING:
    from tuiparallel.client.client import Client

MODULES = (
    "tuiparallel.errors", "tuiparallel.wire.current", "tuiparallel.wire.functions", "tuiparallel.wire.references",
    *[f"{room.__name__}.{info.name}" for room in (tuiparallel.client, tuiparallel.cluster)
      for info in pkgutil.iter_modules(room.__path__)],
)  # fmt: skip


def _examples() -> dict[str, doctest.DocTest]:
    """Every docstring with an example, by the name of what it explains."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: dict[str, doctest.DocTest] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for test in finder.find(module, name.rpartition(".")[2], module):
            if test.examples:
                found[test.name] = test
    return found


EXAMPLES = _examples()


def test_the_main_names_have_examples() -> None:
    main = {
        "client.Client", "control.Control.abort", "queries.Queries.db_query", "view.View.apply", "view.View.map",
        "view.View.imap", "view.View.reduce", "flags.Flagged.temp_flags", "directview.DirectView.scatter",
        "directview.DirectView.execute", "balancedview.LoadBalancedView", "asyncresult.AsyncResult",
        "mapresult.AsyncMapResult", "executor.ViewExecutor", "decorators.depend", "decorators.require",
        "dependency.Dependency", "cluster.Cluster", "errors.CompositeError", "references.Reference",
    }  # fmt: skip
    assert main <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(
    name: str, client: Client, rc: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUIPAR_CLUSTER", rc.name)
    names: dict[str, Any] = {
        "__name__": "__main__", "tp": tuiparallel, "np": np, "os": os, "time": time, "rc": rc, "dview": rc[:],
        "lview": rc.load_balanced_view(),
    }  # fmt: skip
    test = EXAMPLES[name]
    test.globs = names
    told: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(test, out=told.append, clear_globs=False)
    rc.wait(timeout=PATIENCE)
    for opened in names.values():
        if inspect.ismethod(getattr(opened, "close", None)) and opened is not rc:
            opened.close()
    assert tried and not failed, "".join(told)
