"""An address leads to this machine, or it does not: by itself, without asking a name server."""

from __future__ import annotations

from smidgen.machine.addresses import on_this_machine


def test_only_this_machine_s_own_addresses_lead_to_it() -> None:
    here = ["localhost", "127.0.0.1", "127.8.0.3", "::1"]
    elsewhere = ["0.0.0.0", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", "", "::ffff:10.0.0.1", "LOCALHOST"]
    assert [host for host in (*here, *elsewhere) if on_this_machine(host)] == here
