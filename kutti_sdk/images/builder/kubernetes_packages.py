"""Which packages make a Kubernetes node, and which versions of them are taken.

They come from a folder (`package_folder`) or from a repository
(`package_repository`). Both are asked before a build starts, so that what does
not fit is told at once and not after minutes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from functools import cmp_to_key
from pathlib import Path

from kutti_sdk.core.errors import ImageBuildError, InvalidVersionError
from kutti_sdk.core.versions import K8sVersion

DEBIAN_ARCHITECTURE = "amd64"
"""What Debian calls the only architecture that images are built for."""

_SAME_VERSION = ("kubeadm", "kubelet", "kubectl")
_COMPANIONS = ("cri-tools", "kubernetes-cni")


@dataclass(frozen=True, slots=True)
class BinaryPackage:
    """A package on offer; deb-control(5).

    Attributes:
        name: Its name.
        version: Its Debian version: ``1.34.2-1.1``.
        architecture: ``amd64``, ``all`` or another.
        sha256: Checksum of its file.
        origin: The file, as people know it.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    origin: str

    @property
    def upstream_version(self) -> K8sVersion | None:
        """The Kubernetes version in it, or None when it is not versioned like Kubernetes."""
        text = self.version.rpartition(":")[2].partition("-")[0].replace("~", "-")
        try:
            return K8sVersion.parse(text)
        except InvalidVersionError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPackages:
    """The packages that were chosen, and how apt gets them.

    Attributes:
        version: The Kubernetes version, with its patch number.
        packages: The packages.
        source: Type, options and address for apt's list of sources, with
            ``{folder}`` for the folder that has `files`; sources.list(5).
        files: Files that the build's scratch folder must have, by name: a file of
            the caller's or its bytes.
        kubeadm: Which of `files` is the package kubeadm, where it is there.
    """

    version: str
    packages: tuple[BinaryPackage, ...]
    source: str
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    kubeadm: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What to install, as ``name=version``, so that nothing else is taken."""
        return tuple(f"{package.name}={package.version}" for package in self.packages)

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of the packages' files, by their canonical names."""
        return {
            f"{package.name}_{package.version}_{package.architecture}.deb": package.sha256
            for package in self.packages
        }


def parse_control(text: str, *, sha256: str | None = None, origin: str = "") -> BinaryPackage:
    """Read a package's control fields, or its stanza in a repository's index.

    Args:
        text: The fields.
        sha256: Checksum of its file; None to take it from the fields.
        origin: The file; empty to take it from the fields.

    Returns:
        The package.

    Raises:
        ImageBuildError: When a field is missing.
    """
    fields = HeaderParser().parsestr(text)
    try:
        return BinaryPackage(
            name=_field(fields["Package"]),
            version=_field(fields["Version"]),
            architecture=_field(fields["Architecture"]),
            sha256=sha256 or _field(fields["SHA256"]),
            origin=origin or _field(fields["Filename"]),
        )
    except ValueError:
        raise ImageBuildError(
            f"{origin or 'the index of the repository'} lacks a field that every package has"
        ) from None


def choose_packages(
    wanted: K8sVersion, offered: Iterable[BinaryPackage], *, place: str
) -> tuple[BinaryPackage, ...]:
    """Choose the newest packages of a Kubernetes version that fit together.

    Compares versions by dpkg, many times: call it in a thread.

    Args:
        wanted: The Kubernetes version that was asked for.
        offered: What there is.
        place: Where it is, for people.

    Returns:
        One package of each name that a node needs; kubeadm is the first.

    Raises:
        ImageBuildError: When a package is missing, or there only for another version
            or architecture, or twice.
    """
    by_name: dict[str, list[BinaryPackage]] = {}
    for package in offered:
        by_name.setdefault(package.name, []).append(package)
    usable = {name: _usable(name, by_name.get(name, []), place) for name in _SAME_VERSION}
    fitting = [
        package
        for package in usable["kubeadm"]
        if package.upstream_version is not None and wanted.accepts(package.upstream_version)
    ]
    if not fitting:
        raise ImageBuildError(
            f"{place} has kubeadm {_versions(usable['kubeadm'])}, and {wanted} is wanted",
            hint="Ask for the version that is there, or use the packages of that version.",
        )
    kubeadm = _newest(fitting)
    chosen = [kubeadm]
    for name in _SAME_VERSION[1:]:
        same = [
            package
            for package in usable[name]
            if package.upstream_version == kubeadm.upstream_version
        ]
        if not same:
            raise ImageBuildError(
                f"{place} has kubeadm {kubeadm.version}, but {name} {_versions(usable[name])}",
                hint="kubeadm, kubelet and kubectl must be of one version.",
            )
        chosen.append(_newest(same))
    chosen += [_newest(_usable(name, by_name.get(name, []), place)) for name in _COMPANIONS]
    return tuple(chosen)


def _field(value: str | None) -> str:
    if not value or len(value.split()) != 1:
        raise ValueError(value)
    return value


def _usable(name: str, packages: list[BinaryPackage], place: str) -> list[BinaryPackage]:
    if not packages:
        raise ImageBuildError(
            f"{place} has no package {name}",
            hint=f"A node needs {', '.join((*_SAME_VERSION, *_COMPANIONS))}.",
        )
    usable = [one for one in packages if one.architecture in (DEBIAN_ARCHITECTURE, "all")]
    if not usable:
        others = ", ".join(sorted({one.architecture for one in packages}))
        raise ImageBuildError(
            f"{place} has {name} for {others} only",
            hint=f"Images are built for {DEBIAN_ARCHITECTURE}.",
        )
    return usable


def _newest(packages: list[BinaryPackage]) -> BinaryPackage:
    newest = max(packages, key=cmp_to_key(_compare))
    for other in packages:
        if other.version == newest.version and other.sha256 != newest.sha256:
            raise ImageBuildError(
                f"{other.origin} and {newest.origin} are both {newest.name} {newest.version}, "
                f"and they differ",
                hint="Remove one of them.",
            )
    return newest


def _compare(left: BinaryPackage, right: BinaryPackage) -> int:
    for relation, result in (("lt", -1), ("gt", 1)):
        command = ["dpkg", "--compare-versions", left.version, relation, right.version]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return result
    return 0


def _versions(packages: list[BinaryPackage]) -> str:
    return ", ".join(sorted({package.version for package in packages}))
