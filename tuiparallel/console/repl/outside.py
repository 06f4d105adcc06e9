"""A cell's text in the user's own editor, with the terminal given away meanwhile."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from textual.app import App, SuspendNotSupported


def edit(app: App[object], text: str) -> tuple[str | None, str]:
    """The text after editing (None: not changed) and what went wrong, empty when nothing did."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    handle, name = tempfile.mkstemp(prefix="tuipar-", suffix=".py")  # mode 0600
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            with app.suspend():
                code = subprocess.run([*command, name], check=False).returncode
        except SuspendNotSupported:
            return None, "the terminal cannot be given away here, so $EDITOR cannot run"
        except OSError as error:
            return None, f"{command[0]}: {error.strerror}; set $EDITOR"
        if code:
            return None, f"{command[0]} ended with status {code}; the text is as it was"
        found = path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        return (found, "") if found != text else (None, "")
    finally:
        path.unlink(missing_ok=True)
