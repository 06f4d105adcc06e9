"""wait, abort and ls tasks on a real cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import PATIENCE
from tests.live.conftest import Occupy
from tests.live.jsonlines import rows
from tuiparallel.cli.app import run
from tuiparallel.cli.call import Call
from tuiparallel.cli.observing import Watch, watch
from tuiparallel.client.client import Client

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]


def test_ls_tasks_and_wait(client: Client, capsys: Capture) -> None:
    view = client.load_balanced_view()
    view.set_flags(label="waited")
    good = view.map_async(abs, range(3))
    good.get()
    bad = client[0].apply_async(lambda: 1 / 0)
    bad.wait()
    assert run(["ls", "tasks", "--where", "label:waited", "--json", "-c", "shared"]) == 0
    found = rows(capsys.readouterr().out, "task", "shared")
    assert {row["msg_id"] for row in found} >= set(good.msg_ids)
    assert {(row["state"], row["status"]) for row in found} == {("done", "ok")}
    assert run(["wait", *good.msg_ids, "-c", "shared"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{msg_id} done" for msg_id in good.msg_ids]
    assert run(["wait", *bad.msg_ids, "-c", "shared"]) == 1
    assert capsys.readouterr().out == f"{bad.msg_ids[0]} error\n"
    assert run(["wait", "feed-1", "-c", "shared"]) == 6
    assert run(["wait", "nonsense", "-c", "shared"]) == 2


def test_wait_ends_when_the_tasks_do(client: Client, capsys: Capture) -> None:
    held = client[0].apply_async(lambda: __import__("threading").Event().wait(0.5))
    assert run(["wait", held.msg_ids[0], "-c", "shared", "--timeout", "0.05"]) == 5
    assert "they go on" in capsys.readouterr().err
    assert run(["wait", held.msg_ids[0], "-c", "shared", "--timeout", "20"]) == 0
    assert capsys.readouterr().out == f"{held.msg_ids[0]} done\n"


def test_wait_for_a_query_means_open_tasks_whatever_else_is_known(
    client: Client, capsys: Capture, monkeypatch: pytest.MonkeyPatch, occupy: Occupy
) -> None:
    @contextmanager
    def informed(call: Call) -> Iterator[Watch]:
        with watch(call) as watched:
            watched.load_history()
            yield watched

    monkeypatch.setattr("tuiparallel.cli.tasks.watch", informed)
    client[0].apply_async(lambda: 1 / 0).wait(PATIENCE)
    held = occupy(client[0], 1.0)
    mine = f"client:{client.session}"
    assert run(["wait", "--where", mine, "-c", "shared", "--timeout", "0.05"]) == 5
    assert "1 of 1 tasks have not ended" in capsys.readouterr().err
    assert run(["wait", "--where", mine, "-c", "shared", "--timeout", "30"]) == 0
    assert capsys.readouterr().out == f"{held.msg_ids[0]} done\n"


def test_abort(client: Client, capsys: Capture) -> None:
    held = client[0].apply_async(lambda: __import__("threading").Event().wait(3))
    queued = [client[0].apply_async(abs, index) for index in range(3)]
    ids = [answer.msg_ids[0] for answer in queued]
    which = ["abort", "--where", f"client:{client.session} state:open", "-c", "shared"]
    assert run(which) == 6
    refusal = capsys.readouterr()
    assert refusal.out == "" and "abort 4 tasks" in refusal.err and "--yes" in refusal.err
    assert run([*which, "--yes"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ids
    assert held.msg_ids[0] in printed.err and "left alone" in printed.err
    assert run(["abort", held.msg_ids[0], "--running", "--yes", "--json", "-c", "shared"]) == 0
    (row,) = rows(capsys.readouterr().out, "task", "shared")
    assert (row["msg_id"], row["state"]) == (held.msg_ids[0], "aborted")
    held.wait(PATIENCE)
    assert held.metadata.state == "aborted"
    assert run(["abort", ids[0], "--yes", "-c", "shared"]) == 0
    assert "nothing to abort" in capsys.readouterr().err
