"""Names of clusters: which are allowed, and new ones that people can read and say."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container

LONGEST = 32
_ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")

_FIRST = (
    "amber brave brisk bright calm clear clever cosy dawn deft eager early fair fleet fresh gentle glad golden grand "
    "green happy hardy keen kind light lively lucky mellow merry mild neat nimble noble plain proud quick quiet rapid "
    "ready rosy sharp silver sleek small snug solid spry steady still sunny swift tidy true vivid warm wise young"
).split()
_SECOND = (
    "acorn alder badger beaver birch bison brook cedar clover comet condor crane delta dune eagle elk ember falcon fern "
    "finch fjord fox gale garnet glade hare harbor hawk hazel heron ibex iris jay kestrel lake lark lemur linden lotus "
    "lynx maple marten meadow moose newt oak orca osprey otter owl panda pine plover puffin raven reed robin sable "
    "salmon sparrow spruce stork summit swan tern thrush tiger valley walnut willow wolf wren"
).split()


def checked_name(name: object) -> str:
    """The name itself when it is allowed. Raises TypeError when it is no text, ValueError with the rule it breaks."""
    if not isinstance(name, str):
        raise TypeError(f"name={name!r}: a cluster's name is a str")
    if not name:
        raise ValueError("name='': a cluster's name cannot be empty; leave it out to get a new one")
    if len(name) > LONGEST:
        raise ValueError(f"name={name!r} has {len(name)} characters: at most {LONGEST} are allowed")
    if not _ALLOWED.match(name):
        raise ValueError(
            f"name={name!r}: allowed are letters, digits, '.', '_' and '-', beginning with a letter or a digit"
        )
    return name


def new_name(taken: Container[str]) -> str:
    """A random readable name, as 'calm-otter', that is not taken; a number is added when the pairs run out."""
    for _ in range(50):
        name = f"{secrets.choice(_FIRST)}-{secrets.choice(_SECOND)}"
        if name not in taken:
            return name
    return f"{name}-{secrets.token_hex(4)}"
