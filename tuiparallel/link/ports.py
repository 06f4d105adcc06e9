"""Where a hub listens on the network: ports that no outgoing connection takes, and the addresses behind '*'."""

from __future__ import annotations

import ipaddress
import random
import socket
from pathlib import Path

import psutil
import zmq

_LOWEST = 10_000
_TRIES = 200
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def endpoint(ip: str) -> str:
    """The endpoint of an IP address, or of all ('*', '0.0.0.0'), with a port that bind() chooses."""
    return f"tcp://[{ip}]:*" if ":" in ip else f"tcp://{ip}:*"


def bind(router: zmq.Socket[bytes], address: str) -> str:
    """Bind; a port of '*' becomes a random free one. Returns the endpoint with its port.

    The port is below those that the kernel gives to outgoing connections: while a hub is away, one of its peers that
    tries again could get the very port that it calls, connect to itself, and keep the hub from coming back.
    """
    if "[" in address:
        router.setsockopt(zmq.IPV6, 1)
    if not (address.startswith("tcp:") and address.endswith(":*")):
        router.bind(address)
        return address
    for _ in range(_TRIES):
        chosen = f"{address[:-1]}{random.randrange(_LOWEST, _highest())}"
        try:
            router.bind(chosen)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE:
                raise
            continue
        return chosen
    raise OSError(f"no free port for {address} among {_LOWEST} to {_highest()}")


def _highest() -> int:
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 32_768
    return first if first > _LOWEST + 1000 else 65_536


def opened(address: str) -> list[str]:
    """All endpoints that a bound one stands for: itself, or one per address of this machine, loopback last."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    if not address.startswith("tcp:") or host != "*" and not ipaddress.ip_address(host).is_unspecified:
        return [address]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = {
        ipaddress.ip_address(each.address)
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == family and "%" not in each.address  # link-local ones need a zone
    }
    ordered = sorted(found, key=lambda each: (each.is_loopback, int(each)))
    return [f"tcp://[{each}]:{port}" if each.version == 6 else f"tcp://{each}:{port}" for each in ordered] or [
        address
    ]


def opened_at(ip: str, address: str) -> list[str]:
    """The endpoints of a hub that listens at `ip` and tells its peers to connect to `address`."""
    port = address.rpartition(":")[2]
    return opened(f"{endpoint(ip)[:-1]}{port}")


def reachable(address: str) -> str:
    """The endpoint to connect to for a bound one: of '*' an address of this machine that others can reach too."""
    return opened(address)[0]
