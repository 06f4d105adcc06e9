"""numpy arrays and memoryviews as raw bytes and back. What is made here from bytes is read-only.

numpy is never imported before somebody has one of its arrays, or the bytes hold one.
"""

from __future__ import annotations

import pickle
import sys
from pickle import PickleBuffer
from typing import Any

Array = Any
"""A numpy array: its type cannot be named here in a way that numpy's stubs of all versions accept."""

ArrayMeta = tuple[str | bytes, tuple[int, ...], str]
"""dtype (its short string, or pickled when it has fields or more), shape, and order: "C" or "F"."""

ViewMeta = tuple[str, tuple[int, ...]]
"""Format and shape of a memoryview."""

NATIVE_FORMATS = frozenset("bBcdefhHiIlLnNPqQ?")


def array_types() -> tuple[type, ...]:
    """The exact types that are plain arrays: none while numpy is not loaded."""
    numpy = sys.modules.get("numpy")
    try:
        return () if numpy is None else (numpy.ndarray, numpy.memmap)
    except AttributeError:  # numpy is being imported by another thread
        return ()


def is_raw(array: Array) -> bool:
    """Whether an array's elements are plain bytes, without references to objects."""
    return not array.dtype.hasobject


def array_parts(array: Array) -> tuple[memoryview, ArrayMeta]:
    """The bytes of an array in memory order, and what is needed to see the array in them. Copies only strided ones."""
    import numpy as np

    plain = np.asarray(array).view(np.ndarray)
    if not (plain.flags.c_contiguous or plain.flags.f_contiguous):
        plain = plain.copy(order="K")
        if not (plain.flags.c_contiguous or plain.flags.f_contiguous):
            plain = np.ascontiguousarray(plain)
    order = "C" if plain.flags.c_contiguous else "F"
    dtype = plain.dtype
    simple = dtype.isbuiltin == 1 or (dtype.names is None and dtype.metadata is None and np.dtype(dtype.str) == dtype)
    meta = (dtype.str if simple else pickle.dumps(dtype, 5), plain.shape, order)
    if not plain.nbytes:
        return memoryview(b""), meta
    flat = plain.reshape(-1, order="A")
    return memoryview(flat.view(np.uint8).data), meta


def array_from(raw: Any, meta: ArrayMeta) -> Array:
    """The array in these bytes, without a copy; read-only because the bytes are."""
    import numpy as np

    kind, shape, order = meta
    dtype = pickle.loads(kind) if isinstance(kind, bytes) else np.dtype(kind)
    view = memoryview(raw).toreadonly()
    if not view.nbytes:
        array: Array = np.empty(shape, dtype, order)  # type: ignore[call-overload]
    else:
        # Not np.ndarray(buffer=view): that looks through the view at what is below, and if this can be written to, so
        # can the array be after flags.writeable = True; writing to mapped pages would end the process.
        array = np.frombuffer(view, dtype).reshape(shape, order=order)  # type: ignore[call-overload]
    array.flags.writeable = False
    return array


def view_parts(view: memoryview) -> tuple[memoryview, str, Any]:
    """The bytes of a memoryview, and how to see it in them: "m" and a ViewMeta, or "v" and an ArrayMeta."""
    if view.format.removeprefix("@") in NATIVE_FORMATS:
        raw = PickleBuffer(view).raw() if view.c_contiguous else memoryview(view.tobytes())
        return raw, "m", (view.format, view.shape)
    # A format that memoryview.cast does not know (fields, another byte order): numpy knows it.
    import numpy as np

    raw, meta = array_parts(np.ascontiguousarray(np.asarray(view)) if view.ndim else np.asarray(view))
    return raw, "v", meta


def view_from(raw: Any, letter: str, meta: Any) -> memoryview:
    """The memoryview that view_parts took apart, read-only."""
    if letter == "v":
        return memoryview(array_from(raw, meta)).toreadonly()
    format, shape = meta
    view = memoryview(raw).toreadonly().cast("B")
    if tuple(shape) == (view.nbytes,) and format == "B":
        return view
    if 0 in shape:  # an empty view can only be cast when it has one dimension
        return view.cast(format) if len(shape) == 1 else memoryview(array_from(raw, (format, tuple(shape), "C")))
    return view.cast(format, tuple(shape))


# Inside pickles ---------------------------------------------------------------------------------------------------


def reduce_array(array: Any) -> Any:
    """How an array inside a larger object is pickled: its bytes out of band. NotImplemented for unknown subclasses."""
    import numpy as np

    cls: Any = type(array)
    if isinstance(array, np.ma.MaskedArray):
        if cls.__reduce__ is not np.ma.MaskedArray.__reduce__:
            return NotImplemented
        mask = None if array.mask is np.ma.nomask else np.asarray(array.mask)
        fill = None if array._fill_value is None else array.fill_value  # type: ignore[attr-defined]
        return restore_masked, (cls, np.asarray(array.data), mask, fill, array.hardmask)
    if cls is np.ndarray or cls is np.memmap:
        if is_raw(array):
            raw, meta = array_parts(array)
            return restore_array, (PickleBuffer(raw), meta)
        plain = array.view(np.ndarray)
        make, arguments, state = plain.__reduce__()
        return make, arguments, state, None, None, set_frozen
    if cls.__reduce__ is np.ndarray.__reduce__ and cls.__reduce_ex__ is np.ndarray.__reduce_ex__:
        return restore_subclass, (cls, array.view(np.ndarray)), getattr(array, "__dict__", None) or None
    return NotImplemented


def restore_array(raw: Any, meta: ArrayMeta) -> Any:
    """Called by pickles: an array over a buffer."""
    return array_from(raw, meta)


def restore_subclass(cls: type[Any], plain: Any) -> Any:
    """Called by pickles: an array seen as a subclass, such as recarray or matrix."""
    seen = plain.view(cls)
    seen.flags.writeable = False
    return seen


def restore_masked(cls: type[Any], data: Any, mask: Any, fill: Any, hard: bool) -> Any:
    """Called by pickles: a masked array; neither its data nor its mask can be written to."""
    import numpy as np

    made = cls(data, mask=np.ma.nomask if mask is None else mask, copy=False, fill_value=fill, hard_mask=hard)
    if made._mask is not np.ma.nomask:
        made._mask.flags.writeable = False
    return made


def set_frozen(array: Any, state: Any) -> None:
    """Called by pickles: fills an array of objects, then makes it read-only."""
    array.__setstate__(state)
    array.flags.writeable = False


def reduce_view(view: memoryview) -> Any:
    """How a memoryview inside a larger object is pickled."""
    raw, letter, meta = view_parts(view)
    return view_from, (PickleBuffer(raw), letter, meta)
