"""What a node image is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kutti_sdk.core.errors import InvalidSizeError, InvalidSpecError
from kutti_sdk.core.sizes import GiB, MiB, format_size
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion

ARCHITECTURE = "x86_64"
"""The only CPU architecture that images are built for."""

SMALLEST_DISK = 2 * GiB

BASE_PACKAGES = (
    # Boot: the kernel for virtual machines, and busybox for the initial RAM disk.
    "linux-image-cloud-amd64",
    "busybox-static",
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",  # logind needs it, and logind hears the power button
    "kmod",
    # Reached and driven from outside.
    "openssh-server",
    "qemu-guest-agent",
    # The network, and tools to look at it.
    "iproute2",
    "iputils-ping",
    "ethtool",
    "socat",
    "curl",
    "ca-certificates",
    "procps",
    # Containers, and what kubeadm asks for before it starts.
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "ebtables",
    "conntrack",
)
"""Debian packages in every node image."""

_KUBECTL_PACKAGES = {"bookworm": ("kubernetes-client",)}
"""Debian's kubectl, in the suites that have one."""

_SUITE = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}(=[A-Za-z0-9.+:~-]{1,99})?", re.ASCII)
_MIRROR = re.compile(r"(https?|file)://[^\s]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeImageRecipe:
    """What goes into a node image.

    Attributes:
        suite: Debian suite: ``bookworm`` or later.
        mirror: URL of a Debian mirror; None for the suite's own, with its security
            updates.
        packages: More Debian packages, as ``name`` or ``name=version``.
        k8s_version: Kubernetes version that the image is for; ``none`` for an image
            with a container runtime only.
        disk_size: Size of the root disk in bytes. A host with a larger disk grows
            the file system at its first boot.
        source_date_epoch: Time stamp of everything inside, in seconds since the
            epoch; None for the date of the newest package, so that the same
            packages make the same image.

    Raises:
        InvalidSpecError: When a suite, mirror or package name is none.
        InvalidSizeError: When the disk is too small.
        InvalidVersionError: When the Kubernetes version is none.
    """

    suite: str = "bookworm"
    mirror: str | None = None
    packages: tuple[str, ...] = ()
    k8s_version: str = NO_KUBERNETES
    disk_size: int = 4 * GiB
    source_date_epoch: int | None = None

    def __post_init__(self) -> None:
        K8sVersion.parse(self.k8s_version)
        if _SUITE.fullmatch(self.suite) is None:
            raise InvalidSpecError(
                f"{self.suite!r} is not a Debian suite", hint='Use a name such as "bookworm".'
            )
        if self.mirror is not None and _MIRROR.fullmatch(self.mirror) is None:
            raise InvalidSpecError(
                f"{self.mirror!r} is not the URL of a Debian mirror",
                hint='Use a URL that starts with "http://", "https://" or "file://".',
            )
        for package in self.packages:
            if _PACKAGE.fullmatch(package) is None:
                raise InvalidSpecError(
                    f"{package!r} is not a Debian package",
                    hint='Write it like "htop" or "htop=3.2.2-2".',
                )
        if self.disk_size < SMALLEST_DISK or self.disk_size % MiB:
            raise InvalidSizeError(
                f"a root disk cannot have {self.disk_size} bytes",
                hint=f"Use whole MiB, and at least {format_size(SMALLEST_DISK)}.",
            )

    @property
    def all_packages(self) -> tuple[str, ...]:
        """Every package to install, each once."""
        kubectl = _KUBECTL_PACKAGES.get(self.suite, ())
        return tuple(dict.fromkeys((*BASE_PACKAGES, *kubectl, *self.packages)))
