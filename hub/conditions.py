"""Queries of people in the manner of MongoDB, as a condition in SQL.

A query is {key: value} (equality), {key: {operator: value, ...}} (all of them), {"$and": [query, ...]},
{"$or": [query, ...]}, {"$not": query}, and any mixture; several entries mean all of them. Every term is 0 or 1, never
NULL: what a task lacks is None, which equals None, is unlike anything else, and has no order.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

Expression = Callable[[str], str]
"""The SQL of a key. Raises ValueError for a key there is none of."""

MANY = 500  # values of an $in that are compared one by one
_ORDERS = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_JOINS = {"$and": " AND ", "$or": " OR "}
OPERATORS = ("$eq", "$ne", *_ORDERS, "$in", "$nin", "$exists", "$glob", "$mod", "$all", *_JOINS, "$not")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def nearest(word: object, known: Iterable[str]) -> str:
    """ ", did you mean ..." for messages; what there is when nothing is near."""
    known = list(known)
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def stored(value: Any) -> Any:
    """A value as SQL has it: NULL, number, text; lists and dicts as bytes that are equal when they are."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int)):
        return int(value) if -(1 << 63) <= value < 1 << 63 else float(value)
    if isinstance(value, float):
        return value
    return _encode(_plain(value))


def _plain(value: Any) -> Any:
    """Equal values made alike: whole floats and booleans are integers, tuples are lists."""
    if isinstance(value, (bool, float)) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


class Condition:
    """The SQL of one query. functions: predicates on values, which SQL calls by their numbers as holds(number, value).

    after: a condition that stands before it in the same statement, whose parameters and functions are numbered first.
    """

    def __init__(self, query: Mapping[str, Any], expression: Expression, after: Condition | None = None) -> None:
        self._expression = expression
        self.parameters: list[Any] = [] if after is None else after.parameters
        self.functions: list[Callable[[Any], bool]] = [] if after is None else after.functions
        self.sql = self._query(query)

    # Structure -----------------------------------------------------------------------------------------------------

    def _query(self, query: Any) -> str:
        if not isinstance(query, Mapping):
            raise TypeError(f"a query is a dict, not {query!r:.200}")
        terms = [self._entry(key, value) for key, value in query.items()]
        return _joined(terms, " AND ", "1")

    def _entry(self, key: Any, value: Any) -> str:
        if key in _JOINS:
            return _joined([self._query(one) for one in _listed(key, value)], _JOINS[key], str(int(key == "$and")))
        if key == "$not":
            return f"NOT {self._query(value)}"
        if isinstance(key, str) and key.startswith("$"):
            raise ValueError(f"no operator {key!r}: {nearest(key, OPERATORS)}")
        return self._tests(self._expression(key), value)

    def _tests(self, sql: str, value: Any) -> str:
        """Everything that is asked of one key."""
        if not _is_test(value):
            return self._term(sql, "$eq", value)
        return _joined([self._term(sql, operator, operand) for operator, operand in value.items()], " AND ", "1")

    # Terms ---------------------------------------------------------------------------------------------------------

    def _term(self, sql: str, operator: str, operand: Any) -> str:
        if operator in _ORDERS:
            return self._order(sql, _ORDERS[operator], operand)
        match operator:
            case "$eq":
                return self._equal(sql, operand)
            case "$ne":
                return f"NOT {self._equal(sql, operand)}"
            case "$in":
                return self._among(sql, _listed(operator, operand))
            case "$nin":
                return f"NOT {self._among(sql, _listed(operator, operand))}"
            case "$exists":
                return f"({sql} IS {'NOT ' if operand else ''}NULL)"
            case "$glob":
                if not isinstance(operand, str):
                    raise ValueError(f"$glob needs a pattern, not {operand!r:.200}")
                return f"(typeof({sql}) = 'text' AND {sql} GLOB {self._bind(operand)})"
            case "$mod":
                return self._modulo(sql, operand)
            case "$all":
                wanted = [stored(one) for one in _listed(operator, operand)]
                return self._call(lambda value: _has_all(value, wanted), sql)
            case "$and" | "$or":
                parts = [self._tests(sql, one) for one in _listed(operator, operand)]
                return _joined(parts, _JOINS[operator], str(int(operator == "$and")))
            case "$not":
                return f"NOT {self._tests(sql, operand)}"
            case _:
                raise ValueError(f"no operator {operator!r}: {nearest(operator, OPERATORS)}")

    def _equal(self, sql: str, operand: Any) -> str:
        if isinstance(operand, float) and math.isnan(operand):
            return "(0)"
        return f"({sql} IS {self._bind(stored(operand))})"

    def _order(self, sql: str, sign: str, operand: Any) -> str:
        value = stored(operand)
        if isinstance(value, str):
            return f"(typeof({sql}) = 'text' AND {sql} {sign} {self._bind(value)})"
        if isinstance(value, (int, float)) and not math.isnan(value):
            return f"(typeof({sql}) IN ('integer', 'real') AND {sql} {sign} {self._bind(value)})"
        return "(0)"

    def _among(self, sql: str, operands: list[Any]) -> str:
        values = [stored(one) for one in operands]
        if len(values) > MANY:
            known = set(values)
            return self._call(lambda value: value in known, sql)
        return _joined([self._equal(sql, one) for one in operands], " OR ", "0")

    def _modulo(self, sql: str, operand: Any) -> str:
        pair = _listed("$mod", operand)
        if len(pair) != 2 or not all(isinstance(one, (int, float)) for one in pair) or not pair[0]:
            raise ValueError(f"$mod needs [divisor, remainder], the divisor not 0: not {operand!r:.200}")
        divisor, remainder = pair
        return self._call(lambda value: isinstance(value, (int, float)) and bool(value % divisor == remainder), sql)

    def _call(self, function: Callable[[Any], bool], sql: str) -> str:
        self.functions.append(function)
        return f"holds({len(self.functions) - 1}, {sql})"

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"?{len(self.parameters)}"


def _joined(terms: list[str], join: str, empty: str) -> str:
    return f"({join.join(terms)})" if terms else f"({empty})"


def _is_test(value: Any) -> bool:
    """Whether what stands beside a key is operators, and no value."""
    return isinstance(value, Mapping) and any(isinstance(key, str) and key.startswith("$") for key in value)


def _listed(operator: str, operand: Any) -> list[Any]:
    if not isinstance(operand, (list, tuple)):
        raise ValueError(f"{operator} needs a list, not {operand!r:.200}")
    return list(operand)


def _has_all(value: Any, wanted: list[Any]) -> bool:
    """Whether a list has all of these; anything else is a list of itself."""
    if value is None:
        return False
    if isinstance(value, bytes):
        decoded = msgspec.msgpack.decode(value)
        if isinstance(decoded, list):
            there = [stored(one) for one in decoded]
            return all(one in there for one in wanted)
    return all(one == value for one in wanted)
