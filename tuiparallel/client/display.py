"""Output of tasks for people: ExecuteReply, and printing what tasks printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tuiparallel.client.metadata import Metadata
from tuiparallel.errors import RemoteError


class ExecuteReply:
    r"""What came of executing code on one engine: the value of execute and run.

        >>> reply = rc[0].execute("print('hi'); 2 + 3", silent=False).get(timeout=10)
        >>> reply.stdout, reply.execute_result["data"]["text/plain"], reply.status, reply.engine_id
        ('hi\n', '5', 'ok', 0)

    `metadata` is the task's Metadata. Its repr shows count and value, as <ExecuteReply[3]: 5>; two replies are equal
    when they are of the same task.
    """

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata

    @property
    def msg_id(self) -> str:
        """The task's msg_id, a str."""
        return str(self.metadata["msg_id"])

    @property
    def stdout(self) -> str:
        """What was printed: a str."""
        return str(self.metadata["stdout"])

    @property
    def stderr(self) -> str:
        """What was written to stderr: a str."""
        return str(self.metadata["stderr"])

    @property
    def execute_result(self) -> Any:
        """{'data': {mime: ...}, 'metadata': {...}, 'execution_count': n} of the last expression; None when it was not
        displayed.
        """
        return self.metadata["execute_result"]

    @property
    def outputs(self) -> list[Any]:
        """What was displayed otherwise: a list of mime bundles, {'data': {mime: ...}, 'metadata': {...}}."""
        return list(self.metadata["outputs"])

    @property
    def error(self) -> RemoteError | None:
        """What was raised: a RemoteError, or None."""
        error: RemoteError | None = self.metadata["error"]
        return error

    @property
    def status(self) -> str | None:
        """'ok' or 'error'; None before it has ended."""
        status: str | None = self.metadata["status"]
        return status

    @property
    def engine_id(self) -> int | None:
        """The id of the engine that ran it: an int."""
        engine: int | None = self.metadata["engine_id"]
        return engine

    @property
    def execution_count(self) -> int:
        """The engine's count of executions that displayed something, an int; 0 when nothing was."""
        found = self.execute_result
        return int(found.get("execution_count", 0)) if found else 0

    def __repr__(self) -> str:
        text = _plain(self.execute_result) or self.stdout.rstrip("\n")
        if len(text) > 64:
            text = text[:61] + "..."
        return f"<ExecuteReply[{self.execution_count}]: {text}>"

    def __eq__(self, other: object) -> bool:
        return self.msg_id == other.msg_id if isinstance(other, ExecuteReply) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.msg_id)


def _plain(bundle: Any) -> str:
    return str(bundle["data"].get("text/plain", "")) if bundle else ""


def display_outputs(tasks: Sequence[Metadata], groupby: str, result_only: bool) -> None:
    """Print what tasks printed and displayed. Raises ValueError for an unknown groupby."""
    match groupby:
        case "type":
            for kind in ("stdout", "stderr", "outputs", "execute_result"):
                if not result_only or kind == "execute_result":
                    _print([(task, kind) for task in tasks])
        case "engine":
            ordered = sorted(tasks, key=lambda task: -1 if task["engine_id"] is None else task["engine_id"])
            _print(list(_kinds(ordered, result_only)))
        case "order":
            _print(list(_kinds(tasks, result_only)))
        case _:
            raise ValueError(f"groupby={groupby!r}: it must be 'type', 'engine' or 'order'")
    errors = [task["error"] for task in tasks if task["error"] is not None]
    for error in errors:
        print(error, file=sys.stderr)


def _kinds(tasks: Sequence[Metadata], result_only: bool) -> Iterator[tuple[Metadata, str]]:
    for task in tasks:
        for kind in ("stdout", "stderr", "outputs", "execute_result"):
            if not result_only or kind == "execute_result":
                yield task, kind


def _print(pieces: list[tuple[Metadata, str]]) -> None:
    for task, kind in pieces:
        engine = task["engine_id"]
        match kind:
            case "stdout" | "stderr":
                text = task[kind]
                if text:
                    stream = sys.stderr if kind == "stderr" else sys.stdout
                    print(f"[{kind}:{engine}]", file=stream)
                    print(text, end="" if text.endswith("\n") else "\n", file=stream)
            case "outputs":
                for bundle in task["outputs"]:
                    print(f"[output:{engine}]")
                    _show(bundle)
            case _:
                if task["execute_result"]:
                    print(f"Out[{engine}:{task['execute_result'].get('execution_count', '')}]:", end=" ")
                    _show(task["execute_result"])


def _show(bundle: Any) -> None:
    """By IPython's display where there is one, else as text."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is not None:
        from IPython.display import publish_display_data  # type: ignore[import-not-found, unused-ignore]

        publish_display_data(bundle["data"], bundle.get("metadata", {}))  # type: ignore[no-untyped-call, unused-ignore]
    else:
        print(_plain(bundle))
