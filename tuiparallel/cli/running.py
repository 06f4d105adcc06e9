"""exec and run: code on engines, its output and its errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, late, usage
from tuiparallel.errors import RemoteError
from tuiparallel.monitor.sanitize import clean_block


def execute(call: Call, code: str, targets: str | None, timeout: float | None) -> int:
    """Run code (- is stdin) on engines and print what comes back."""
    return _execute(call, sys.stdin.read() if code == "-" else code, targets, timeout)


def run_script(call: Call, path: str, targets: str | None, timeout: float | None) -> int:
    """Run a file on engines; its lines stand in tracebacks."""
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise usage(f"{path}: {error.strerror}") from error
    return _execute(call, None, targets, timeout, path)


def _execute(call: Call, code: str | None, targets: str | None, timeout: float | None, path: str = "") -> int:
    wanted = _engines(targets)
    with call.client() as client:
        view = client[wanted] if wanted is not None else client[:]
        if code is None:
            answer = view.run(path, block=False)
        else:
            answer = view.execute(code, silent=False, block=False)
        answer.wait(timeout)
        if not answer.ready():
            raise late(f"not done within {timeout:g} s; it goes on: {', '.join(answer.msg_ids)}")
        facts = answer.metadata
        several: list[Any] = facts if isinstance(facts, list) else [facts]
        worst = ExitCode.DONE
        for one in several:
            if one["status"] != "ok":
                worst = ExitCode.FAILED
            _show(call, one, len(several) > 1)
    return worst


def _engines(targets: str | None) -> list[int] | None:
    if targets is None or targets == "all":
        return None
    try:
        return [int(part) for part in targets.split(",")]
    except ValueError:
        raise usage(f"-t {targets}: engines are given by their ids, as 0,2") from None


def _show(call: Call, facts: Any, several: bool) -> None:
    error: RemoteError | None = facts["error"]
    value = _text_of(facts["execute_result"])
    if call.out.as_json:
        started, completed = facts["started"], facts["completed"]
        call.out.row(
            "result",
            {
                "engine": facts["engine_id"],
                "msg_id": facts["msg_id"],
                "status": facts["status"],
                "stdout": facts["stdout"],
                "stderr": facts["stderr"],
                "value": value,
                "run_s": (completed - started).total_seconds() if started and completed else None,
                "error": None
                if error is None
                else {"ename": error.ename, "evalue": error.evalue, "traceback": error.traceback},
            },
            "",
        )
        return
    prefix = f"[{facts['engine_id']}] " if several else ""
    for line in _safe(facts["stdout"], sys.stdout).splitlines():
        call.out.text(prefix + line)
    if value is not None:
        for line in _safe(value, sys.stdout).splitlines():
            call.out.text(prefix + line)
    trouble = facts["stderr"].splitlines()
    if error is not None:
        trouble += error.traceback.rstrip().splitlines() or [f"{error.ename}: {error.evalue}"]
    for line in trouble:
        sys.stderr.write(f"{prefix}{_safe(line, sys.stderr)}\n")


def _safe(text: str, stream: TextIO) -> str:
    """Without control sequences where a terminal would obey them; a pipe or a file gets what was printed."""
    return clean_block(text) if stream.isatty() else text


def _text_of(shown: Any) -> str | None:
    """The plain text of a displayed value."""
    if not isinstance(shown, dict):
        return None
    text = shown.get("data", shown).get("text/plain")
    return None if text is None else str(text)
