"""engines and restart: more engines, fewer, signals, new ones for old."""

from __future__ import annotations

import signal

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, usage
from tuiparallel.cli.observing import watch
from tuiparallel.client.client import Client
from tuiparallel.monitor.report import Row, listing

_PATIENCE = 60.0  # seconds new engines may take


def add_engines(call: Call, n: int) -> int:
    """Start n more and wait for them."""
    if n < 0:
        raise usage(f"{n}: the number of engines to add must be 0 or more")
    with call.client() as client:
        _grow(client, len(client.ids) + n)
        return _show(call, client)


def scale(call: Call, n: int, yes: bool) -> int:
    """Bring the number of engines to n; ending engines must be meant."""
    if n < 0:
        raise usage(f"{n}: the number of engines must be 0 or more")
    with call.client() as client:
        now = len(client.ids)
        if n < now:
            call.must(yes, f"end {now - n} of {now} engines of {client.name}", n == 0, client.name)
        _grow(client, n)
        return _show(call, client)


def _grow(client: Client, total: int) -> None:
    client.scale(total, block=True)
    if len(client.ids) < total:
        client.wait_for_engines(total, timeout=_PATIENCE)


def stop_engines(call: Call, ids: list[int], yes: bool) -> int:
    """End these engines."""
    with call.client() as client:
        targets = client[ids].targets
        everyone = len(targets) == len(client.ids)
        call.must(yes, f"end engines {_list(ids)} of {client.name}", everyone, client.name)
        client.shutdown(targets=ids, block=True)
        return _show(call, client)


def signal_engines(call: Call, name: str, ids: list[int], yes: bool) -> int:
    """Send a signal by name or number."""
    signum = _signal(name)
    with call.client() as client:
        targets = ids or client.ids
        client[targets]  # raises NoSuchEngine
        everyone = len(targets) == len(client.ids)
        call.must(yes, f"send {signum.name} to engines {_list(targets)} of {client.name}", everyone, client.name)
        client.send_signal(int(signum), targets=targets, block=True)
        return _show(call, client)


def restart(call: Call, ids: list[int], yes: bool) -> int:
    """Replace engines; prints old and new ids."""
    with call.client() as client:
        targets = ids or client.ids
        client[targets]
        everyone = len(targets) == len(client.ids)
        what = f"restart engines {_list(targets)} of {client.name}: their names and running tasks are lost"
        call.must(yes, what, everyone, client.name)
        renamed = client.restart_engines(targets=targets, block=True)
        client.wait_for_engines(len(client.ids), timeout=_PATIENCE)
    if call.out.as_json:
        before = {now: old for old, now in renamed.items()}
        for row in _engine_rows(call):
            if row["id"] in before:
                call.out.json(row | {"was": before[row["id"]]})
    else:
        for old, now in sorted(renamed.items()):
            call.out.text(f"{old} {now}")
    return ExitCode.DONE


def _show(call: Call, client: Client) -> int:
    if call.out.as_json:
        for row in _engine_rows(call):
            if row["id"] in client.ids:
                call.out.json(row)
    else:
        for engine in client.ids:
            call.out.text(str(engine))
    return ExitCode.DONE


def _engine_rows(call: Call) -> list[Row]:
    with watch(call) as watched:
        return [row | {"cluster": watched.name} for row in listing(watched.store, "engines", watched.now())]


def _list(ids: list[int]) -> str:
    return ", ".join(map(str, ids))


def _signal(name: str) -> signal.Signals:
    try:
        return signal.Signals(int(name)) if name.isdecimal() else signal.Signals[_full(name)]
    except (ValueError, KeyError):
        import difflib

        names = [item.name for item in signal.Signals]
        near = difflib.get_close_matches(_full(name), names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        raise usage(f"{name!r} is not a signal: {hint}") from None


def _full(name: str) -> str:
    return name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
