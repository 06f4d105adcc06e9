"""demo: a private cluster that parses Python's standard library, in the console or as a table."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tuiparallel.cli.call import Call
from tuiparallel.cli.drawing import why_plain
from tuiparallel.cli.exits import ExitCode, usage
from tuiparallel.cli.stdlib import LONGEST, LongFunction, Parsed, library, parse_file, python_files
from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import RemoteError
from tuiparallel.link.clock import SystemClock


@dataclass
class Survey:
    """What the demo found, and how fast. seconds: from submission to the last result; run_seconds: of all tasks."""

    engines: int
    files: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    longest: list[LongFunction] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)  # path, reason
    seconds: float = 0.0
    run_seconds: float = 0.0

    @property
    def tasks_per_s(self) -> float:
        """Files per second."""
        return self.files / self.seconds if self.seconds else 0.0

    @property
    def speed_up(self) -> float:
        """Run times of all tasks together over the time that passed."""
        return self.run_seconds / self.seconds if self.seconds else 0.0

    def row(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "files": self.files,
            "lines": self.lines,
            "functions": self.functions,
            "classes": self.classes,
            "failures": len(self.failures),
            "engines": self.engines,
            "seconds": round(self.seconds, 3),
            "run_seconds": round(self.run_seconds, 3),
            "tasks_per_s": round(self.tasks_per_s, 1),
            "speed_up": round(self.speed_up, 2),
            "longest": [item._asdict() for item in self.longest],
            "reasons": [{"path": path, "reason": reason} for path, reason in self.failures],
        }

    def table(self) -> str:
        """The same for people."""
        lines = [
            f"{self.files:>9,} files     {self.lines:>11,} lines",
            f"{self.functions:>9,} functions {self.classes:>11,} classes",
            f"{self.seconds:>9.2f} seconds   {self.tasks_per_s:>11,.0f} tasks/s on {self.engines} engines",
            f"{self.speed_up:>9.2f} speed-up  (run times of all tasks, {self.run_seconds:.2f} s, over the time it took)",
            "",
            "longest functions",
            *(f"{item.lines:>9,}  {item.name}  {item.path}:{item.line}" for item in self.longest),
            "",
            f"{len(self.failures)} failures",
        ]
        reasons = Counter(reason.split(":")[0] for _, reason in self.failures)
        lines += [f"{count:>9,}  {reason}" for reason, count in reasons.most_common()]
        lines += [f"           {path}: {reason}" for path, reason in self.failures[:10]]
        if len(self.failures) > 10:
            lines.append(f"           ... and {len(self.failures) - 10} more: --json has all")
        return "\n".join(lines)


def survey(client: Client) -> Survey:
    """Parse the library on this client's engines, one task per file, and gather what was found."""
    home = library()
    paths = python_files(home)
    found = Survey(engines=len(client.ids), files=len(paths))
    view = client.load_balanced_view()
    clock = SystemClock()
    begin = clock.monotonic()
    answers = view.map_async(
        parse_file, [str(home)] * len(paths), paths, return_exceptions=True, label="standard library"
    )
    results: list[Parsed | RemoteError] = answers.get()
    found.seconds = clock.monotonic() - begin
    found.run_seconds = answers.serial_time
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, BaseException):
            error = result
            text = _brief(error).replace(f"{home}/", "")
            found.failures.append((path, f"{getattr(error, 'ename', type(error).__name__)}: {text}"))
            continue
        found.lines += result.lines
        found.functions += result.functions
        found.classes += result.classes
        found.longest = heapq.nlargest(LONGEST, [*found.longest, *result.longest])
    return found


def _brief(error: BaseException) -> str:
    text = str(getattr(error, "evalue", error)).splitlines()
    return text[0] if text else ""


def demo(call: Call, headless: bool, n: int | None) -> int:
    """Start a private cluster, do the work, show it, end the cluster."""
    if call.named or call.file:
        raise usage("demo has a cluster of its own: -c and --file do not go with it")
    try:
        cluster = Cluster(n)
    except (ValueError, TypeError) as error:
        raise usage(str(error)) from error
    plain = why_plain()
    if not headless and not call.out.as_json and plain:
        headless = True
        call.out.note(f"tuipar: {plain}: the table, as --headless")
    if not headless and not call.out.as_json:
        from tuiparallel.cli.console import show_demo

        return show_demo(cluster)
    with cluster as client:
        call.out.cluster = cluster.name
        call.out.note(f"{len(client.ids)} engines parse {library()}, one task per file")
        found = survey(client)
    call.out.row("demo", found.row(), found.table())
    return ExitCode.DONE
