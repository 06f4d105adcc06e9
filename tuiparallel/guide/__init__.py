"""The user guide: which pages there are, in reading order, and their text.

The pages are Markdown files beside this one. Their examples are tests (tests/guide), and the console and the command
line show the same text.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_HERE = Path(__file__).parent

NAMES = (
    "getting-started",
    "tour",
    "clusters",
    "views",
    "direct-execution",
    "execute-and-run",
    "push-and-pull",
    "scatter-and-gather",
    "balanced-work",
    "waiting",
    "decorators",
    "dependencies",
    "names",
    "arrays",
    "errors",
    "history",
    "control",
    "console",
    "command-line",
    "executors",
    "from-ipyparallel",
    "example-options",
    "example-sweep",
    "example-files",
)
"""The names of all pages, in reading order."""


@dataclass(frozen=True)
class Page:
    """One page of the guide. name: what it is asked for by; its file is name + '.md'."""

    name: str

    @property
    def path(self) -> Path:
        """The page's file."""
        return _HERE / f"{self.name}.md"

    @cached_property
    def text(self) -> str:
        """The page as Markdown; its first line is '# ' and the title."""
        return self.path.read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """The heading of the page."""
        return self.text.partition("\n")[0].removeprefix("# ").strip()

    @property
    def summary(self) -> str:
        """The first sentence of the page, on one line."""
        first = self.text.split("\n\n")[1]
        sentence, dot, _ = " ".join(first.split()).partition(". ")
        return sentence + dot.strip()


def pages() -> list[Page]:
    """All pages in reading order."""
    return [Page(name) for name in NAMES]


def page(name: str) -> Page:
    """The page of this name. Raises KeyError naming the nearest one."""
    if name in NAMES:
        return Page(name)
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NAMES)}"
    raise KeyError(f"the guide has no page {name!r}: {hint}")


def search(words: str) -> list[Page]:
    """The pages whose text holds every one of these words, in reading order; case does not matter."""
    wanted = words.lower().split()
    return [one for one in pages() if all(word in one.text.lower() for word in wanted)]
