"""Where a hub listens on the network and with which keys: made at its first start, kept for its restarts.

keys.json in the cluster's directory, mode 0600, has what a hub that comes back needs so that its peers find it where,
and as whom, they knew it. Their own keys are in client.json and engine.json; keys never leave files of mode 0600.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tuiparallel.link.curve import KeyPair, ServerKeys, new_pair
from tuiparallel.link.doors import Role
from tuiparallel.link.ports import endpoint
from tuiparallel.wire.config import ClusterConfig
from tuiparallel.wire.connection import read_private, write_private

FILE = "keys.json"


class Listening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The endpoints, bound or to be, by role; the hub's pair of keys, and one pair for each role."""

    cluster: str  # the run that these keys are for
    addresses: dict[str, str]
    server: KeyPair
    roles: dict[str, KeyPair]

    def __repr__(self) -> str:
        return f"<Listening at {', '.join(self.addresses.values())}>"

    def endpoints(self) -> dict[Role, str]:
        """Where to bind."""
        return {role: self.addresses[role.name.lower()] for role in Role}

    def server_keys(self) -> ServerKeys:
        """For the sockets: each role's port takes that role's key alone."""
        return ServerKeys(self.server, {role: frozenset([pair.public]) for role, pair in self.roles.items()})


def listening(config: ClusterConfig, ip: str) -> Listening:
    """What this run's hub had before, or new keys and ports yet to be chosen.

    Raises InsecureFile when the file is open to others, ValueError when it is damaged.
    """
    path = Path(config.directory) / FILE
    try:
        kept = msgspec.json.decode(read_private(path), type=Listening)
    except FileNotFoundError:
        kept = None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if kept is not None and kept.cluster == config.cluster:
        return kept
    names = [role.name.lower() for role in Role]
    return Listening(
        config.cluster, {name: endpoint(ip) for name in names}, new_pair(), {name: new_pair() for name in names}
    )


def keep(config: ClusterConfig, found: Listening, bound: dict[Role, str]) -> None:
    """Write down where the sockets were bound, for the next hub of this run."""
    addresses = {role.name.lower(): address for role, address in bound.items()}
    if addresses != found.addresses:
        kept = msgspec.structs.replace(found, addresses=addresses)
        write_private(Path(config.directory) / FILE, msgspec.json.encode(kept))
