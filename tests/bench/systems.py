"""The systems that are measured; `python -m tests.bench.systems NAME` measures one in this process and prints JSON."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zmq

from tests.bench.measuring import Figures, descendants, median_seconds, per_second, proportional_mb
from tests.bench.workloads import ARRAY_MB, ARRAY_REPEATS, CALLS, ENGINES, TASKS, echo, nbytes

WINDOW = 500  # messages that the bare echo keeps under way


def tuiparallel() -> Figures:
    """This project: a private cluster of two engines."""
    import tuiparallel as tp

    begin = time.perf_counter()
    with tp.Cluster(n=ENGINES) as client:
        both, balanced, one = client[:], client.load_balanced_view(), client[0]
        balanced.apply_sync(echo, 1)
        figures = {"start_s": time.perf_counter() - begin}
        figures["memory_MB"] = proportional_mb(descendants(os.getpid()))
        figures["call_us"] = 1e6 * median_seconds(lambda: balanced.apply_sync(echo, 1), CALLS)
        figures["direct_us"] = 1e6 * median_seconds(lambda: one.apply_sync(echo, 1), CALLS)

        def separately() -> None:
            for answer in [balanced.apply_async(echo, i) for i in range(TASKS)]:
                answer.get()

        figures["apply_per_s"] = per_second(separately, TASKS)
        figures["map_per_s"] = per_second(lambda: balanced.map_sync(echo, range(TASKS), chunksize=1), TASKS)
        array = np.random.default_rng(1).random(ARRAY_MB * 131072)
        figures["send_GBs"] = ARRAY_MB / 1024 / median_seconds(lambda: one.apply_sync(nbytes, array), ARRAY_REPEATS)
        figures["share_s"] = median_seconds(lambda: both.push({"a": array}, block=True), ARRAY_REPEATS)
        figures["pull_GBs"] = ARRAY_MB / 1024 / median_seconds(lambda: one.pull("a", block=True), ARRAY_REPEATS)
    return figures


def pool() -> Figures:
    """multiprocessing.Pool, spawned: no hub, no metadata, one host."""
    begin = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(ENGINES) as pool:
        pool.apply(echo, (1,))
        figures = {"start_s": time.perf_counter() - begin}
        figures["memory_MB"] = proportional_mb(descendants(os.getpid()))
        figures["call_us"] = 1e6 * median_seconds(lambda: pool.apply(echo, (1,)), CALLS)

        def separately() -> None:
            for answer in [pool.apply_async(echo, (i,)) for i in range(TASKS)]:
                answer.get()

        figures["apply_per_s"] = per_second(separately, TASKS)
        figures["map_per_s"] = per_second(lambda: pool.map(echo, range(TASKS), chunksize=1), TASKS)
        array = np.random.default_rng(1).random(ARRAY_MB * 131072)
        figures["send_GBs"] = ARRAY_MB / 1024 / median_seconds(lambda: pool.apply(nbytes, (array,)), ARRAY_REPEATS)
    return figures


def _broker(front: str, back: str) -> None:
    context = zmq.Context()
    client, engine = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    client.bind(front)
    engine.bind(back)
    poller = zmq.Poller()
    poller.register(client, zmq.POLLIN)
    poller.register(engine, zmq.POLLIN)
    while True:
        for socket, _ in poller.poll():
            other = engine if socket is client else client
            while True:
                try:
                    other.send_multipart(socket.recv_multipart(zmq.NOBLOCK))
                except zmq.Again:
                    break


def _echo(back: str) -> None:
    socket = zmq.Context().socket(zmq.DEALER)
    socket.connect(back)
    while True:
        socket.send_multipart(socket.recv_multipart())


def bare() -> Figures:
    """A bare 0MQ echo through a broker process, one message per task; `send_GBs` is a plain copy of memory."""
    folder = Path(tempfile.mkdtemp())
    front, back = f"ipc://{folder}/f", f"ipc://{folder}/b"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_broker, args=(front, back)), context.Process(target=_echo, args=(back,))]
    begin = time.perf_counter()
    for process in processes:
        process.start()
    socket = zmq.Context().socket(zmq.DEALER)
    socket.connect(front)

    def call() -> None:
        socket.send_multipart([b"h" * 40, b"x"])
        socket.recv_multipart()

    def many() -> None:
        sent = 0
        for got in range(TASKS):
            while sent < TASKS and sent - got < WINDOW:
                socket.send_multipart([b"h" * 40, b"x"])
                sent += 1
            socket.recv_multipart()

    try:
        call()
        figures = {"start_s": time.perf_counter() - begin}
        figures["memory_MB"] = proportional_mb(descendants(os.getpid()))
        figures["call_us"] = 1e6 * median_seconds(call, 10 * CALLS)
        figures["apply_per_s"] = per_second(many, TASKS)
        source = np.random.default_rng(1).random(ARRAY_MB * 131072)
        target = source.copy()
        figures["send_GBs"] = ARRAY_MB / 1024 / median_seconds(lambda: np.copyto(target, source), ARRAY_REPEATS)
    finally:
        for process in processes:
            process.kill()
            process.join()
    return figures


SYSTEMS: dict[str, Callable[[], Figures]] = {"tuiparallel": tuiparallel, "Pool": pool, "bare 0MQ": bare}

if __name__ == "__main__":
    print(json.dumps(SYSTEMS[sys.argv[1]]()))
