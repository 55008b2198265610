"""Reaching a node by OpenSSH."""

from __future__ import annotations

from pathlib import Path

from kutti_sdk import Cluster, Node
from kutti_sdk.core.ssh import parse_address


async def options_for(cluster: Cluster, node: Node, folder: str) -> list[str]:
    """Give the options with which ssh reaches a node and checks its host key.

    Args:
        cluster: The node's cluster.
        node: The node.
        folder: Where a file of known hosts may be written.

    Returns:
        Options; the host's name to give is ``host``.
    """
    driver = cluster.spec.find_driver()
    host = await driver.get_host(node.name, cluster.name, cluster.name)
    credentials = await host.ssh_credentials()
    address, port = parse_address(await host.ssh_address())
    known = Path(folder) / f"known-{node.name}"
    known.write_text(f"host {credentials.host_key}\n")
    return [
        *("-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
        *("-o", f"HostName={address}", "-o", "HostKeyAlias=host", "-p", str(port)),
        *("-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"),
        *("-i", str(credentials.private_key)),
    ]
