"""keys.json: made once per run, used again by the next hub of the run, private."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from tests.engine.scripted import make_config
from tuiparallel.errors import InsecureFile
from tuiparallel.hub.listening import FILE, keep, listening
from tuiparallel.link.doors import Role
from tuiparallel.wire.config import ClusterConfig

BOUND = {Role.CLIENT: "tcp://127.0.0.1:11111", Role.ENGINE: "tcp://127.0.0.1:11112"}


@pytest.fixture
def config(home: Path) -> ClusterConfig:
    (home / "c").mkdir(mode=0o700)
    return make_config(home / "c", ip="127.0.0.1")


def test_the_next_hub_of_a_run_has_the_same_ports_and_keys(config: ClusterConfig) -> None:
    first = listening(config, "127.0.0.1")
    assert first.endpoints() == dict.fromkeys(Role, "tcp://127.0.0.1:*")
    keep(config, first, BOUND)
    second = listening(config, "127.0.0.1")
    assert second.endpoints() == BOUND
    assert (second.server, second.roles) == (first.server, first.roles)
    path = Path(config.directory) / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.stat().st_mtime_ns
    keep(config, second, BOUND)
    assert path.stat().st_mtime_ns == written


def test_another_run_has_other_keys(config: ClusterConfig) -> None:
    first = listening(config, "127.0.0.1")
    keep(config, first, BOUND)
    other = listening(msgspec.structs.replace(config, cluster="c2"), "127.0.0.1")
    assert other.endpoints() == dict.fromkeys(Role, "tcp://127.0.0.1:*")
    keys = [pair.secret for each in (first, other) for pair in (each.server, *each.roles.values())]
    assert len(set(keys)) == 6


def test_each_role_may_use_its_own_key_only(config: ClusterConfig) -> None:
    found = listening(config, "127.0.0.1")
    assert found.server_keys().allowed == {
        "client": frozenset([found.roles["client"].public]),
        "engine": frozenset([found.roles["engine"].public]),
    }


def test_a_damaged_or_open_file_is_refused_and_no_text_shows_a_key(config: ClusterConfig) -> None:
    found = listening(config, "127.0.0.1")
    keep(config, found, BOUND)
    path = Path(config.directory) / FILE
    for pair in (found.server, *found.roles.values()):
        assert pair.secret not in repr(found) + repr(pair) + repr(found.server_keys())
        assert pair.public not in repr(found) + repr(pair) + repr(found.server_keys())
    path.chmod(0o640)
    with pytest.raises(InsecureFile):
        listening(config, "127.0.0.1")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"keys\.json is damaged"):
        listening(config, "127.0.0.1")
