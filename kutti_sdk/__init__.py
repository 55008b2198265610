"""The public face of kutti_sdk: everything a user needs, each loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kutti_sdk.clusters import (
        Checkpoint,
        Cluster,
        ClusterRun,
        ClusterSpec,
        ClusterStatus,
        Node,
        NodeForward,
        NodeSpec,
        NodeStatus,
        Plan,
        attach,
        cluster,
        import_checkpoint,
        list_clusters,
    )
    from kutti_sdk.core.checkpoints import (
        CarriedCheckpoint,
        CheckpointDetails,
        CheckpointHost,
        SupportsCheckpointBundles,
        SupportsCheckpoints,
    )
    from kutti_sdk.core.driver import HostChange, VMDriver
    from kutti_sdk.core.errors import (
        CertificatesExpiredError,
        CheckpointExistsError,
        CheckpointMismatchError,
        CheckpointNotFoundError,
        CheckpointsUnsupportedError,
        ChecksumMismatchError,
        ClusterDriftError,
        ClusterExistsError,
        ClusterNotFoundError,
        CommandFailedError,
        CommandTimeoutError,
        ConflictError,
        CorruptStateError,
        DownloadError,
        DriverError,
        DriverNotFoundError,
        DriverUnavailableError,
        FileTransferError,
        HostExistsError,
        HostKeyMismatchError,
        HostNotFoundError,
        HostNotRunningError,
        HostRunningError,
        HypervisorError,
        ImageBuildError,
        ImageDeprecatedError,
        ImageError,
        ImageFormatError,
        ImageInUseError,
        ImageListError,
        ImageNotDownloadedError,
        ImageNotFoundError,
        InvalidCIDRError,
        InvalidInputError,
        InvalidNameError,
        InvalidPortError,
        InvalidSizeError,
        InvalidSpecError,
        InvalidVersionError,
        KubeadmError,
        KubernetesError,
        KubernetesStalledError,
        KuttiError,
        LockTimeoutError,
        NetworkExistsError,
        NetworkInUseError,
        NetworkNotFoundError,
        NotEnoughCPUsError,
        NotEnoughDiskError,
        NotEnoughMemoryError,
        NotFoundError,
        PortInUseError,
        PortNotForwardedError,
        ReadyTimeoutError,
        ResourceError,
        SSHAuthenticationError,
        SSHConnectionError,
        SSHError,
        StateChangeTimeoutError,
        StateError,
        SuspensionUnsupportedError,
        UnsafeImageError,
        WaitTimeoutError,
    )
    from kutti_sdk.core.events import ProgressEvent, observe, report
    from kutti_sdk.core.findings import Diagnosable, Finding, Severity
    from kutti_sdk.core.host import HostSize, HostUsage, VMHost
    from kutti_sdk.core.image import ImageCopy, ImageDetails, VMImage
    from kutti_sdk.core.network import VMNetwork
    from kutti_sdk.core.ports import PortForward
    from kutti_sdk.core.registry import for_each_driver, get_driver, list_drivers, register_driver
    from kutti_sdk.core.ssh import CommandResult, Output, RunningCommand, SSHClient, SSHCredentials
    from kutti_sdk.core.status import CopyStatus, DriverStatus, HostStatus, ImageStatus
    from kutti_sdk.core.suspension import SupportsSuspension
    from kutti_sdk.core.versions import K8sVersion
    from kutti_sdk.doctor import Diagnosis, diagnose
    from kutti_sdk.kubernetes.conditions import KubernetesStatus, NodeCondition, SystemPod
    from kutti_sdk.kubernetes.options import KubernetesOptions
    from kutti_sdk.runtime.directories import (
        cache_dir,
        config_dir,
        data_dir,
        runtime_dir,
        set_workspace,
    )
    from kutti_sdk.ssh.client import AsyncSSHClient
    from kutti_sdk.ssh.fanout import FanOut
    from kutti_sdk.views import Timeline, timeline

    __version__: str

__all__ = [
    "AsyncSSHClient",
    "CarriedCheckpoint",
    "CertificatesExpiredError",
    "Checkpoint",
    "CheckpointDetails",
    "CheckpointExistsError",
    "CheckpointHost",
    "CheckpointMismatchError",
    "CheckpointNotFoundError",
    "CheckpointsUnsupportedError",
    "ChecksumMismatchError",
    "Cluster",
    "ClusterDriftError",
    "ClusterExistsError",
    "ClusterNotFoundError",
    "ClusterRun",
    "ClusterSpec",
    "ClusterStatus",
    "CommandFailedError",
    "CommandResult",
    "CommandTimeoutError",
    "ConflictError",
    "CopyStatus",
    "CorruptStateError",
    "Diagnosable",
    "Diagnosis",
    "DownloadError",
    "DriverError",
    "DriverNotFoundError",
    "DriverStatus",
    "DriverUnavailableError",
    "FanOut",
    "FileTransferError",
    "Finding",
    "HostChange",
    "HostExistsError",
    "HostKeyMismatchError",
    "HostNotFoundError",
    "HostNotRunningError",
    "HostRunningError",
    "HostSize",
    "HostStatus",
    "HostUsage",
    "HypervisorError",
    "ImageBuildError",
    "ImageCopy",
    "ImageDeprecatedError",
    "ImageDetails",
    "ImageError",
    "ImageFormatError",
    "ImageInUseError",
    "ImageListError",
    "ImageNotDownloadedError",
    "ImageNotFoundError",
    "ImageStatus",
    "InvalidCIDRError",
    "InvalidInputError",
    "InvalidNameError",
    "InvalidPortError",
    "InvalidSizeError",
    "InvalidSpecError",
    "InvalidVersionError",
    "K8sVersion",
    "KubeadmError",
    "KubernetesError",
    "KubernetesOptions",
    "KubernetesStalledError",
    "KubernetesStatus",
    "KuttiError",
    "LockTimeoutError",
    "NetworkExistsError",
    "NetworkInUseError",
    "NetworkNotFoundError",
    "Node",
    "NodeCondition",
    "NodeForward",
    "NodeSpec",
    "NodeStatus",
    "NotEnoughCPUsError",
    "NotEnoughDiskError",
    "NotEnoughMemoryError",
    "NotFoundError",
    "Output",
    "Plan",
    "PortForward",
    "PortInUseError",
    "PortNotForwardedError",
    "ProgressEvent",
    "ReadyTimeoutError",
    "ResourceError",
    "RunningCommand",
    "SSHAuthenticationError",
    "SSHClient",
    "SSHConnectionError",
    "SSHCredentials",
    "SSHError",
    "Severity",
    "StateChangeTimeoutError",
    "StateError",
    "SupportsCheckpointBundles",
    "SupportsCheckpoints",
    "SupportsSuspension",
    "SuspensionUnsupportedError",
    "SystemPod",
    "Timeline",
    "UnsafeImageError",
    "VMDriver",
    "VMHost",
    "VMImage",
    "VMNetwork",
    "WaitTimeoutError",
    "__version__",
    "attach",
    "cache_dir",
    "cluster",
    "config_dir",
    "data_dir",
    "diagnose",
    "for_each_driver",
    "get_driver",
    "import_checkpoint",
    "list_clusters",
    "list_drivers",
    "observe",
    "register_driver",
    "report",
    "runtime_dir",
    "set_workspace",
    "timeline",
]

_HOMES = {
    "clusters": (
        "Checkpoint",
        "Cluster",
        "ClusterRun",
        "ClusterSpec",
        "ClusterStatus",
        "Node",
        "NodeForward",
        "NodeSpec",
        "NodeStatus",
        "Plan",
        "attach",
        "cluster",
        "import_checkpoint",
        "list_clusters",
    ),
    "core.checkpoints": (
        "CarriedCheckpoint",
        "CheckpointDetails",
        "CheckpointHost",
        "SupportsCheckpointBundles",
        "SupportsCheckpoints",
    ),
    "core.driver": ("HostChange", "VMDriver"),
    "core.events": ("ProgressEvent", "observe", "report"),
    "core.findings": ("Diagnosable", "Finding", "Severity"),
    "core.host": ("HostSize", "HostUsage", "VMHost"),
    "core.image": ("ImageCopy", "ImageDetails", "VMImage"),
    "core.network": ("VMNetwork",),
    "core.ports": ("PortForward",),
    "core.registry": ("for_each_driver", "get_driver", "list_drivers", "register_driver"),
    "core.ssh": ("CommandResult", "Output", "RunningCommand", "SSHClient", "SSHCredentials"),
    "core.status": ("CopyStatus", "DriverStatus", "HostStatus", "ImageStatus"),
    "core.suspension": ("SupportsSuspension",),
    "core.versions": ("K8sVersion",),
    "doctor": ("Diagnosis", "diagnose"),
    "kubernetes.conditions": ("KubernetesStatus", "NodeCondition", "SystemPod"),
    "kubernetes.options": ("KubernetesOptions",),
    "runtime.directories": ("cache_dir", "config_dir", "data_dir", "runtime_dir", "set_workspace"),
    "ssh.client": ("AsyncSSHClient",),
    "ssh.fanout": ("FanOut",),
    "views": ("Timeline", "timeline"),
}


if not TYPE_CHECKING:  # with it a type checker would believe in every name

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            value: object = version(__name__)
        elif name in __all__:
            from importlib import import_module

            value = getattr(import_module(f"{__name__}.{_home(name)}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # found without this function from now on
        return value


def __dir__() -> list[str]:
    return __all__


def _home(name: str) -> str:
    return next((home for home, names in _HOMES.items() if name in names), "core.errors")
