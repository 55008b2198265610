"""What can go wrong in a simulated world, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

Operation: TypeAlias = Literal[
    "check",
    "diagnose",
    "check_capacity",
    "list_networks",
    "create_network",
    "get_network",
    "delete_network",
    "list_hosts",
    "create_host",
    "get_host",
    "delete_host",
    "fetch_image_list",
    "list_images",
    "get_image",
    "save_checkpoint",
    "list_checkpoints",
    "restore_checkpoint",
    "clone_checkpoint",
    "delete_checkpoint",
    "suspend_cluster",
    "status",
    "start",
    "stop",
    "force_stop",
    "wait_for_state_change",
    "ssh_address",
    "ssh_credentials",
    "forward_port",
    "unforward_port",
    "forwards",
    "console",
    "usage",
    "fetch",
    "from_file",
    "export",
    "details",
    "purge_local",
    "wait_until_ready",
    "run_with_results",
    "stream",
    "put",
    "get",
]
"""The methods of drivers, hosts, images and SSH clients that faults can strike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an operation is about, or, with wildcards, which operations are meant.

    Attributes:
        host: Name of a host.
        cluster: Name of a cluster.
        network: Name of a network.
        image: Kubernetes version of an image.
    """

    host: str | None = None
    cluster: str | None = None
    network: str | None = None
    image: str | None = None

    def means(self, other: Subject) -> bool:
        """Tell whether this description fits a subject.

        Args:
            other: The subject of an operation.

        Returns:
            True when every part given here fits, with ``*`` and ``?`` as in file names.
        """
        return all(
            pattern is None or (text is not None and fnmatchcase(text, pattern))
            for pattern, text in (
                (self.host, other.host),
                (self.cluster, other.cluster),
                (self.network, other.network),
                (self.image, other.image),
            )
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """An operation that raises an error in place of doing anything.

    Attributes:
        error: The error; None for a `HypervisorError` about the subject.
    """

    error: Exception | None


@dataclass(frozen=True, slots=True)
class Delay:
    """An operation that takes longer.

    Attributes:
        seconds: Simulated seconds before it begins.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """An operation that does not come to an end by itself."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A host that dies by itself.

    Attributes:
        subject: Which host.
        after: Simulated seconds, from now or from its next start.
    """

    subject: Subject
    after: float


Effect: TypeAlias = Failure | Delay | Hang
