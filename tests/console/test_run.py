"""How the console is run: what it says when it is left, what it connects to, and where it draws in ASCII."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.console.driving import small_cluster
from tests.console.fake import FakeClient, FakeCluster
from tuiparallel.client import Client
from tuiparallel.console import run
from tuiparallel.console.app import Chosen, TuiparApp
from tuiparallel.console.desk import Options
from tuiparallel.console.run import farewell, run_console
from tuiparallel.console.settings import ConsoleSettings


def app_on(cluster: FakeCluster, options: Options | None = None) -> TuiparApp:
    return TuiparApp(cast(Client, FakeClient(cluster)), cluster, cluster.store, options, clock=cluster.clock)


def test_after_leaving_it_is_said_what_still_runs_and_how_to_come_back() -> None:
    cluster = small_cluster()
    cluster.submits("fit", 4)
    cluster.tell()
    assert farewell(app_on(cluster)) == "lab runs on with 3 engines, 4 tasks open; `tuipar -c lab` comes back."


def test_a_cluster_that_ends_is_not_said_to_run_on() -> None:
    assert farewell(app_on(small_cluster(), Options(ends_with_us=True))) == "lab ends now."
    ended = app_on(small_cluster())
    ended.ended = True
    assert farewell(ended) == "lab is down."


def test_of_a_cluster_never_seen_nothing_is_said() -> None:
    assert farewell(app_on(FakeCluster())) == ""


class Runs:
    """Stands for the app on a terminal: each run ends as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *ends: Chosen | int) -> None:
        self.ends = list(ends)
        self.seen: list[tuple[object, Options, object]] = []
        monkeypatch.setattr(run, "console_app", self.app)
        monkeypatch.setattr(run, "find", lambda name: f"connection of {name}")
        monkeypatch.setattr(run, "read_settings", ConsoleSettings)

    def app(
        self, target: object, options: Options, background: object = None, thresholds: object = None
    ) -> TuiparApp:
        self.seen.append((target, options, background))
        app = app_on(small_cluster(), options)
        app.client = None
        end = self.ends.pop(0)
        app.printed = [f"printed {len(self.seen)}"]
        if isinstance(end, int):
            app.signal = end
        app.run = lambda *_, **__: end if isinstance(end, Chosen) else None  # type: ignore[method-assign]
        return app


def work(client: Client) -> str:
    return ""


def test_the_picker_leads_to_the_next_cluster_without_the_first_ones_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs(monkeypatch, Chosen("night", True), Chosen())
    assert run_console("lab", options=Options(ends_with_us=True), background=work) == 0
    (first, options, background), (second, later, nothing) = runs.seen
    assert (first, second) == ("connection of lab", "connection of night")
    assert background is work and nothing is None
    assert options.ends_with_us and not later.ends_with_us
    assert later.started_here and not options.started_here
    output = capsys.readouterr()
    assert output.out == "printed 1\nprinted 2\n" and output.err.startswith("lab runs on with 3 engines")


def test_a_signal_is_the_exit_code_and_leaves_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Runs(monkeypatch, 15)
    assert run_console("lab") == 143
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("encoding", "term", "ascii_only"),
    [("utf-8", "xterm-256color", False), ("iso8859-1", "xterm", True), ("utf-8", "linux", True)],
)
def test_where_the_terminal_has_no_unicode_all_is_ascii(
    monkeypatch: pytest.MonkeyPatch, encoding: str, term: str, ascii_only: bool
) -> None:
    runs = Runs(monkeypatch, Chosen())
    monkeypatch.setattr(sys, "__stdout__", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    monkeypatch.setenv("TERM", term)
    run_console("lab", readonly=True)
    assert runs.seen[0][1] == replace(Options(readonly=True, hints=True), ascii=ascii_only)


def test_a_hub_that_does_not_answer_is_awaited_behind_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def refuse(target: object, timeout: float) -> Any:
        asked.append(timeout)
        raise TimeoutError("nobody there")

    made: Callable[..., TuiparApp] = run.console_app
    monkeypatch.setattr(run, "Client", refuse)
    monkeypatch.setattr(run, "Feed", lambda *args, **named: small_cluster())
    app = made(cast(Any, "somewhere"), Options())
    assert app.client is None and app._connect is not None and asked == [run.SOON]
    with pytest.raises(TimeoutError):
        app._connect()
    assert asked[1] > 10
