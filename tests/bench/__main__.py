"""`python -m tests.bench [--rounds N] [--quick] [NAME ...]`: the whole comparison, with what is installed here."""

from __future__ import annotations

import argparse
import sys

from tests.bench.comparison import compared, programs, text


def main() -> None:
    """Measure, and print the table and the marks."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(programs())}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="smaller workloads")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(programs())):
        parser.error(f"not here: {', '.join(unknown)}; there are {', '.join(programs())}")
    samples = compared(
        options.names, options.rounds, options.quick, lambda note: print(note, file=sys.stderr, flush=True)
    )
    print(text(samples, options.rounds, options.quick))


if __name__ == "__main__":
    main()
