"""`python -m tuiparallel.cli` is `tuipar`."""

from tuiparallel.cli import main

main()
