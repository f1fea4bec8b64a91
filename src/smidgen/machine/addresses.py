"""Whether an address leads to this machine."""

from __future__ import annotations

import ipaddress


def on_this_machine(host: str) -> bool:
    """Whether a host is this machine, by its address alone: no name is looked up but `localhost`, which RFC 6761 reserves for it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
