"""A look at a cluster begins when there is something to see, and the link says that it is there."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from tests.monitor.samples import snapshot
from tuiparallel.cli.exits import CommandError, ExitCode
from tuiparallel.cli.observing import Watch
from tuiparallel.cluster.settings import config_file
from tuiparallel.link.clock import SystemClock
from tuiparallel.monitor.rows import LinkState, LinkView
from tuiparallel.wire.connection import Connection
from tuiparallel.wire.messages import PROTOCOL


def watched(place: Path) -> Watch:
    """A look that nothing feeds but the test."""
    address = f"ipc://{place}/c.ipc"
    return Watch(Connection(PROTOCOL, "client", "lab", "c1", address, str(place), str(place), "here"))


def test_c56_a_snapshot_is_shown_when_the_link_is_live_too(tmp_path: Path) -> None:
    watch, seen = watched(tmp_path), list[LinkState]()

    def look() -> None:
        watch.synchronise()
        seen.append(watch.store.header(watch.now()).link.state)

    thread = Thread(target=look)
    thread.start()
    clock = watch.clock
    watch.store.apply(snapshot(), clock.time())  # the feed tells of the link only after this
    watch._changed.set()
    thread.join(0.2)
    watch.store.set_link(LinkView(LinkState.LIVE, clock.time(), 1, ""))
    watch._changed.set()
    thread.join(20)
    assert not thread.is_alive() and seen == [LinkState.LIVE]


def test_a_hub_that_refuses_is_an_error(tmp_path: Path) -> None:
    watch = watched(tmp_path)
    watch.store.set_link(LinkView(LinkState.LOST, SystemClock().time(), 1, "AuthenticationError: another key"))
    with pytest.raises(CommandError, match="another key"):
        watch.synchronise()


def test_what_the_configuration_says_of_warnings_holds_here_too(home: Path, tmp_path: Path) -> None:
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[console.warnings]\nsilenced = ["idle"]\n')
    assert watched(tmp_path).store._in.thresholds.silenced == {"idle"}
    file.write_text('[console.warnings]\nsilenced = ["idel"]\n')
    with pytest.raises(CommandError, match="did you mean 'idle'") as caught:
        watched(tmp_path)
    assert caught.value.code == ExitCode.USAGE
