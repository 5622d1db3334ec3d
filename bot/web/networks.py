"""Whose network a request comes from: behind a proxy of ours, the one the proxy names (HOTLINE_TRUSTED_PROXIES)."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

PREFIX = 64  # bits of an IPv6 address that belong to one household or office (RFC 6177)


def network_of(request: Request) -> str:
    """The caller's network: an IPv4 address, or an IPv6 address without the part each device chooses for itself."""
    told = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(told)
    except ValueError:  # a socket of this machine
        return told
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, PREFIX), strict=False))
