"""SSH: commands, streams, shells and file copies on hosts, and the keys for them.

`AsyncSSHClient` is the face. Below it, `connections` keeps the connections on the
asyncio island, `sessions` and `commands` run over them, `transfer` copies files,
and only these load asyncssh, when they are first needed.
"""

from kutti_sdk.ssh.client import AsyncSSHClient
from kutti_sdk.ssh.fanout import FanOut
from kutti_sdk.ssh.keys import (
    HostKey,
    KeyPair,
    cluster_key_pair,
    delete_cluster_key_pair,
    generate_host_key,
)

__all__ = [
    "AsyncSSHClient",
    "FanOut",
    "HostKey",
    "KeyPair",
    "cluster_key_pair",
    "delete_cluster_key_pair",
    "generate_host_key",
]
