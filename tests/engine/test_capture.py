"""Recorders over files in memory, and a Capture whose files are written to directly."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tuiparallel.engine.capture import PIECE, Capture, Recorder, memory_file, tail
from tuiparallel.link.clock import FakeClock

LIMIT = 1000


@pytest.fixture
def capture() -> Iterator[Capture]:
    capture = Capture(LIMIT, FakeClock())
    capture.engine = 3
    yield capture
    for stream in (capture._out, capture._err):
        os.close(stream.handle)


def test_a_task_that_prints_nothing_has_nothing(capture: Capture) -> None:
    capture.begin(1)
    assert capture.end() is None
    assert not capture.waiting


def test_python_and_descriptor_keep_their_order(capture: Capture) -> None:
    capture.begin(1)
    print("one", file=capture._out.writer)
    os.write(capture._out.handle, b"two\n")
    print("three", file=capture._out.writer)
    print("oh", file=capture._err.writer)
    assert capture.end() == ("one\ntwo\nthree\n", "oh\n")


def test_live_text_has_offsets_without_a_gap(capture: Capture) -> None:
    capture.begin(7)
    print("für", file=capture._out.writer)
    capture.poll()
    print("more", file=capture._out.writer)
    capture.end()
    capture.begin(8)
    print("next", file=capture._out.writer)
    capture.end()
    chunks = capture.take_chunks()
    assert [(c.engine, c.task, c.text, c.offset) for c in chunks] == [
        (3, 7, "für\n", 0),
        (3, 7, "more\n", 4),
        (3, 8, "next\n", 9),
    ]


@pytest.mark.parametrize("look", [1, 2])
def test_nothing_is_lost_when_the_other_thread_reads_while_a_task_ends(capture: Capture, look: int) -> None:
    looks = 0

    def seek(handle: int, offset: int, whence: int) -> int:
        nonlocal looks
        looks += 1
        if looks == look:  # the call lets other threads run
            capture.poll()
        return os.lseek(handle, offset, whence)

    capture._seek = seek
    capture.begin(1)
    print("late", file=capture._err.writer)
    assert capture.end() == ("", "late\n")


def test_what_is_printed_between_tasks_is_nobodys(capture: Capture) -> None:
    print("alone", file=capture._out.writer)
    capture.poll()
    capture.begin(1)
    assert capture.end() is None
    assert [chunk.task for chunk in capture.take_chunks()] == [None]


def test_too_much_is_cut_and_counted(capture: Capture) -> None:
    capture.begin(1)
    for _ in range(3):
        os.write(capture._out.handle, b"x" * 600)
        capture.poll()
    printed = capture.end()
    assert printed == ("x" * LIMIT + "\n… 800 bytes left out\n", "")
    assert "".join(chunk.text for chunk in capture.take_chunks()) == printed[0]
    capture.begin(2)
    os.write(capture._out.handle, b"y")
    assert capture.end() == ("y", "")  # the next task has its own limit


def test_a_character_cut_in_two_is_put_together(capture: Capture) -> None:
    capture.begin(1)
    os.write(capture._out.handle, "ü".encode()[:1])
    capture.poll()
    os.write(capture._out.handle, "ü".encode()[1:])
    assert capture.end() == ("ü", "")
    capture.begin(2)
    os.write(capture._out.handle, b"\xc3")
    assert capture.end() == ("\N{REPLACEMENT CHARACTER}", "")


def test_the_memory_of_what_was_read_is_given_back() -> None:
    recorder = Recorder("stdout", 1, 1 << 40)
    for _ in range(64):
        os.write(recorder.handle, b"z" * PIECE)
        recorder.read()
    assert os.fstat(recorder.handle).st_blocks * 512 < 6 * PIECE
    assert tail(recorder.handle, 10) == b"z" * 10
    os.close(recorder.handle)


def test_a_tail_is_the_end_of_what_was_written() -> None:
    handle = memory_file("x")
    assert tail(handle) == b""
    os.write(handle, b"a" * 5000 + b"end")
    assert tail(handle, 4) == b"aend"
    os.close(handle)
