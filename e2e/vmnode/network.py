"""The network of the cluster's containers on this machine, and a place in it for one more."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from harness.command import run

_FROM_THE_END = 10
"""Engines give addresses out from the beginning."""


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge of this machine, and an address of its network that no container has."""

    bridge: str
    gateway: ipaddress.IPv4Interface
    """This machine's own address in it."""

    @property
    def address(self) -> ipaddress.IPv4Interface:
        """Return the address for the virtual machine."""
        network = self.gateway.network
        free = network.broadcast_address - _FROM_THE_END
        return ipaddress.IPv4Interface(f"{free}/{network.prefixlen}")

    def netdev(self, directory: Path) -> str:
        """Return QEMU's -netdev: a tap device that lives as long as QEMU, put into the bridge."""
        script = directory / "attach"
        script.write_text(f'#!/bin/sh\nexec ip link set "$1" master {self.bridge} up\n')
        script.chmod(0o755)
        return f"tap,id=net,script={script},downscript=no"


def beside(address: str) -> Network:
    """Return the network that a container's address belongs to."""
    route = json.loads(run(["ip", "-json", "route", "get", address]))[0]
    device = json.loads(run(["ip", "-json", "-4", "address", "show", "dev", route["dev"]]))[0]
    for own in device["addr_info"]:
        gateway = ipaddress.IPv4Interface(f"{own['local']}/{own['prefixlen']}")
        if ipaddress.IPv4Address(address) in gateway.network:
            return Network(bridge=route["dev"], gateway=gateway)
    raise AssertionError(f"no network of this machine holds {address}")
