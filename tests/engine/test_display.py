"""Mime bundles of values, well behaved and not."""

from __future__ import annotations

from typing import Any

import msgspec

from tuiparallel.engine.display import LARGEST, bundle


class Rich:
    def _repr_html_(self) -> str:
        return "<b>rich</b>"

    def _repr_png_(self) -> bytes:
        return b"\x89PNG"

    def _repr_json_(self) -> tuple[dict[str, int], dict[str, bool]]:
        return {"a": 1}, {"expanded": True}

    def _repr_svg_(self) -> str:
        raise ValueError("no picture")

    def __repr__(self) -> str:
        return "Rich()"


class Everything:
    def __getattr__(self, name: str) -> Any:
        return lambda *args: "trap"

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_all_representations_are_there() -> None:
    shown = bundle(Rich())
    assert shown == {
        "data": {
            "text/plain": "Rich()",
            "text/html": "<b>rich</b>",
            "image/png": "iVBORw==",
            "application/json": {"a": 1},
        },
        "metadata": {"application/json": {"expanded": True}},
    }
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(shown)) == shown


def test_an_object_that_answers_to_every_name_is_plain() -> None:
    data = bundle(Everything())["data"]
    assert list(data) == ["text/plain"]
    assert "whose repr raised RuntimeError: no" in data["text/plain"]


def test_a_class_is_not_asked_for_what_its_instances_have() -> None:
    assert list(bundle(Rich)["data"]) == ["text/plain"]


def test_what_is_too_large_is_cut() -> None:
    text = bundle("x" * (LARGEST + 100))["data"]["text/plain"]
    assert len(text) < LARGEST + 100 and text.endswith("characters left out")
