"""Modules that travel as source: what send_by_value registers, and the importer that finds them on an engine."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Sequence
from hashlib import blake2b
from importlib.machinery import ModuleSpec

import msgspec


class Source(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The text of one module. root: the name that was registered; digest: of all modules of this root."""

    name: str
    package: bool
    filename: str
    text: str
    root: str
    digest: bytes


class _Registered:
    """A module or package registered here, and its sources as last read."""

    def __init__(self, name: str, origin: str, package: bool) -> None:
        self.name = name
        self.sign = name.encode()
        self.origin = origin
        self.package = package
        self._stamps: list[tuple[str, int, int]] = []
        self._sources: list[Source] = []

    def sources(self) -> list[Source]:
        """All modules of it; files are read again when one of them has changed."""
        files = self._files()
        stamps = [(path, (seen := os.stat(path)).st_mtime_ns, seen.st_size) for _, path in files]
        if stamps != self._stamps:
            read = [(name, path, _text(path)) for name, path in files]
            digest = blake2b(repr(read).encode(), digest_size=16).digest()
            self._sources = [
                Source(name, os.path.basename(path) == "__init__.py", path, text, self.name, digest)
                for name, path, text in read
            ]
            self._stamps = stamps
        return self._sources

    def _files(self) -> list[tuple[str, str]]:
        if not self.package:
            return [(self.name, self.origin)]
        top = os.path.dirname(self.origin)
        found = []
        for folder, below, files in os.walk(top):
            below[:] = sorted(name for name in below if name.isidentifier() and name != "__pycache__")
            inside = os.path.relpath(folder, top)
            parts = [self.name, *([] if inside == "." else inside.split(os.sep))]
            for file in sorted(files):
                stem, suffix = os.path.splitext(file)
                if suffix == ".py" and stem.isidentifier():
                    name = ".".join(parts if stem == "__init__" else [*parts, stem])
                    found.append((name, os.path.join(folder, file)))
        return found


_registered: dict[str, _Registered] = {}


def _text(path: str) -> str:
    with open(path, "rb") as file:
        return importlib.util.decode_source(file.read())


def send_by_value(module: types.ModuleType | str) -> None:
    """Let a module or package travel as source to engines, with the first function that needs it.

    On the engine `import helpers` works afterwards, and functions of it see their own module's globals. A file that
    has changed is sent again. module: a module, or its name.
    Returns None.
    Raises TypeError for anything else, ModuleNotFoundError when there is no such module, ValueError when it has no
    Python source.
    """
    if isinstance(module, types.ModuleType):
        name, spec = module.__name__, module.__spec__
        origin = getattr(module, "__file__", None)
        package = hasattr(module, "__path__")
    elif isinstance(module, str):
        name = module
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(
                f"No module named {name!r}: send_by_value needs it to be importable here", name=name
            )
        origin, package = spec.origin, spec.submodule_search_locations is not None
    else:
        raise TypeError(f"send_by_value takes a module or its name, not {type(module).__name__}: {module!r}")
    if "." in name:
        send_by_value(name.partition(".")[0])  # a part of a package is only importable with the rest of it
        return
    if name == "__main__" or not origin or not origin.endswith(".py"):
        raise ValueError(f"module {name!r} has no source file that could be sent ({origin or 'no file'})")
    _registered[name] = _Registered(name, os.path.abspath(origin), package)


def any_registered() -> bool:
    """Whether send_by_value has been used here."""
    return bool(_registered)


def mentioned(stream: bytes) -> list[Source]:
    """Sources of the registered modules that these bytes, or those sources, may name."""
    if not _registered:
        return []
    found: list[Source] = []
    left = list(_registered.values())
    texts = [stream]
    while texts:
        text = texts.pop()
        for entry in [entry for entry in left if entry.sign in text]:
            left.remove(entry)
            some = entry.sources()
            found += some
            texts += [source.text.encode() for source in some]
    return found


# At the destination -----------------------------------------------------------------------------------------------

_place = [""]


def place() -> str:
    """What this process is called in messages, as in "engine 3 on node7"; empty where it is no engine."""
    return _place[0]


def set_place(text: str) -> None:
    """Say what this process is called in messages."""
    _place[0] = text


def explained(failure: ImportError, loading: str) -> ImportError:
    """The same error, saying which module is missing where, and the cure. Does so once; returns its argument."""
    missing = (failure.name or "").partition(".")[0]
    if missing and isinstance(failure, ModuleNotFoundError) and "send_by_value" not in str(failure):
        where = f"{place()}, loading {loading}" if place() else f"loading {loading}"
        cure = f"send it with tuiparallel.send_by_value({missing}), or install it there"
        failure.msg = f"{failure} ({where}): {cure}"
        failure.args = (failure.msg,)
    return failure


class Importer:
    """Finds and loads modules whose source has arrived."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.digests: dict[str, bytes] = {}  # by root

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """How Python asks for a module."""
        source = self.sources.get(name)
        if source is None:
            return None
        spec = ModuleSpec(name, self, origin=source.filename, is_package=source.package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """None: Python makes the module object itself."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the source in the new module."""
        source = self.sources[module.__name__]
        exec(compile(source.text, source.filename, "exec", dont_inherit=True), module.__dict__)

    def get_source(self, name: str) -> str | None:
        """The text, for tracebacks."""
        source = self.sources.get(name)
        return None if source is None else source.text


_importer = Importer()


def install(arrived: list[Source]) -> None:
    """Make these modules importable here; ones that have changed are imported anew by whoever imports them next."""
    if _importer not in sys.meta_path:
        sys.meta_path.insert(0, _importer)
    for root, digest in {(source.root, source.digest) for source in arrived}:
        if root in _registered or _importer.digests.get(root) == digest:
            continue  # it comes home, or is known
        for name in [name for name in _importer.sources if name.partition(".")[0] == root]:
            del _importer.sources[name]
        for name in [name for name in sys.modules if name.partition(".")[0] == root]:
            del sys.modules[name]
        _importer.sources.update((source.name, source) for source in arrived if source.root == root)
        _importer.digests[root] = digest
