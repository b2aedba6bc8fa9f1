"""Network addresses that a tool may reach: public ones, resolved and checked in one step."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult

PORTS = frozenset({80, 443})

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Resolves a host name to addresses. Raises OSError or UnicodeError if there are none."""

# Public by registration but not by use: IPv6 ranges that embed IPv4, protocol assignments, a cloud's own services.
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "192.0.0.0/24", "168.63.129.16/32")
)


class AddressForbidden(Exception):  # noqa: N818  (a refusal, not a failure)
    """The address, or an address of the host name, must not be reached."""


def is_public(address: str) -> bool:
    """Return whether the address is reachable from the whole internet. Text that is not an address is not public."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not _is_special(parsed)


def _is_special(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or (isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None))
        or any(address in network for network in _NOT_PUBLIC if network.version == address.version)
    )


async def lookup(host: str, port: int) -> list[str]:
    """Resolve a host name with the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressRules:
    """Allows public addresses on the ports of the web, and the `trusted` endpoints (address, port)."""

    def __init__(self, trusted: Collection[tuple[str, int]] = ()) -> None:
        self._trusted = frozenset(trusted)

    def allows_port(self, port: int) -> bool:
        return port in PORTS or any(port == trusted for _, trusted in self._trusted)

    def allows(self, address: str, port: int) -> bool:
        return (address, port) in self._trusted or (port in PORTS and is_public(address))


class CheckedResolver(AbstractResolver):
    """Gives the connector allowed addresses only. It connects to these without resolving again."""

    def __init__(self, rules: AddressRules, find: Lookup = lookup) -> None:
        self._rules = rules
        self._find = find

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host name.

        Raises:
            Forbidden: one of them must not be reached.
            OSError: there are none.
        """
        del family
        addresses = await self._find(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        if not all(self._rules.allows(address, port) for address in addresses):
            raise AddressForbidden(host)
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=socket.IPPROTO_TCP, flags=flags)
