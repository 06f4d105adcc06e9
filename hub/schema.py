"""The tables of history.db.

A task has a row once it has ended; an open task is a number of its batch without a row, unless it is `purged`, which
only those of a batch that is not over need to be. What may have started is known
from the leases: one row per Run message (the lease is its id), with the tasks it gave to an engine, or, engine -1, the
tasks that were given back. A bundle goes when no task names it any more: `uses` counts them, apart from the bodies, so that counting
rewrites no body. So a task costs one insert in its life, and a lease one row however many tasks it names.

Engine ids begin at 0 in each run of a cluster, so an engine is a run and an id; a task's run is that of its batch. A
batch is `delivered` unless its client has left, or was away, before it had all outcomes. `output` counts the bytes that
a bundle's tasks printed and displayed. A blob's `side` is 0 in a task's call and 1 in its result.
"""

from __future__ import annotations

VERSION = 7

TaskRecord = tuple[int, int, int, "int | None", int, "float | None", "float | None", float, int]
"""id, batch, state, engine, attempt, started, completed, received, bundle: a row of `tasks`."""

TABLES = """
CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE sessions(
    id INTEGER PRIMARY KEY, hex TEXT UNIQUE NOT NULL, host TEXT, pid INTEGER, who TEXT,
    next INTEGER NOT NULL DEFAULT 0, since REAL, seen REAL);
CREATE TABLE engines(
    run INTEGER NOT NULL, id INTEGER NOT NULL, uuid TEXT UNIQUE NOT NULL, host TEXT, pid INTEGER, joined REAL,
    gone REAL, why TEXT, was INTEGER, PRIMARY KEY(run, id)) WITHOUT ROWID;
CREATE TABLE functions(hash BLOB PRIMARY KEY, code BLOB) WITHOUT ROWID;
CREATE TABLE batches(
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, function BLOB, work BLOB NOT NULL, calls BLOB, crc INTEGER,
    name TEXT, label TEXT, submitted REAL, received REAL, run INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 1);
CREATE TABLE tasks(
    id INTEGER PRIMARY KEY, batch INTEGER, state INTEGER NOT NULL, engine INTEGER, attempt INTEGER, started REAL,
    completed REAL, received REAL, bundle INTEGER);
CREATE INDEX ended_batches ON batches(delivered, received) WHERE ended = 1;
CREATE TABLE uses(bundle INTEGER PRIMARY KEY, left INTEGER NOT NULL);
CREATE TABLE bundles(id INTEGER PRIMARY KEY, body BLOB, crc INTEGER, at REAL, output INTEGER NOT NULL DEFAULT 0);
CREATE INDEX printed ON bundles(at, output) WHERE output > 0;
CREATE TABLE leases(id INTEGER PRIMARY KEY, engine INTEGER NOT NULL, tasks BLOB NOT NULL);
CREATE TABLE attempts(
    task INTEGER, attempt INTEGER, engine INTEGER, began REAL, ended REAL, outcome TEXT, PRIMARY KEY(task, attempt)
) WITHOUT ROWID;
CREATE TABLE forgotten(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL, why TEXT NOT NULL);
CREATE TABLE purged(id INTEGER PRIMARY KEY);
CREATE TABLE resubmits(old INTEGER PRIMARY KEY, new INTEGER NOT NULL);
CREATE TABLE blobs(name TEXT, owner INTEGER, size INTEGER, side INTEGER, PRIMARY KEY(name, owner, side)) WITHOUT ROWID;
CREATE INDEX blobs_of ON blobs(owner);
"""
