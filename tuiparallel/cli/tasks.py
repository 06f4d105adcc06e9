"""abort and wait: tasks by id or by a query."""

from __future__ import annotations

from collections.abc import Sequence

from tuiparallel.cli.call import Call
from tuiparallel.cli.exits import ExitCode, late, refused, usage
from tuiparallel.cli.listing import query
from tuiparallel.cli.observing import Watch, watch
from tuiparallel.link.clock import Deadline, SystemClock
from tuiparallel.monitor.fields import TASK_FIELDS
from tuiparallel.monitor.report import task_row
from tuiparallel.monitor.rows import TaskView
from tuiparallel.wire.ids import parse_msg_id
from tuiparallel.wire.states import State

_NAMED = 5  # tasks that a refusal names


def chosen(watched: Watch, ids: Sequence[str], where: str | None) -> list[TaskView]:
    """The tasks that are meant, oldest first: by id, by query, or those of the ids that match."""
    for msg_id in ids:
        try:
            parse_msg_id(msg_id)
        except ValueError as error:
            raise usage(str(error)) from error
    if any(watched.store.task_named(msg_id) is None for msg_id in ids):
        watched.load_history()
    found: list[TaskView] = []
    for msg_id in ids:
        row = watched.store.task_named(msg_id)
        if row is None:
            raise refused(f"{watched.name} knows no task {msg_id}")
        found.append(row)
    if ids and where is None:
        return found
    tasks = watched.store.task_list(query(where, TASK_FIELDS), reverse=False)
    tasks.refresh()
    matching = tasks.rows(0, len(tasks))
    if ids:
        wanted = {row.msg_id for row in found}
        matching = [row for row in matching if row.msg_id in wanted]
    return matching


def abort(call: Call, ids: Sequence[str], where: str | None, running: bool, yes: bool) -> int:
    """End tasks; without --running those that have started are left alone and named on stderr."""
    if not ids and where is None:
        raise usage("say which: ids, or --where QUERY (--where state:open: all that have not ended)")
    with watch(call) as watched:
        meant = [row for row in chosen(watched, ids, where) if row.open]
    sessions = len({row.session for row in meant})
    names = ", ".join(f"{row.msg_id} {row.name}" for row in meant[:_NAMED])
    more = f" and {len(meant) - _NAMED} more" if len(meant) > _NAMED else ""
    if not meant:
        call.out.note("nothing to abort: no such task is open")
        return ExitCode.DONE
    call.must(yes, f"abort {len(meant)} tasks of {sessions} clients ({names}{more})")
    with call.client() as client:
        answer = client.abort([row.msg_id for row in meant], block=True, running=running)
    rows = {row.msg_id: row for row in meant}
    ended = [*answer["aborted"], *(answer["running"] if running else ())]
    for msg_id in ended:
        row = task_row(rows[msg_id], call.out.cluster) | {"state": "aborted", "status": "error"}
        call.out.both(row, msg_id)
    for msg_id in () if running else answer["running"]:
        call.out.note(f"{msg_id} has started and was left alone (--running interrupts it)")
    return ExitCode.DONE


def wait(call: Call, ids: Sequence[str], where: str | None, timeout: float | None) -> int:
    """Wait until all of these have ended; their states. FAILED when one did not end well, LATE after timeout."""
    deadline = Deadline(SystemClock(), timeout)
    with watch(call) as watched:
        meant = chosen(watched, ids, where or (None if ids else "state:open"))
        if not ids:  # of those that have ended, a newcomer happens to hear of a few
            meant = [row for row in meant if row.open]
        open_ = {row.id for row in meant if row.open}
        while open_:
            if not watched.next(deadline):
                raise late(f"{len(open_)} of {len(meant)} tasks have not ended after {timeout:g} s; they go on")
            open_ = {task for task in open_ if (row := watched.store.task(task)) is not None and row.open}
        found = [watched.store.task(row.id) or row for row in meant]
    worst = ExitCode.DONE
    for row in found:
        if row.state is not State.DONE:
            worst = ExitCode.FAILED
        call.out.both(task_row(row, call.out.cluster), f"{row.msg_id} {row.state.name.lower()}")
    return worst
