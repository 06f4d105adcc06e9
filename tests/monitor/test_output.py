"""Output lines: numbers, redrawing, styles, exact losses, fair shares; and the lists that follow them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.samples import T
from tuiparallel.monitor.linelist import Lines, passing
from tuiparallel.monitor.output import MAX_CELLS, Output, cells
from tuiparallel.monitor.rows import OutputFilter, OutputLine, Run, Style
from tuiparallel.wire.ids import task_id
from tuiparallel.wire.messages import Chunk


class Printer:
    """An engine's stream that counts its characters."""

    def __init__(self, output: Output, engine: int = 0, stream: str = "stdout") -> None:
        self.output, self.engine, self.stream = output, engine, stream
        self.offset = 0

    def print(self, text: str, task: int | None = 1, skip: int = 0) -> bool:
        self.offset += skip
        chunk = Chunk(self.engine, task, self.stream, text, T, self.offset)
        self.offset += len(text)
        return self.output.put(chunk)


def texts(output: Output) -> list[str]:
    return [output.lines[number].text for number in sorted(output.lines)]


def test_lines_are_numbered_in_order_of_arrival() -> None:
    output = Output()
    one, two = Printer(output), Printer(output, 1)
    one.print("a\nb")
    two.print("x\n")
    one.print("c\nd\n")
    assert [(line.number, line.engine, line.text, line.open) for line in output.lines.values()] == [
        (0, 0, "a", False),
        (1, 0, "bc", False),
        (2, 1, "x", False),
        (3, 0, "d", False),
    ]


def test_a_progress_bar_stays_one_line() -> None:
    output = Output()
    printer = Printer(output)
    for percent in range(101):
        printer.print(f"\r{percent}%|{'#' * percent}")
    assert len(output.lines) == 1 and output.lines[0].open
    printer.print("\n")
    assert texts(output) == ["100%|" + "#" * 100]
    assert not output.lines[0].open


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\n", ["a", "b"]),
        ("abc\rx\n", ["x"]),
        ("abc\r", ["abc"]),
        ("\n\n", ["", ""]),
        ("a\tb\n", ["a       b"]),
        ("1234567\tb\n", ["1234567 b"]),
        ("\x1b[31mred\x1b[0m plain\n", ["red plain"]),
    ],
)
def test_what_is_shown(text: str, shown: list[str]) -> None:
    whole, single = Output(), Output()
    Printer(whole).print(text)
    printer = Printer(single)
    for char in text:
        printer.print(char)
    assert texts(whole) == shown == texts(single)


def test_styles_become_runs_and_reach_over_lines() -> None:
    output = Output()
    Printer(output).print("a\x1b[1;31mbc\nd\x1b[0me\n")
    assert output.lines[0].runs == (Run(1, 3, Style(fg=1, bold=True)),)
    assert output.lines[1].runs == (Run(0, 1, Style(fg=1, bold=True)),)


def test_a_new_task_begins_a_new_line() -> None:
    output = Output()
    printer = Printer(output)
    printer.print("half", task=1)
    printer.print("whole\n", task=2)
    assert [(line.text, line.task, line.open) for line in output.lines.values()] == [
        ("half", 1, False),
        ("whole", 2, False),
    ]


def test_a_gap_stands_as_a_line_with_its_exact_count() -> None:
    output = Output()
    printer = Printer(output)
    printer.print("a\n")
    printer.print("b\n", skip=1234)
    assert texts(output) == ["a", "… 1,234 characters not shown", "b"]
    assert (output.lines[1].lost, output.lines[1].unit) == (1234, "characters")


def test_what_was_seen_is_not_shown_twice() -> None:
    output = Output()
    printer = Printer(output)
    printer.print("abc\ndef\n")
    assert not output.put(Chunk(0, 1, "stdout", "def\n", T, 4))
    assert output.put(Chunk(0, 1, "stdout", "def\nghi\n", T, 4))
    assert texts(output) == ["abc", "def", "ghi"]


def test_long_lines_are_cut_and_say_how_much() -> None:
    output = Output()
    Printer(output).print("x" * (MAX_CELLS + 100) + "\n" + "漢" * MAX_CELLS + "\n")
    assert (len(output.lines[0].text), output.lines[0].cut) == (MAX_CELLS, 100)
    assert (cells(output.lines[1].text), output.lines[1].cut) == (MAX_CELLS, MAX_CELLS)


def test_a_loud_engine_hides_no_line_of_quiet_ones() -> None:
    output = Output(lines=1000)
    quiet = [Printer(output, engine) for engine in range(1, 8)]
    loud = Printer(output, 0)
    for turn in range(50):
        loud.print("".join(f"{turn} {line}\n" for line in range(1000)))
        for printer in quiet:
            printer.print(f"quiet {turn}\n")
    assert output.kept <= 1000
    for engine in range(1, 8):
        assert [line.text for line in output.newest(engine, 99)] == [f"quiet {turn}" for turn in range(50)]
    kept = len(output.newest(0, 10_000))
    marker = [line for line in output.lines.values() if line.unit == "lines"]
    assert len(marker) == 1 and marker[0].lost == 50_000 - kept
    assert f"{50_000 - kept:,} lines not shown" in marker[0].text


def test_bytes_are_bounded_too_and_redrawing_counts() -> None:
    output = Output(bytes_=100_000)
    printers = [Printer(output, engine) for engine in range(3)]
    for turn in range(400):
        for printer in printers:
            printer.print("y" * 500 + ("\r" if turn % 2 else "\n"))
    assert output.bytes <= 100_000
    assert output.kept > 50
    lost = [line.lost for line in output.lines.values() if line.unit == "lines"]
    assert len(lost) == 3


def test_lost_characters_stay_counted_when_their_note_goes() -> None:
    output = Output(lines=3)
    printer = Printer(output)
    printer.print("a\n")
    printer.print("b\n", skip=7)
    printer.print("c\nd\ne\n")
    marker = output.lines[output.markers()[0]]
    assert marker.text.startswith("… 2 lines and 7 characters" if marker.lost == 2 else "… 1 lines and 7 characters")


# Lists ------------------------------------------------------------------------------------------------------------

actions = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["stdout", "stderr"]),
        st.text("ab\r\n", max_size=12),
        st.integers(0, 2),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=60,
)
filters = st.builds(
    OutputFilter,
    engines=st.frozensets(st.integers(0, 2), max_size=2),
    streams=st.frozensets(st.sampled_from(["stdout", "stderr"]), max_size=1),
    tasks=st.frozensets(st.sampled_from([task_id(1, 0), task_id(2, 1)]), max_size=1),
    sessions=st.frozensets(st.integers(1, 2), max_size=1),
    text=st.sampled_from(["", "a", "ba", "AB"]),
    case=st.booleans(),
)


@settings(max_examples=150)
@given(actions, filters, st.integers(3, 30))
def test_a_list_that_follows_is_one_made_anew(
    sent: list[tuple[int, str, str, int, int, bool]], where: OutputFilter, limit: int
) -> None:
    output = Output(lines=limit)
    printers = {
        (engine, stream): Printer(output, engine, stream) for engine in range(3) for stream in ("stdout", "stderr")
    }
    lines = Lines(output, where)
    passes = passing(where)
    for engine, stream, text, task, skip, look in sent:
        printers[engine, stream].print(text, task_id(task, task) if task else None, skip)
        if look:
            seen = list(lines.numbers)
            contents = [output.lines.get(number) for number in seen]
            changed = lines.follow()
            true = [number for number in sorted(output.lines) if passes(output.lines[number])]
            assert list(lines.numbers) == true
            assert changed or (seen == true and contents == [output.lines[number] for number in true])
            assert not lines.follow()


def test_an_anchor_stays_while_old_lines_go() -> None:
    output = Output(lines=1000)
    printers = [Printer(output, engine) for engine in range(2)]
    lines = Lines(output, OutputFilter())
    for turn in range(20):
        printers[turn % 2].print("".join(f"{turn}-{line}\n" for line in range(40)))
    lines.follow()
    anchor = output.lines[lines.numbers[700]]
    for turn in range(20, 40):
        printers[0].print("".join(f"{turn}-{line}\n" for line in range(40)))
        lines.follow()
        here = lines.numbers[lines.index(anchor.number)]
        assert here >= anchor.number
        if anchor.number in output.lines:
            assert output.lines[here].text == anchor.text or output.lines[here].unit == "lines"


def test_filters_by_text_and_expression() -> None:
    line = OutputLine(0, T, 3, task_id(1, 5), "stdout", "Epoch 7 loss 0.2")
    assert passing(OutputFilter(text="epoch"))(line)
    assert not passing(OutputFilter(text="epoch", case=True))(line)
    assert passing(OutputFilter(text=r"loss \d\.\d$", regex=True))(line)
    assert not passing(OutputFilter(text=r"LOSS", regex=True, case=True))(line)
    assert passing(OutputFilter(sessions=frozenset({1}), engines=frozenset({3})))(line)
    with pytest.raises(re.error):
        passing(OutputFilter(text="(", regex=True))
    assert replace(OutputFilter(), text="x") != OutputFilter()
