"""Every error that kutti_sdk raises on purpose.

```
KuttiError
├── InvalidInputError (ValueError)      refused before anything was touched
│   ├── InvalidNameError                not an RFC 1123 label of at most 32 characters
│   ├── InvalidVersionError             not a Kubernetes version
│   ├── InvalidSizeError                cpus, memory or disk that make no sense
│   ├── InvalidCIDRError                not a private IPv4 network of a usable size
│   ├── InvalidPortError                not a TCP port
│   └── InvalidSpecError                a cluster description that contradicts itself
├── NotFoundError (LookupError)
│   ├── DriverNotFoundError
│   ├── NetworkNotFoundError
│   ├── HostNotFoundError
│   ├── ImageNotFoundError
│   ├── ClusterNotFoundError
│   └── CheckpointNotFoundError
├── ConflictError                       the present state does not allow it
│   ├── NetworkExistsError
│   ├── NetworkInUseError
│   ├── HostExistsError
│   ├── HostRunningError
│   ├── HostNotRunningError
│   ├── ClusterExistsError
│   ├── ClusterDriftError               the cluster cannot become what the spec asks
│   ├── PortInUseError
│   ├── PortNotForwardedError
│   ├── ImageInUseError
│   ├── ImageDeprecatedError
│   ├── CheckpointExistsError
│   └── CheckpointMismatchError         saved under other conditions than those of now
├── ResourceError                       this machine has not got enough
│   ├── NotEnoughMemoryError
│   ├── NotEnoughCPUsError
│   └── NotEnoughDiskError
├── DriverError
│   ├── DriverUnavailableError          the driver cannot work on this machine (yet)
│   ├── CheckpointsUnsupportedError     the driver cannot save running clusters
│   ├── SuspensionUnsupportedError      the driver cannot suspend clusters
│   └── HypervisorError                 the hypervisor refused or failed
├── ImageError
│   ├── ImageNotDownloadedError
│   ├── ImageFormatError                damaged, or of a kind that cannot be used
│   ├── UnsafeImageError                would read files from outside
│   ├── ChecksumMismatchError
│   ├── ImageListError
│   ├── DownloadError
│   └── ImageBuildError
├── SSHError
│   ├── SSHConnectionError
│   │   ├── HostKeyMismatchError        somebody else answers at that address
│   │   └── SSHAuthenticationError
│   ├── FileTransferError
│   └── CommandFailedError              only with check=True
├── KubernetesError                     Kubernetes on a node refused or failed
│   ├── KubeadmError                    kubeadm ended with an error
│   ├── KubernetesStalledError (WaitTimeoutError)
│   └── CertificatesExpiredError        after a long stop; renew them
├── StateError
│   ├── CorruptStateError               kept aside, never overwritten
│   └── LockTimeoutError (TimeoutError)
└── WaitTimeoutError (TimeoutError)
    ├── StateChangeTimeoutError         the status did not change in time
    ├── ReadyTimeoutError               the host started but cannot be reached
    └── CommandTimeoutError
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kutti_sdk.core.plain_text import plain_text
from kutti_sdk.core.root_error import KuttiError as KuttiError  # noqa: PLC0414 - part of the tree

if TYPE_CHECKING:
    from kutti_sdk.core.ssh import CommandResult


class InvalidInputError(KuttiError, ValueError):
    """An argument was refused before anything was touched."""


class InvalidNameError(InvalidInputError):
    """A name is not an RFC 1123 label of at most 32 characters."""


class InvalidVersionError(InvalidInputError):
    """A text is not a Kubernetes version."""


class InvalidSizeError(InvalidInputError):
    """A number of CPUs or a size of memory or disk makes no sense."""


class InvalidCIDRError(InvalidInputError):
    """A network is not private IPv4, or too small or too large."""


class InvalidPortError(InvalidInputError):
    """A number is not a TCP port, or an address to bind to is not one of this machine."""


class InvalidSpecError(InvalidInputError):
    """A cluster description contradicts itself."""


class NotFoundError(KuttiError, LookupError):
    """The thing asked for does not exist."""


class DriverNotFoundError(NotFoundError):
    """No driver of that name is registered."""


class NetworkNotFoundError(NotFoundError):
    """The driver has no network of that name."""


class HostNotFoundError(NotFoundError):
    """There is no host of that name in that network and cluster."""


class ImageNotFoundError(NotFoundError):
    """No image of that Kubernetes version is known."""


class ClusterNotFoundError(NotFoundError):
    """No cluster of that name is known."""


class CheckpointNotFoundError(NotFoundError):
    """The cluster has no checkpoint of that name."""


class ConflictError(KuttiError):
    """What exists does not allow what was asked."""


class NetworkExistsError(ConflictError):
    """A network of that name exists already."""


class NetworkInUseError(ConflictError):
    """A network that still has hosts was to be deleted."""


class HostExistsError(ConflictError):
    """A host of that name exists already in that network and cluster."""


class HostRunningError(ConflictError):
    """The host runs, and the operation needs it stopped."""


class HostNotRunningError(ConflictError):
    """The host does not run, and the operation needs it running."""


class ClusterExistsError(ConflictError):
    """A cluster of that name exists already."""


class ClusterDriftError(ConflictError):
    """A cluster exists that cannot become what the spec describes without losing data."""


class PortInUseError(ConflictError):
    """A port of this machine belongs to another forward or to a foreign program."""


class PortNotForwardedError(ConflictError):
    """The port of the host is not forwarded to this machine."""


class ImageInUseError(ConflictError):
    """An image that hosts still use was to be removed."""


class ImageDeprecatedError(ConflictError):
    """A deprecated image was asked for a new host."""


class CheckpointExistsError(ConflictError):
    """The cluster has a checkpoint of that name already."""


class CheckpointMismatchError(ConflictError):
    """A checkpoint was saved under conditions that are not those of now."""


class ResourceError(KuttiError):
    """This machine has not got enough of something."""


class NotEnoughMemoryError(ResourceError):
    """The hosts need more memory than this machine can give."""


class NotEnoughCPUsError(ResourceError):
    """A host asks for more CPUs than this machine has."""


class NotEnoughDiskError(ResourceError):
    """There is too little free disk space."""


class DriverError(KuttiError):
    """A driver could not do its work."""


class DriverUnavailableError(DriverError):
    """A driver cannot work on this machine as it is."""


class CheckpointsUnsupportedError(DriverError):
    """The driver cannot save running clusters."""


class SuspensionUnsupportedError(DriverError):
    """The driver cannot suspend clusters."""


class HypervisorError(DriverError):
    """The hypervisor refused a command or failed to run."""


class ImageError(KuttiError):
    """An image cannot be used."""


class ImageNotDownloadedError(ImageError):
    """The image is known, but its file is not on this machine."""


class ImageFormatError(ImageError):
    """An image file is damaged or of a kind that cannot be used."""


class UnsafeImageError(ImageError):
    """An image file would make the hypervisor read files outside of itself."""


class ChecksumMismatchError(ImageError):
    """The bytes of an image are not those that its checksum promises."""


class ImageListError(ImageError):
    """An image list could not be read."""


class DownloadError(ImageError):
    """An image could not be downloaded."""


class ImageBuildError(ImageError):
    """An image could not be built."""


class SSHError(KuttiError):
    """Something went wrong between this machine and a host's SSH server."""


class SSHConnectionError(SSHError):
    """No SSH connection could be made, or it was lost."""


class HostKeyMismatchError(SSHConnectionError):
    """The server at the address did not prove to be the host that was expected."""


class SSHAuthenticationError(SSHConnectionError):
    """The server took none of the keys or passwords offered."""


class FileTransferError(SSHError):
    """A file could not be copied to or from a host."""


class CommandFailedError(SSHError):
    """A command ended with a non-zero status and the caller asked to be told.

    Args:
        result: The whole result of the command.
        host: Name of the host that ran it.
    """

    def __init__(self, result: CommandResult, *, host: str | None = None) -> None:
        super().__init__(
            f"{result.command!r} ended with status {result.exit_status}"
            + (f" on {host}" if host else ""),
            hint=result.stderr.strip()[-2000:] or None,
            host=host,
        )
        self.result = result


class KubernetesError(KuttiError):
    """Kubernetes on a node refused or failed.

    Args:
        message: What went wrong, in one sentence.
        phase: What was going on, as in `ProgressEvent.phase`.
        log: The last lines of kubeadm, the kubelet and containers that ended.
        about: A hint, and names of what it is about, as for `KuttiError`.
    """

    def __init__(
        self, message: str, *, phase: str = "", log: str = "", **about: str | None
    ) -> None:
        super().__init__(message, **about)
        self.phase = phase
        self.log = log

    def __str__(self) -> str:
        """The message, the hint, and the log."""
        text = super().__str__()
        return f"{text}\nLast words on the node:\n{plain_text(self.log)}" if self.log else text


class KubeadmError(KubernetesError):
    """kubeadm ended with an error; what it wrote is the log."""


class CertificatesExpiredError(KubernetesError):
    """The certificates of a cluster ran out while it was stopped."""


class StateError(KuttiError):
    """What is stored about networks, hosts or clusters could not be used."""


class CorruptStateError(StateError):
    """A state file does not parse; it was left where it is."""


class LockTimeoutError(StateError, TimeoutError):
    """Another process kept a lock for too long."""


class WaitTimeoutError(KuttiError, TimeoutError):
    """Something did not happen in the time given."""


class StateChangeTimeoutError(WaitTimeoutError):
    """The status of a host did not change in the time given."""


class ReadyTimeoutError(WaitTimeoutError):
    """A host runs, but could not be reached in the time given.

    Args:
        message: What went wrong, in one sentence.
        phase: The phase that stalled.
        console: The last lines of the host's console.
        about: A hint, and names of what it is about, as for `KuttiError`.
    """

    def __init__(self, message: str, *, phase: str, console: str = "", **about: str | None) -> None:
        super().__init__(message, **about)
        self.phase = phase
        self.console = console

    def __str__(self) -> str:
        """The message, the hint, and the last lines of the console."""
        text = super().__str__()
        lines = plain_text(self.console)
        return f"{text}\nLast lines of the console:\n{lines}" if lines else text


class KubernetesStalledError(KubernetesError, WaitTimeoutError):
    """kubeadm or a node made no progress for too long; it goes on where it stands."""


class CommandTimeoutError(WaitTimeoutError):
    """A command did not end in the time given; it was terminated."""
