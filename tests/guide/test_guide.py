"""The user guide: each example of each page is run, and prints what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import tuiparallel.guide as guide
from tests.guide.examples import Example, agrees, examples_of
from tuiparallel.console.catalogue import ACTIONS, PANES
from tuiparallel.monitor.query import parse

RUNNING = Path(__file__).with_name("running.py")
PATIENCE = 60.0  # seconds a page may take
OWN_TEST = {"tour"}  # tests/live/test_tour.py runs it as a script
OWN_CLUSTER = {"getting-started", "clusters", "control", "command-line"}
PAGES = [page.name for page in guide.pages() if page.name not in OWN_TEST]


def run(name: str, cwd: Path) -> None:
    """Run a page's examples in a process of its own. Fails with all that differs.

    The page is copied, since tracebacks leave out what lies in the package, where no user's code is.
    """
    page = guide.page(name)
    examples = examples_of(page.text)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(RUNNING), str(shutil.copy(page.path, cwd))],
        input=json.dumps([asdict(example) for example in examples]),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    differing = [
        difference(name, example, printed)
        for example, printed in zip(examples, answer["printed"], strict=False)
        if not agrees(example.expected, printed)
    ]
    assert not differing and not answer["failed"], "\n".join([*differing, answer["failed"] or ""])
    assert len(answer["printed"]) == len(examples)
    assert not done.stderr


def difference(name: str, example: Example, printed: str) -> str:
    wanted = "\n".join(example.expected)
    return f"{name}.md:{example.line}: the page says\n{wanted}\nand this was printed:\n{printed}"


ROWS = {
    "execute-and-run": "s40", "direct-execution": "s48", "push-and-pull": "s54", "waiting": "s85", "decorators": "s90",
    "dependencies": "s91",
}  # fmt: skip
"""Rows of the seed's checklist that are pages of the guide."""


def row_and_page(name: str) -> str:
    return f"{ROWS[name]}-{name}" if name in ROWS else name


@pytest.mark.live
@pytest.mark.parametrize("name", [name for name in PAGES if name not in OWN_CLUSTER], ids=row_and_page)
def test_a_page_on_the_shared_cluster(name: str, in_shared_home: None, tmp_path: Path) -> None:
    run(name, tmp_path)


@pytest.mark.live
@pytest.mark.parametrize("name", [name for name in PAGES if name in OWN_CLUSTER])
def test_a_page_that_starts_its_own_clusters(name: str, home: Path, tmp_path: Path) -> None:
    run(name, tmp_path)


def test_every_file_is_a_page_and_every_page_a_file() -> None:
    files = {path.stem for path in Path(guide.__file__).parent.glob("*.md")}
    assert files == set(guide.NAMES)
    assert len(guide.NAMES) == len(files)


@pytest.mark.parametrize("name", guide.NAMES)
def test_a_page_reads_well(name: str) -> None:
    page = guide.page(name)
    lines = page.text.splitlines()
    assert lines[0] == f"# {page.title}" and page.title
    assert page.text.endswith("\n") and not page.text.endswith("\n\n")
    assert page.summary.endswith(".")
    code = [line for example in examples_of(page.text) for line in example.code.splitlines()]
    assert max(map(len, [*_prose(lines), *code])) <= 120
    assert all(line == line.rstrip() for line in lines)
    assert sum(line.startswith("# ") for line in _prose(lines)) == 1


def _prose(lines: list[str]) -> list[str]:
    inside, found = False, []
    for line in lines:
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            found.append(line)
    return found


def test_pages_that_are_named_in_pages_exist() -> None:
    titles = {page.title for page in guide.pages()}
    named = {
        words
        for page in guide.pages()
        for words in _emphasised("\n".join(_prose(page.text.splitlines())))
        if words[0].isupper() and words[1:]
    }
    assert named - titles == set()


def _emphasised(text: str) -> list[str]:
    return [" ".join(found.split()) for found in re.findall(r"(?<!\*)\*([^*\n][^*]*)\*(?!\*)", text)]


def test_the_keys_of_the_console_page_are_the_consoles() -> None:
    rows = re.findall(r"^\| ((?:`[^`]+` ?)+) \| (.+) \|$", guide.page("console").text, flags=re.MULTILINE)
    assert len(rows) > 20
    for keys, title in rows:
        *prefix, key = re.findall(r"`([^`]+)`", keys)
        meant = {
            action.title for action in ACTIONS if key in action.keys and (action.where == "cluster") == bool(prefix)
        }
        assert title in meant, f"{keys} {title}: the console has {meant}"
        assert prefix in ([], ["ctrl+x"])


def test_the_panes_of_the_console_page_are_the_consoles() -> None:
    named = re.findall(r"^- `(\d)` (\w+):", guide.page("console").text, flags=re.MULTILINE)
    assert [(int(number), name.lower()) for number, name in named] == list(enumerate(PANES))


def test_queries_of_the_pages_are_queries() -> None:
    queries = re.findall(
        r"^    (state:.*)$|--where \"([^\"]+)\"", "\n".join(page.text for page in guide.pages()), re.M
    )
    assert len(queries) >= 4
    for plain, quoted in queries:
        parse(plain or quoted)


def test_an_unknown_page_names_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'waiting'"):
        guide.page("waitng")
    with pytest.raises(KeyError, match="getting-started"):
        guide.page("0")


def test_search_finds_pages_by_their_words() -> None:
    found = [page.name for page in guide.search("scatter GATHER flatten")]
    assert "scatter-and-gather" in found and "getting-started" not in found
    assert guide.search("zzyzx") == []
    assert [page.name for page in guide.search("")] == list(guide.NAMES)


def test_the_guide_draws_nothing() -> None:
    code = (
        "import sys, tuiparallel.guide as guide; guide.pages()[0].text;"
        "print([name for name in ('textual', 'rich', 'typer', 'zmq', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
