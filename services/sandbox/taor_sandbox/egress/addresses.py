"""Which addresses belong to the public internet, whatever disguise they come in."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
_SPECIAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
"""Protocols, tunnels (Teredo, 6to4) and examples; older Pythons take some of them for public (IANA's registries)."""
_METADATA = frozenset({IPv4Address("168.63.129.16")})
"""Public by its number, but Azure answers it on every machine; the others' metadata addresses are not public."""
_LAST_BITS = 0xFFFF_FFFF


def is_public(address: str) -> bool:
    """Whether a connection to this address leaves for the internet; False for what is no address."""
    try:
        bare = ip_address(unmapped(address))
    except ValueError:
        return False
    if isinstance(bare, IPv6Address) and bare not in _UNICAST:
        return False
    if any(bare in network for network in _SPECIAL):
        return False
    return bare.is_global and not bare.is_multicast and not bare.is_reserved and bare not in _METADATA


def unmapped(address: str) -> str:
    """The IPv4 address inside ::ffff:0:0/96 or 64:ff9b::/96, else the address itself; raises ValueError."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and (parsed.ipv4_mapped is not None or parsed in _NAT64):
        return str(IPv4Address(int(parsed) & _LAST_BITS))
    return address
