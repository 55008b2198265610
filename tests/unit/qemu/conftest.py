"""Records of a network and a host, without any virtual machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.core.host import HostSize
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord


@pytest.fixture
def network(workspace: Path) -> NetworkRecord:
    return NetworkRecord(name="lab", cidr="10.20.30.0/24", id="0badcafe")


@pytest.fixture
def host(network: NetworkRecord) -> HostRecord:
    return HostRecord(
        name="node1",
        networkname=network.name,
        clustername="lab",
        k8s_version="none",
        image="a" * 64,
        uuid="12345678-1234-4234-8234-123456789abc",
        mac="52:54:0a:14:1e:0b",
        address="10.20.30.11",
        size=HostSize(),
        ssh_user="root",
        host_key="ssh-ed25519 AAAA",
    )
