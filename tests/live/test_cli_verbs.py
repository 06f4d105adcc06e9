"""The verbs on real clusters: what they print, their JSON, their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import PrivateCluster
from tuiparallel.cli import demo
from tuiparallel.cli.app import run
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.processes import processes_of
from tuiparallel.cluster.running import clusters

Until = Callable[..., None]
Capture = pytest.CaptureFixture[str]

KEYS: dict[str, set[str]] = {
    "status": {"at", "hub", "engines", "clients", "tasks_per_s", "durability", "tasks"},
    "engine": {
        "id", "uuid", "host", "pid", "state", "since", "last_seen", "queue", "tasks", "completed", "errors", "cpu", "rss",
        "msg_id", "was",
    },
    "task": {
        "msg_id", "name", "label", "state", "status", "engine", "client", "attempts", "submitted", "started", "completed",
        "wait_s", "run_s", "size", "result_size",
    },
    "failure": {"ename", "evalue", "count", "first", "last", "engines", "msg_ids", "traceback"},
    "function": {"name", "count", "errors", "mean_s", "p95_s", "total_s"},
    "client": {"session", "host", "pid", "since", "outstanding"},
    "cluster": {"name", "engines", "since", "hub_pid", "file"},
    "result": {"engine", "msg_id", "status", "stdout", "stderr", "value", "run_s", "error"},
}  # fmt: skip


def rows(text: str, kind: str, cluster: str) -> list[dict[str, Any]]:
    """JSON lines of one kind, their envelope and keys checked."""
    found = [json.loads(line) for line in text.splitlines()]
    for row in found:
        assert list(row)[:3] == ["schema", "kind", "cluster"]
        assert (row["schema"], row["cluster"]) == (1, cluster)
        assert row["kind"] in KEYS or row["kind"] == "submission"
        assert set(row) >= KEYS.get(row["kind"], set())
    return [row for row in found if row["kind"] == kind]


def test_status_and_listings(client: Client, capsys: Capture) -> None:
    client.load_balanced_view().map_sync(abs, range(20))
    with pytest.raises(ZeroDivisionError):
        client[1].apply_sync(lambda: 1 / 0)
    one = ["-c", "shared"]
    assert run(["status", "--json", *one]) == 0
    (status,) = rows(capsys.readouterr().out, "status", "shared")
    assert status["engines"]["total"] == 4
    assert status["tasks"]["done"] >= 20 and status["tasks"]["error"] >= 1
    assert status["at"].endswith("Z")
    for noun, kind, least in (
        ("engines", "engine", 4),
        ("errors", "failure", 1),
        ("functions", "function", 1),
        ("clients", "client", 1),
    ):
        assert run(["ls", noun, "--json", *one]) == 0
        assert len(rows(capsys.readouterr().out, kind, "shared")) >= least
        assert run(["ls", noun, *one]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > least
        assert not any("\x1b" in line for line in lines)
    assert run(["ls", "engines", "--where", "id:1", "--json", *one]) == 0
    (engine,) = rows(capsys.readouterr().out, "engine", "shared")
    assert engine["id"] == 1 and engine["pid"] == client[1].apply_sync(os.getpid)
    assert run(["ls", "engines", "--where", "stat:idle", *one]) == 2
    assert "state" in capsys.readouterr().err
    assert run(["status", *one]) == 0
    assert capsys.readouterr().out.startswith("shared: up ")


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
    held.wait(10)
    assert held.metadata.state == "aborted"
    assert run(["abort", ids[0], "--yes", "-c", "shared"]) == 0
    assert "nothing to abort" in capsys.readouterr().err


def test_exec(client: Client, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = ["-c", "shared"]
    assert run(["exec", "print('a'); print('b'); 40 + 2", "-t", "0,2", *one]) == 0
    assert capsys.readouterr().out == "[0] a\n[0] b\n[0] 42\n[2] a\n[2] b\n[2] 42\n"
    assert run(["exec", "import sys; print('a'); print('c', file=sys.stderr)", "-t", "1", *one]) == 0
    assert capsys.readouterr() == ("a\n", "c\n")
    assert run(["exec", "1/0", "-t", "1", *one]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "ZeroDivisionError: division by zero" in printed.err
    assert run(["exec", "x = 5\nx", "--json", *one]) == 0
    found = rows(capsys.readouterr().out, "result", "shared")
    assert [row["engine"] for row in found] == [0, 1, 2, 3]
    assert {(row["status"], row["value"], row["error"]) for row in found} == {("ok", "5", None)}
    assert run(["exec", "1/0", "-t", "3", "--json", *one]) == 1
    (row,) = rows(capsys.readouterr().out, "result", "shared")
    assert row["status"] == "error"
    assert row["error"]["ename"] == "ZeroDivisionError" and "1/0" in row["error"]["traceback"]
    assert run(["exec", "1", "-t", "99", *one]) == 6
    assert "99" in capsys.readouterr().err
    assert run(["exec", "__import__('threading').Event().wait(1)", "-t", "0", "--timeout", "0.05", *one]) == 5
    file = tmp_path / "script.py"
    file.write_text("def f():\n    raise KeyError('here')\nprint('before')\nf()\n")
    assert run(["run", str(file), "-t", "2", *one]) == 1
    printed = capsys.readouterr()
    assert printed.out == "before\n"
    assert "script.py" in printed.err and "line 2" in printed.err
    done = subprocess.run(
        [sys.executable, "-m", "tuiparallel.cli", "exec", "-", "-t", "1", *one],
        input="print(6 * 7)", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "42\n")


def test_logs(cluster: Cluster, client: Client, capsys: Capture) -> None:
    for process in ("hub", "0"):
        assert run(["logs", process, "-c", "shared"]) == 0
        capsys.readouterr()
    assert run(["logs", "hub", "-n", "1", "-c", "shared"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(["logs", "99", "-c", "shared"]) == 6
    client[2].apply_sync(print, "a printed line")
    assert run(["logs", "-n", "1", "-c", "shared"]) == 0
    assert capsys.readouterr().out == "[2] a printed line\n"


def test_once(client: Client, capsys: Capture) -> None:
    assert run(["--once", "-c", "shared", "--width", "60"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("4/4" in line or "4 of 4" in line for line in lines)
    assert max(map(len, lines)) <= 60
    assert not any("\x1b" in line for line in lines)
    assert run(["--once", "--json", "-c", "shared"]) == 0
    assert len(rows(capsys.readouterr().out, "engine", "shared")) == 4


def test_start_resize_stop(empty_home: Path, capsys: Capture) -> None:
    assert run(["start", "-n", "1", "--name", "lab", "--json"]) == 0
    (cluster,) = rows(capsys.readouterr().out, "cluster", "lab")
    directory = Path(cluster["file"]).parent
    try:
        assert clusters() == ["lab"]
        assert run(["start", "-n", "1", "--name", "lab"]) == 6
        assert "Client('lab')" in capsys.readouterr().err
        assert run(["ls", "clusters", "--json"]) == 0
        (listed,) = rows(capsys.readouterr().out, "cluster", "lab")
        assert listed["hub_pid"] == cluster["hub_pid"]
        assert run(["engines", "add", "1"]) == 0  # the only one: it need not be named
        assert capsys.readouterr().out == "0\n1\n"
        assert run(["engines", "-n", "1"]) == 0
        assert capsys.readouterr().out == "0\n1\n2\n"
        assert run(["engines", "stop", "2"]) == 6
        assert run(["engines", "stop", "2", "--yes"]) == 0
        assert capsys.readouterr().out == "0\n1\n"
        assert run(["engines", "stop", "9", "--yes"]) == 6
        assert run(["engines", "scale", "1"]) == 6
        assert run(["engines", "scale", "1", "--yes"]) == 0
        capsys.readouterr()
        assert run(["restart", "--yes"]) == 6  # all engines: the name is wanted too
        assert "-c lab --yes" in capsys.readouterr().err
        assert run(["restart", "--yes", "-c", "lab"]) == 0
        assert len(capsys.readouterr().out.split()) == 2
        assert run(["engines", "signal", "CONT", "--yes", "-c", "lab"]) == 0
        assert run(["stop", "lab"]) == 6
        assert clusters() == ["lab"]
        assert run(["stop", "lbb", "--yes"]) == 3
        assert "did you mean 'lab'" in capsys.readouterr().err
    finally:
        assert run(["stop", "lab", "--yes"]) == 0
    assert capsys.readouterr().out == "lab\n"
    assert clusters() == []
    assert processes_of(directory) == []


def test_demo(empty_home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "library"
    place.mkdir()
    for index in range(20):
        (place / f"m{index}.py").write_text("def f():\n    return 1\n" * (index + 1))
    (place / "bad.py").write_text("def f(:\n")
    monkeypatch.setattr(demo, "library", lambda: place)
    assert run(["demo", "--headless", "--json", "-n", "2"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["kind"] == "demo"
    assert (row["files"], row["lines"], row["functions"]) == (21, 420, 210)
    assert (row["failures"], row["engines"]) == (1, 2)
    assert row["seconds"] > 0 and row["tasks_per_s"] > 0
    assert row["reasons"][0]["path"] == "bad.py" and row["reasons"][0]["reason"].startswith("SyntaxError")
    assert run(["demo", "--headless", "-n", "2"]) == 0
    table = capsys.readouterr().out
    assert "1 failures" in table and "speed-up" in table
    assert clusters() == []


def test_ctrl_c_leaves_tasks_running_and_says_so(private_cluster: PrivateCluster, until: Until) -> None:
    import signal

    cluster = private_cluster(1, name="ctrlc")
    with cluster as client:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuiparallel.cli", "exec", "__import__('threading').Event().wait(1)", "-c", "ctrlc"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        until(lambda: client.queue_status()[0]["queue"] == 1, what="the task has been submitted")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "go on" in err
        until(lambda: client.queue_status()[0]["completed"] == 1, what="the task has gone on")
