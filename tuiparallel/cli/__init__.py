"""The command `tuipar`: parses the command line, then imports the room that the verb needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the command; exits with the codes of tuiparallel.cli.exits."""
    if sys.argv[1:] == ["--version"]:  # the quick way: nothing else is imported
        from importlib.metadata import version

        print(f"tuipar {version('tuiparallel')}")
        raise SystemExit(0)
    from tuiparallel.cli.app import run

    raise SystemExit(run(sys.argv[1:]))
