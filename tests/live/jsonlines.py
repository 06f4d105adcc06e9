"""Reading the JSON lines of the verbs, their envelope and keys checked against the documented ones."""

from __future__ import annotations

import json
from typing import Any

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
