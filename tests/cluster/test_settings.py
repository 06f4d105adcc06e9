"""Settings from the file, the environment and arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuiparallel.cluster.cluster import Cluster
from tuiparallel.cluster.settings import config_file, gather


@pytest.fixture
def file(home: Path) -> Path:
    path = config_file()
    assert path.is_relative_to(home)
    path.parent.mkdir(parents=True)
    return path


def test_defaults() -> None:
    settings = gather({})
    assert settings.values["n"] == len(os.sched_getaffinity(0))
    assert settings.values["work_dir"] == os.getcwd()
    assert settings.engines == "local"
    assert settings.start_timeout == 60.0
    assert settings.shutdown_atexit


def test_arguments_win_over_environment_over_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("[cluster]\nn = 2\nengine_timeout = 7\nstop_grace = 3.5\n[console]\nreadonly = true\n")
    monkeypatch.setenv("TUIPAR_ENGINE_TIMEOUT", "8.5")
    monkeypatch.setenv("TUIPAR_STOP_GRACE", "4")
    values = gather({"stop_grace": 5.0, "n": None}).values
    assert (values["n"], values["engine_timeout"], values["stop_grace"]) == (2, 8.5, 5.0)


def test_names_that_are_no_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUIPAR_CLUSTER", "lab")
    gather({})


def test_b11_unknown_keys_name_the_nearest_one_and_the_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown keyword of Cluster 'engine_timout': did you mean 'engine_timeout'"):
        Cluster(engine_timout=3)
    file.write_text("\n[cluster]\nn = 2\nhistory_row = 5\n")
    with pytest.raises(
        ValueError, match=r"config\.toml, line 4: unknown key 'history_row': did you mean 'history_rows'"
    ):
        Cluster()
    file.write_text("[clutser]\nn = 2\n")
    with pytest.raises(ValueError, match="line 1: unknown table 'clutser': did you mean 'cluster'"):
        Cluster()
    file.write_text("[cluster\n")
    with pytest.raises(ValueError, match="is not TOML"):
        Cluster()
    file.unlink()
    monkeypatch.setenv("TUIPAR_STOP_GRACES", "4")
    with pytest.raises(ValueError, match="unknown environment variable 'TUIPAR_STOP_GRACES'.*'TUIPAR_STOP_GRACE'"):
        Cluster()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"n": -1}, ValueError, "n=-1: it must be 0 or more"),
        ({"n": "4"}, TypeError, "n='4'"),
        ({"n": True}, TypeError, "n=True"),
        ({"restart": "always"}, ValueError, "'never', 'on-failure'"),
        ({"durability": "high"}, ValueError, "'process', 'full', 'none'"),
        ({"scheme": "pure"}, ValueError, "scheme='pure'.*'leastload', 'lru', 'plainrandom', 'weighted', 'twobin'"),
        ({"engine_timeout": float("nan")}, ValueError, "engine_timeout"),
        ({"start_timeout": 0}, ValueError, "more than 0"),
        ({"engines": "nowhere"}, ValueError, "this version has 'local'"),
        ({"ip": "localhost"}, ValueError, "must be an IP address of this machine, as 127.0.0.1, or '\\*'"),
        ({"ip": "192.0.2.1"}, ValueError, "this machine cannot listen there"),
        ({"ip": 5}, TypeError, "ip=5"),
        ({"work_dir": "/no/such/place"}, ValueError, "not a directory"),
        ({"env": {"A": 5}}, TypeError, "env="),
    ],
)
def test_b11_values_that_cannot_be(arguments: dict[str, object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Cluster(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "kept"), [("127.0.0.1", "127.0.0.1"), ("*", "*"), ("0.0.0.0", "*")])
def test_where_the_hub_listens_is_told_to_its_processes(given: str, kept: str) -> None:
    place = {"name": "a", "cluster": "1", "directory": "/d", "sockets": "/d", "blobs": "/b"}
    assert gather({"ip": given}).config(**place).ip == kept
    assert gather({}).config(**place).ip is None


def test_a_value_of_the_file_that_cannot_be_names_its_line(file: Path) -> None:
    file.write_text("[cluster]\n\nstop_grace = 'long'\n")
    with pytest.raises(TypeError, match=r"config\.toml, line 3: stop_grace = 'long'"):
        gather({})


def test_paths_and_another_number_of_engines(tmp_path: Path) -> None:
    settings = gather({"work_dir": tmp_path, "n": 3})
    assert settings.values["work_dir"] == str(tmp_path)
    assert settings.with_engines(5).values["n"] == 5
    with pytest.raises(ValueError, match="0 or more"):
        settings.with_engines(-1)


@pytest.mark.parametrize("launcher", ["mpi", "ssh", "slurm"])
def test_launchers_of_other_hosts_come_later(launcher: str) -> None:
    with pytest.raises(NotImplementedError, match=f"{launcher}.*not there yet.*'local'"):
        Cluster(engines=launcher)
