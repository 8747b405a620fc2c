"""Where a message may go that somebody else chose the address of: outside, over TLS, and nowhere near us.

Owns the reading of an address and the judgement of an IP address; names are resolved elsewhere, and every address that
comes of it is judged here before anything connects to it. What is not plainly public is refused, because the same bytes
can be written in many ways and the network inside trusts whoever is inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

LONGEST = 2_000
PORTS = (443, 8443)
_INSIDE = frozenset(
    ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "localdomain", "arpa")
)
"""Last labels of names that only a local network knows."""
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)+")
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_REFUSED = (
    # The platform's own server at Azure, that of Oracle's with its neighbours, and the relays of 6to4: public by number.
    *(ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24")),
    # Documentation, which older tables take for public.
    ip_network("3fff::/20"),
)
_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedTarget(ValueError):
    """The address cannot be a target; the text says why, for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address, taken apart. `host` is in lower case ASCII and without brackets; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header writes them."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.scheme == "https" else 80) else f"{name}:{self.port}"


def target_of(url: str, *, allow_private: bool = False) -> Target:
    """An address as a target. `allow_private` takes plain http, any port and any host, for tests.

    Error: `RefusedTarget` for what has another scheme or port, a user, a fragment, characters that readers of addresses
    disagree about, an address in an unusual form, or a host that is not outside.
    """
    if not 0 < len(url) <= LONGEST or not url.isprintable() or any(character in url for character in " \\"):
        raise RefusedTarget(f"an address has at most {LONGEST} printable characters, without blanks and backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedTarget("it cannot be read as an address") from error
    if parts.scheme not in (("https", "http") if allow_private else ("https",)):
        raise RefusedTarget("only https is taken")
    if "@" in parts.netloc or "%" in parts.netloc or parts.fragment or not f"{parts.path}{parts.query}".isascii():
        raise RefusedTarget("a user, a fragment, or what is not encoded in the path is not taken")
    port = (443 if parts.scheme == "https" else 80) if port is None else port
    if not allow_private and port not in PORTS:
        raise RefusedTarget(f"only the ports {', '.join(map(str, PORTS))} are taken")
    host = _host(parts.hostname or "")
    if not allow_private:
        _refuse_inside(host)
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host, port, (parts.path or "/") + query)


def is_public(address: str) -> bool:
    """Whether an IP address lies on the public internet, also where it carries another one inside."""
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        inner = _inside(found)
        if inner is not None:
            return is_public(str(inner))
        if found not in _PUBLIC_IPV6:
            return False
    refused = any(found in network for network in _REFUSED)
    return found.is_global and not found.is_multicast and not found.is_reserved and not refused


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _host(written: str) -> str:
    """The host in ASCII. Numbers in any form but the usual one are refused, since every reader takes them otherwise."""
    try:
        if ":" in written:
            return str(IPv6Address(written))
        # Wide and circled letters become ordinary ones here, so that the checks see what a resolver would.
        host = written.rstrip(".").encode("idna").decode().lower()
    except ValueError as error:
        raise RefusedTarget("the host is neither a name nor an address") from error
    if re.fullmatch(r"0x[0-9a-f]*|[0-9]+", host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise RefusedTarget("an IPv4 address has four decimal numbers") from error
    if host != "localhost" and not _NAME.fullmatch(host):
        raise RefusedTarget("the host is not a full name")
    return host


def _refuse_inside(host: str) -> None:
    if ":" in host or host.replace(".", "").isdigit():
        if not is_public(host):
            raise RefusedTarget("the address is not public")
    elif host.rpartition(".")[2] in _INSIDE:
        raise RefusedTarget("the name is one of a local network")
