"""A process that runs the examples of a page, all in its `__main__`, as a script would.

Arguments: the page's path. Standard input: the examples as JSON; standard output: what each printed, as JSON, and the
traceback of the one that failed. Line numbers and source lines in tracebacks are those of the page.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
import types
from typing import Any


def run(page: str, examples: list[dict[str, Any]]) -> dict[str, Any]:
    """What each example printed, until one failed, and how that failed."""
    main = types.ModuleType("__main__")
    main.__file__ = page
    sys.modules["__main__"] = main
    sys.path[0] = os.getcwd()
    printed: list[str] = []
    for example in examples:
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                if example["kind"] == "python":
                    code = compile("\n" * (example["line"] - 1) + example["code"], page, "exec")
                    exec(code, vars(main))
                else:
                    print(command(example["code"]), end="")
        except BaseException:
            printed.append(out.getvalue())
            return {"printed": printed, "failed": traceback.format_exc()}
        printed.append(out.getvalue())
    return {"printed": printed, "failed": None}


def command(line: str) -> str:
    """What a command of the shell writes to standard output and standard error."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path},
        timeout=60,
    )
    return done.stdout


if __name__ == "__main__":
    answer = run(sys.argv[1], json.load(sys.stdin))
    sys.__stdout__.write(json.dumps(answer))  # type: ignore[union-attr]
