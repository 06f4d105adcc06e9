"""Values as people see them: mime bundles, from the `_repr_*_` methods that notebooks know."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

Bundle = dict[str, Any]
"""{"data": {mime: text or JSON}, "metadata": {...}}"""

METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_pdf_": "application/pdf",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}

LARGEST = 1 << 20  # bytes of one representation


def bundle(value: Any) -> Bundle:
    """All representations a value offers; one that fails is left out, text/plain is always there."""
    data: dict[str, Any] = {"text/plain": _limited(plain(value))}
    metadata: dict[str, Any] = {}
    if not isinstance(value, type):
        if found := _asked(value, "_repr_mimebundle_"):
            content, extra = found if isinstance(found, tuple) else (found, {})
            data.update({str(mime): _sendable(part) for mime, part in content.items()})
            metadata.update({str(key): _sendable(part) for key, part in extra.items()})
        for method, mime in METHODS.items():
            if mime in data:
                continue
            found = _asked(value, method)
            if found is None:
                continue
            if isinstance(found, tuple) and len(found) == 2:
                found, metadata[mime] = found[0], _sendable(found[1])
            data[mime] = _sendable(found)
    return {"data": data, "metadata": metadata}


def plain(value: Any) -> str:
    """repr(), whatever it does."""
    try:
        return repr(value)
    except Exception as failure:
        return f"<{type(value).__qualname__} whose repr raised {type(failure).__name__}: {failure}>"


def _asked(value: Any, method: str) -> Any:
    # On the class: an object that answers to every name has none of these.
    function: Callable[[Any], Any] | None = getattr(type(value), method, None)
    if function is None:
        return None
    try:
        return function(value)
    except Exception:
        return None


def _sendable(part: Any) -> Any:
    if isinstance(part, (bytes, bytearray, memoryview)):
        part = base64.b64encode(bytes(part)).decode("ascii")
    if isinstance(part, str):
        return _limited(part)
    try:
        encoded = msgspec.msgpack.encode(part)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _limited(plain(part))
    if len(encoded) > LARGEST:
        return _limited(plain(part))
    return msgspec.msgpack.decode(encoded)


def _limited(text: str) -> str:
    if len(text) <= LARGEST:
        return text
    return f"{text[:LARGEST]}\n… {len(text) - LARGEST:,} characters left out"
