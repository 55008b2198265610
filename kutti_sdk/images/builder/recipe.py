"""What a node image is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

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

KUBERNETES_REPOSITORY = "https://pkgs.k8s.io"
"""Where the Kubernetes project publishes its packages, for each minor version in
``core:/stable:/v1.34/deb/``: https://kubernetes.io/blog/2023/08/15/pkgs-k8s-io-introduction/"""

_KUBECTL_PACKAGES = {"bookworm": ("kubernetes-client",)}
"""Debian's kubectl, in the suites that have one, for images without Kubernetes."""

_SUITE = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}(=[A-Za-z0-9.+:~-]{1,99})?", re.ASCII)
_MIRROR = re.compile(r"(https?|file)://[^\s]+", re.ASCII)
_REPOSITORY = re.compile(r"https?://[^\s\[\]]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeImageRecipe:
    """What goes into a node image.

    Attributes:
        suite: Debian suite: ``bookworm`` or later.
        mirror: URL of a Debian mirror; None for the suite's own, with its security
            updates.
        packages: More Debian packages, as ``name`` or ``name=version``.
        k8s_version: Kubernetes version to install: ``1.34`` for its newest patch, or
            ``1.34.2``; ``none`` for an image with a container runtime only.
        kubernetes_repository: URL of a copy of the Kubernetes project's package
            repository; None for the project's own.
        kubernetes_key: File with the public key that the repository is signed
            with; None for the one that it offers over HTTPS.
        kubernetes_packages: Folder of .deb files to install Kubernetes from, in
            place of a repository.
        container_images: Folder of archives of container images (docker or OCI,
            packed or not) that the image shall hold.
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
    kubernetes_repository: str | None = None
    kubernetes_key: Path | None = None
    kubernetes_packages: Path | None = None
    container_images: Path | None = None
    disk_size: int = 4 * GiB
    source_date_epoch: int | None = None

    def __post_init__(self) -> None:
        K8sVersion.parse(self.k8s_version)
        self._check_kubernetes()
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
        """Every package of Debian to install, each once."""
        # Kubernetes' own packages bring another kubectl, at the same path.
        kubectl = () if self.has_kubernetes else _KUBECTL_PACKAGES.get(self.suite, ())
        return tuple(dict.fromkeys((*BASE_PACKAGES, *kubectl, *self.packages)))

    @property
    def has_kubernetes(self) -> bool:
        """Whether Kubernetes is to be installed."""
        return self.k8s_version != NO_KUBERNETES

    def _check_kubernetes(self) -> None:
        url, key, folder = (
            self.kubernetes_repository,
            self.kubernetes_key,
            self.kubernetes_packages,
        )
        if not self.has_kubernetes and (url, key, folder) != (None, None, None):
            raise InvalidSpecError(
                "there are Kubernetes packages to install, and no Kubernetes version",
                hint='Name the version, such as "1.34".',
            )
        if folder is not None and (url, key) != (None, None):
            raise InvalidSpecError(
                "Kubernetes comes from a repository or from a folder of packages, not from both",
                hint="Leave one of them out.",
            )
        if url is not None and _REPOSITORY.fullmatch(url) is None:
            raise InvalidSpecError(
                f"{url!r} is not the URL of a package repository",
                hint=f'Use a URL such as "{KUBERNETES_REPOSITORY}".',
            )
        if url is not None and key is None and not url.startswith("https://"):
            raise InvalidSpecError(
                f"nothing vouches for the key of {url}, which is not read over HTTPS",
                hint="Give the file of the key that the repository is signed with.",
            )
