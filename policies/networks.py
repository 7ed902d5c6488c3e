"""Networks compared as networks, however a list of CIDRs cuts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

EVERYWHERE: Network = ip_network("0.0.0.0/0")

# What no address on the internet is in: RFC 1918, 6598, 1122, 3927, 4193, 4291.
_PRIVATE = tuple(
    ip_network(each)
    for each in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
        *("169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"),
    )
)
# More public addresses than these are the internet, not somebody's networks: an IPv4 /8, the
# largest that an organization holds, and an IPv6 /16.
_LARGEST = {4: 2**24, 6: 2**112}


def network_of(cidr: Any) -> Network | None:
    """A CIDR as a network; None if it is none."""
    try:
        return ip_network(str(cidr), strict=False)
    except ValueError:
        return None


def internet_in(cidrs: Iterable[Any]) -> tuple[str, ...]:
    """Those CIDRs that together let the internet in; none if they are somebody's networks.

    What can't be read counts as the internet.
    """
    texts = [str(each) for each in cidrs]
    networks = {text: network_of(text) for text in texts}
    wide = [text for text, network in networks.items() if network is None]
    for version, largest in _LARGEST.items():
        own = {
            text: network
            for text, network in networks.items()
            if network is not None and network.version == version
        }
        if sum(map(_public_addresses, _collapsed(own.values()))) > largest:
            wide += [text for text, network in own.items() if _public_addresses(network)]
    return tuple(wide)


def is_public(network: Network) -> bool:
    """Whether it has no private address in it."""
    return not any(_overlap(network, private) for private in _PRIVATE)


def within(network: Network, cidrs: Iterable[Any]) -> bool:
    """Whether it is part of one of the networks."""
    return any(_is_part(network, whole) for whole in map(network_of, cidrs) if whole)


def without(network: Network, cidrs: Iterable[Any]) -> list[Network]:
    """What is left of it without other networks."""
    left = [network]
    for gone in map(network_of, cidrs):
        left = [piece for each in left for piece in _less(each, gone)]
    return left


def _less(network: Network, gone: Network | None) -> Iterator[Network]:
    if gone is None or network.version != gone.version:
        yield network
    elif gone.subnet_of(network):  # type: ignore[arg-type]
        yield from network.address_exclude(gone)  # type: ignore[arg-type]
    elif not network.subnet_of(gone):  # type: ignore[arg-type]
        yield network


def _collapsed(networks: Iterable[Network]) -> Iterator[Network]:
    """The networks, all of one version, without overlaps."""
    return collapse_addresses(networks)  # type: ignore[type-var]


def _public_addresses(network: Network) -> int:
    if any(_is_part(network, private) for private in _PRIVATE):
        return 0
    inside = (each for each in _PRIVATE if _is_part(each, network))
    return int(network.num_addresses) - sum(each.num_addresses for each in inside)


def _is_part(part: Network, whole: Network) -> bool:
    return part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
