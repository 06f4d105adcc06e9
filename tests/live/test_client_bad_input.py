"""What bad input gets: the rows of the table that concern the client, on a real cluster."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE
from tuiparallel.client.client import Client
from tuiparallel.client.dependency import Dependency
from tuiparallel.cluster.cluster import Cluster
from tuiparallel.errors import (
    ClientClosed,
    ClusterNotFound,
    CompositeError,
    ConnectTimeout,
    DeserializationError,
    EngineError,
    HubUnreachable,
    InsecureFile,
    InvalidDependency,
    MessageTooLarge,
    NoEnginesRegistered,
    NoSuchEngine,
    NoSuchTask,
    ProtocolMismatch,
    RemoteError,
    ResultExpired,
    SerializationError,
)
from tuiparallel.wire.functions import send_by_value
from tuiparallel.wire.messages import PROTOCOL
from tuiparallel.wire.references import Reference

Here = Callable[[str], dict[str, Any]]
Private = Callable[..., Cluster]


def connection_of(rc: Client) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(rc._session.connection.directory) / "client.json").read_text())
    return found


def test_b01_a_name_that_does_not_run(rc: Client) -> None:
    with pytest.raises(ClusterNotFound, match=f"did you mean '{rc.name}'.*{rc.name}"):
        Client(rc.name[:-1])


def test_b02_none_running(empty_home: Path) -> None:
    with pytest.raises(ClusterNotFound, match="tuipar start.*Cluster"):
        Client()


def test_b02_several_running(rc: Client, private_cluster: Private) -> None:
    other = private_cluster(n=0)
    other.start()
    with pytest.raises(ClusterNotFound, match="several") as caught:
        Client()
    assert rc.name in str(caught.value) and other.name in str(caught.value)


def test_b03_files_that_are_no_connection(tmp_path: Path, rc: Client) -> None:
    missing = tmp_path / "client.json"
    with pytest.raises(ClusterNotFound, match=str(missing)):
        Client(missing)
    missing.write_text('{\n "protocol": 1,\n oops')
    missing.chmod(0o600)
    with pytest.raises(ValueError, match="line 3"):
        Client(str(missing))
    content = connection_of(rc)
    del content["address"]
    missing.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="'address' is missing"):
        Client(str(missing))


def test_b04_files_that_others_can_read(tmp_path: Path, rc: Client) -> None:
    file = tmp_path / "client.json"
    file.write_text(json.dumps(connection_of(rc)))
    file.chmod(0o644)
    with pytest.raises(InsecureFile, match=f"{file}.*0644.*chmod 600"):
        Client(file)


def test_b05_an_address_has_no_keys() -> None:
    with pytest.raises(ValueError, match="connection file"):
        Client("tcp://host:1234")


def test_b06_a_hub_that_does_not_answer(tmp_path: Path, rc: Client) -> None:
    content = connection_of(rc) | {"address": f"ipc://{tmp_path}/nobody"}
    with pytest.raises(ConnectTimeout, match=r"nobody has not answered in 0.2 s.*alive"):
        Client(content, timeout=0.2)


def test_b08_another_protocol(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuiparallel.client.session.PROTOCOL", 99)
    with pytest.raises(ProtocolMismatch, match=r"\b99\b") as caught:
        Client(rc.name)
    assert str(PROTOCOL) in str(caught.value).replace("99", "") and "older" in str(caught.value)


def test_b09_arguments_of_client(rc: Client) -> None:
    with pytest.raises(ValueError, match="timeout=0.*> 0"):
        Client(rc.name, timeout=0)
    with pytest.raises(TypeError, match="did you mean 'timeout'"):
        Client(rc.name, tiemout=3)
    with pytest.raises(NotImplementedError, match="sshserver"):
        Client(rc.name, sshserver="x")
    with pytest.warns(DeprecationWarning, match="debug"):
        Client(rc.name, debug=True).close()


@pytest.mark.parametrize("key", [99, -9, [0, 99], (1, -7)])
def test_b14_engines_that_are_not_there(rc: Client, key: Any) -> None:
    with pytest.raises(NoSuchEngine, match="0, 1, 2, 3") as caught:
        rc[key]
    assert isinstance(caught.value, IndexError)


def test_b14_a_dead_engine_says_what_it_died_of(private_cluster: Private) -> None:
    with private_cluster(n=2) as rc:
        rc[1].apply_async(os._exit, 3).wait(PATIENCE)
        rc._session.wait(lambda: rc.ids == [0], PATIENCE)
        with pytest.raises(NoSuchEngine, match="exit"):
            rc[1]


@pytest.mark.parametrize("key", ["0", None, 1.5, ["0"], {0: 1}, True, "some"])
def test_b15_what_names_no_engines(rc: Client, key: Any) -> None:
    with pytest.raises(TypeError, match="int, a slice, a list of ints, or 'all'"):
        rc[key]


def test_b16_b17_a_cluster_without_engines(private_cluster: Private) -> None:
    with private_cluster(n=0) as rc:
        with pytest.raises(NoEnginesRegistered, match="wait_for_engines"):
            rc[:]
        with pytest.raises(NoEnginesRegistered, match="wait_for_engines"):
            rc.direct_view("all").apply(abs, 1)
        waiting = rc.load_balanced_view().apply_async(abs, -1)
        with pytest.raises(TimeoutError, match="waiting for a first engine"):
            waiting.get(timeout=0.2)
        rc.scale(1, block=True)
        assert waiting.get(timeout=PATIENCE) == 1


def test_b16_an_empty_slice(rc: Client) -> None:
    with pytest.raises(NoEnginesRegistered, match="the view is empty"):
        rc[4:]


def test_b18_a_view_of_an_engine_that_was_restarted(private_cluster: Private) -> None:
    with private_cluster(n=2) as rc:
        view = rc[:]
        answer = rc.restart_engines(1, block=True)
        result = view.apply_async(abs, -1)
        with pytest.raises(CompositeError) as caught:
            result.get(timeout=PATIENCE)
        [error] = caught.value.errors
        assert isinstance(error, EngineError) and error.engine_id == 1
        assert f"as {answer[1]}" in error.evalue
        assert caught.value.results[0] == 1


def test_b19_functions_and_arguments(rc: Client) -> None:
    calls: list[Callable[..., Any]] = [rc[0].apply, rc.load_balanced_view().apply_async, rc[:].map]
    for call in calls:
        with pytest.raises(TypeError, match="f must be callable"):
            call(5, [1])
    with pytest.raises(TypeError, match="tuple or a list"):
        rc.send_apply_message(None, abs, "ab")


def test_b20_arguments_that_cannot_be_pickled(rc: Client) -> None:
    class Config:
        def __init__(self) -> None:
            self.lock = threading.Lock()

    with pytest.raises(SerializationError, match=r"argument 1\['cfg'\]\.lock: cannot pickle"):
        rc[0].apply_async(len, {"cfg": Config()})
    view = rc[:2]
    for thing, words in (
        (view.remote()(abs), "send its function"),
        (rc, "make a Client"),
        (view, "and a view of it"),
        (rc.load_balanced_view(), "and a view of it"),
        (rc[0].apply_async(abs, 1), "send its msg_ids"),
    ):
        with pytest.raises(SerializationError, match=rf"argument 1\[0\]: .* cannot be sent: .*{words}"):
            rc[0].apply_async(len, [thing])
    assert rc[0].apply_sync(abs, -1) == 1


def test_b21_results_that_cannot_be_pickled(rc: Client) -> None:
    with pytest.raises(RemoteError, match="generator.*return a list") as caught:
        rc[0].apply_sync(lambda: (x for x in range(3)))
    assert caught.value.ename == "SerializationError"
    with pytest.raises(RemoteError, match=r"value\['lock'\]\[0\]: cannot pickle.*lock") as caught:
        rc[0].apply_sync(lambda: {"lock": [__import__("threading").Lock()]})
    assert caught.value.ename == "SerializationError"


def test_b22_results_that_cannot_be_unpacked_here(rc: Client, tmp_path: Path) -> None:
    name = f"only_there_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text("class Thing:\n    pass\n")
    rc[0].execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {name}", block=True)
    result = rc[0].apply_async(Reference(f"{name}.Thing"))
    with pytest.raises(DeserializationError, match=name):
        result.get(timeout=PATIENCE)
    assert result.metadata.status == "ok" and result.metadata.result_size > 0


def test_b23_arguments_and_results_above_the_budget(private_cluster: Private) -> None:
    with private_cluster(n=1, blob_bytes=1_000_000) as rc:
        with pytest.raises(MessageTooLarge, match=r"2,000,000 bytes.*1,000,000.*blob_bytes"):
            rc[0].apply_async(len, bytes(2_000_000))
        with pytest.raises(RemoteError, match="2,000,000 bytes.*1,000,000") as caught:
            rc[0].apply_async(bytes, 2_000_000).get(timeout=PATIENCE)
        assert caught.value.ename == "MessageTooLarge"
        assert rc[0].apply_sync(len, bytes(500_000)) == 500_000


def test_b24_what_push_takes(rc: Client) -> None:
    for wrong in (5, {1: 2}):
        with pytest.raises(TypeError, match="dict of names"):
            rc[0].push(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'a b' is not a name"):
        rc[0].push({"a b": 1})


def test_b25_what_pull_takes(rc: Client) -> None:
    for wrong in (5, ["a", 1]):
        with pytest.raises(TypeError, match="str or a list of str"):
            rc[0].pull(wrong)
    with pytest.raises(NameError, match=r"\[2:.*nope"):
        rc[2].pull("nope", block=True)


def test_b26_what_scatter_takes(rc: Client) -> None:
    with pytest.raises(TypeError, match="not a sequence"):
        rc[:].scatter("a", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'b'.*'r'"):
        rc[:].scatter("a", [1], dist="x")


def test_b27_what_execute_and_run_take(rc: Client) -> None:
    with pytest.raises(TypeError, match="str of Python source"):
        rc[0].execute(5)  # type: ignore[arg-type]
    with pytest.raises(SyntaxError) as caught:
        rc[0].execute("1 +", block=True)
    assert isinstance(caught.value, RemoteError)
    with pytest.raises(FileNotFoundError, match="no.py"):
        rc[0].run("no.py")


def test_b28_b29_what_map_takes(rc: Client) -> None:
    for view in (rc[:], rc.load_balanced_view()):
        with pytest.raises(TypeError, match="at least one sequence"):
            view.map(abs)
        with pytest.raises(TypeError, match="not iterable"):
            view.map(abs, 5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="block"):
            view.map_sync(abs, [1], block=True)
        with pytest.raises(TypeError, match="did you mean 'kwargs'"):
            view.map(abs, [1], kwarg={})
        with pytest.raises(ValueError, match=">= 1"):
            view.map(abs, [1], chunksize=0)


def test_b30_unknown_flags(rc: Client) -> None:
    with pytest.raises(KeyError, match="did you mean 'block'"):
        rc[0].set_flags(blok=True)
    with pytest.raises(AttributeError, match="did you mean 'block'"):
        rc[0].blok = True
    with pytest.raises(KeyError):
        rc[0].set_flags(retries=1)


@pytest.mark.parametrize(("name", "value"), [("block", "yes"), ("label", 5), ("retries", 1.5), ("timeout", "x")])
def test_b31_b33_flags_of_a_wrong_type(rc: Client, name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        rc.load_balanced_view().set_flags(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", -1), ("priority", 2000), ("time_limit", 0), ("timeout", -1), ("timeout", float("nan")),
     ("label", "x" * 257), ("retry_on", "sometimes")],
)  # fmt: skip
def test_b32_b33_flags_out_of_range(rc: Client, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        rc.load_balanced_view().set_flags(**{name: value})


def test_b34_timeouts_of_waits(rc: Client) -> None:
    result = rc[0].apply_async(abs, 1)
    with pytest.raises(TypeError, match="seconds"):
        result.get("x")  # type: ignore[arg-type]
    for wait in (result.wait, lambda t: rc.wait(timeout=t)):
        with pytest.raises(ValueError, match="nan"):
            wait(float("nan"))
    result.get(timeout=-1)


def test_b35_what_after_takes(rc: Client) -> None:
    view = rc.load_balanced_view()
    with pytest.raises(ValueError, match="msg_id, an AsyncResult"):
        view.after = 5
    with pytest.raises(ValueError, match="success or failure"):
        Dependency(success=False)
    for unknown in ("no-such-task", f"{rc.session}-999999"):
        view.after = unknown
        result = view.apply_async(abs, 1)
        with pytest.raises(InvalidDependency, match=f"depends on {unknown}, which"):
            result.get(timeout=PATIENCE)
        assert result.after == [unknown]


def test_b36_what_abort_takes(rc: Client) -> None:
    rc[0].apply_sync(abs, 1)
    unnamed: list[Any] = [5.5, 5, 0, -1, [0], {}]
    for wrong in unnamed:
        with pytest.raises(TypeError, match="stands for no task"):
            rc.abort(wrong)
    assert rc.abort("nope", block=True)["unknown"] == ["nope"]
    result = rc[0].apply_async(abs, 1)
    result.wait(PATIENCE)
    with pytest.raises(RuntimeError, match="nothing to abort"):
        result.abort()


def test_b37_results_that_do_not_exist(rc: Client) -> None:
    with pytest.raises(NoSuchTask, match="nope"):
        rc.get_result("nope").get(timeout=PATIENCE)
    with pytest.raises(NoSuchTask, match="0123-7"):
        rc.get_result("0123-7").get(timeout=PATIENCE)
    for strange in ("nope", "0123-7", f"{rc.session}-999999"):
        with pytest.raises(NoSuchTask, match=strange):
            rc.resubmit(strange).get(timeout=PATIENCE)
    count = len(rc.hub_history())
    with pytest.raises(CompositeError, match="nope"):
        rc.resubmit([rc[0].apply_async(abs, 1).msg_ids[0], "nope"]).get(timeout=PATIENCE)
    assert len(rc.hub_history()) == count + 1, "nothing was submitted again"
    with pytest.raises(IndexError, match=f"history has {len(rc.history)}"):
        rc.get_result(10**6)


def test_b38_results_that_were_forgotten(rc: Client, cluster: Cluster) -> None:
    result = rc[0].apply_async(abs, 1)
    result.wait(PATIENCE)
    rc.purge_hub_results(result)
    with cluster.connect() as other, pytest.raises(ResultExpired, match="was purged on .*submit it anew"):
        other.get_result(result.msg_ids[0]).get(timeout=PATIENCE)


def test_b38_results_that_a_limit_has_evicted(private_cluster: Private, until: Callable[..., None]) -> None:
    with private_cluster(n=1, history_rows=100) as rc:
        names = rc[0].map_async(abs, [1]).msg_ids
        rc.wait(names, timeout=PATIENCE)
        rc.load_balanced_view().map_sync(abs, range(1000))
        until(lambda: names[0] not in rc.hub_history(), timeout=PATIENCE)
        with rc.cluster.connect() as other, pytest.raises(ResultExpired, match="history_rows=100 .*raise it"):
            other.get_result(names[0]).get(timeout=PATIENCE)


def test_b39_queries_that_mean_nothing(rc: Client) -> None:
    with pytest.raises(ValueError, match=r"\$lte?"):
        rc.db_query({"engine_id": {"$le": 1}})
    with pytest.raises(ValueError, match="engine_id"):
        rc.db_query({"engine_ids": 1})


def test_b40_a_closed_client(cluster: Cluster) -> None:
    rc = cluster.connect()
    view, result = rc[0], rc[0].apply_async(abs, -1)
    result.get(timeout=PATIENCE)
    rc.close()
    rc.close()
    for call in (
        lambda: view.apply(abs, 1),
        lambda: rc.ids,
        lambda: rc.queue_status(),
        lambda: rc.wait("x-1"),
        lambda: rc[0],
        lambda: rc.abort(block=True),
    ):
        with pytest.raises(ClientClosed, match="new Client"):
            call()
    assert result.get() == 1


def test_b40_a_client_in_a_forked_child(rc: Client) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            rc[0].apply(abs, 1)
        except ClientClosed as error:
            os.write(writer, str(error).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as file:
        assert b"parent of this process" in file.read()
    assert rc[0].apply_sync(abs, -1) == 1


def test_b41_a_hub_that_has_gone(private_cluster: Private, here: Here) -> None:
    import signal

    from tuiparallel.cluster.running import record_in

    nap = here("import time\ndef nap(s): time.sleep(s)")["nap"]
    cluster = private_cluster(n=1)
    cluster.start_and_connect_sync().close()
    record = record_in(cluster.directory)
    assert record is not None
    with cluster.connect(hub_timeout=0.5, query_timeout=1.0) as rc:
        result = rc[0].apply_async(nap, 1.0)
        rc._session.wait(lambda: not len(rc._session.link.outbox), PATIENCE)
        os.kill(record.pids["hub"], signal.SIGSTOP)
        try:
            with pytest.raises(HubUnreachable, match="queue_status within 1 s"):
                rc.queue_status()
        finally:
            os.kill(record.pids["hub"], signal.SIGCONT)
        assert result.get(timeout=PATIENCE) is None


def test_b43_tasks_that_end_their_engine(private_cluster: Private) -> None:
    with private_cluster(n=2) as rc:
        import sys

        with pytest.raises(RemoteError) as exited:
            rc[0].apply_sync(sys.exit, 3)
        assert exited.value.ename == "SystemExit" and rc[0].apply_sync(abs, -1) == 1
        with pytest.raises(EngineError, match="3") as died:
            rc[0].apply_async(os._exit, 3).get(timeout=PATIENCE)
        assert died.value.exitcode == 3 and died.value.engine_id == 0 and died.value.may_have_started
        with pytest.raises(EngineError) as killed:
            rc[1].apply_async(os.kill, rc[1].apply_sync(os.getpid), 11).get(timeout=PATIENCE)
        assert killed.value.signal == 11 and "SIGSEGV" in str(killed.value)


def test_b43_the_last_words_of_an_engine(private_cluster: Private) -> None:
    with private_cluster(n=1) as rc:
        code = "import os, sys; print('no more ink', file=sys.__stderr__, flush=True); os.write(2, b'!!\\n'); os._exit(4)"
        with pytest.raises(EngineError, match="4") as died:
            rc[0].execute(code).get(timeout=PATIENCE)
        assert died.value.exitcode == 4 and "!!" in died.value.stderr_tail


def test_b44_references(rc: Client) -> None:
    with pytest.raises(TypeError, match="is a str"):
        Reference(5)  # type: ignore[arg-type]
    for call in ((abs, Reference("nope")), (Reference("nope"),)):
        with pytest.raises(NameError, match="'nope' is not defined") as caught:
            rc[0].apply_sync(*call)
        assert isinstance(caught.value, RemoteError) and caught.value.ename == "NameError"


def test_b45_waiting_for_engines(rc: Client) -> None:
    with pytest.raises(TimeoutError, match="4 of 9"):
        rc.wait_for_engines(9, timeout=0.1)
    rc.cluster = None
    with pytest.raises(TypeError, match="needs n"):
        rc.wait_for_engines()
    assert rc.wait_for_engines(4, block=False).result(timeout=PATIENCE) is None


def test_b46_signals_and_modules(rc: Client) -> None:
    with pytest.raises(ValueError, match="did you mean 'SIG|known are SIG"):
        rc.send_signal("SIGFOO")
    with pytest.raises(ValueError, match="SIGINT.*SIGTERM"):
        rc.send_signal(1000)
    with pytest.raises(TypeError, match="number or its name"):
        rc.send_signal(1.5)
    with pytest.raises(TypeError, match="module or its name"):
        send_by_value(5)  # type: ignore[arg-type]
