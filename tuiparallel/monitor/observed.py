"""The values that fields have now, with how many rows have each: what completion of a query offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tuiparallel.monitor.fields import Nouns
from tuiparallel.monitor.intake import Intake
from tuiparallel.monitor.tasks import PHASES
from tuiparallel.wire.states import EngineState

MOST = 1_000  # values of a field


def observed(known: Intake, nouns: Nouns, field: str) -> Mapping[str, int]:
    """Values of a field of these rows; empty for a field whose values are too many to list, such as a duration."""
    found = _of_tasks(known, field) if nouns.noun == "tasks" else _of_others(known, nouns, field)
    return dict(Counter({value: count for value, count in found if value and count}).most_common(MOST))


def _of_tasks(known: Intake, field: str) -> Iterable[tuple[str, int]]:
    table = known.tasks
    match field:
        case "state":
            return [(phase.value, table.by_phase[number]) for number, phase in enumerate(PHASES)]
        case "fn":
            return [(table.names.texts[number], count) for number, count in table.by_name.items()]
        case "label":
            return [(table.labels.texts[number], count) for number, count in table.by_label.items()]
        case "engine":
            return [(str(number), count) for number, count in table.by_engine.items() if number >= 0]
        case "client":
            return [(table.client(session), count) for session, count in table.by_session.items()]
        case "error":
            return Counter(ename for ename, _ in table.errors.values()).items()
    return []


def _of_others(known: Intake, nouns: Nouns, field: str) -> Iterable[tuple[str, int]]:
    rows = [seat.row for seat in known.engines.seats.values()]
    match nouns.noun, field:
        case "engines", "state":
            return Counter(EngineState(row.state).name.lower() for row in rows).items()
        case "engines", "id":
            return [(str(row.id), 1) for row in rows]
        case "engines", "fn":
            return Counter(row.name for row in rows if row.task is not None).items()
        case "engines", "label":
            return Counter(row.label or "" for row in rows if row.task is not None).items()
        case "engines", "host":
            return Counter(row.host for row in rows).items()
        case "engines", "warning":
            return Counter(lint.id for lint in known.lints if lint.engine is not None).items()
        case "failures", "error":
            return known.failures.counts().items()
        case (("functions" | "failures"), "fn"):
            return [(name, row.done + row.failed) for name, row in known.functions.rows.items()]
        case "clients", "client":
            return [(client.hex, 1) for client in known.clients.values()]
        case "clients", "name":
            return Counter(client.name for client in known.clients.values()).items()
        case "clients", "host":
            return Counter(client.host for client in known.clients.values()).items()
    return []
