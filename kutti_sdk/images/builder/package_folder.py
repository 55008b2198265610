"""Kubernetes packages from a folder of .deb files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder.kubernetes_packages import (
    BinaryPackage,
    KubernetesPackages,
    choose_packages,
    parse_control,
)
from kutti_sdk.images.checksums import checksum_of


async def packages_in_folder(folder: Path, wanted: K8sVersion) -> KubernetesPackages:
    """Choose the Kubernetes packages of a folder, and read every .deb in it to its end.

    What else is in the folder is there for what the packages depend on.

    Args:
        folder: The folder.
        wanted: The Kubernetes version that was asked for.

    Returns:
        The packages; apt reads them from an index that is made here.

    Raises:
        ImageBuildError: When the folder or a package in it cannot be read, or the
            packages that a node needs are not there.
    """
    paths = await anyio.to_thread.run_sync(_deb_files, folder)
    files: dict[str, Path | bytes] = {}
    offered: list[BinaryPackage] = []
    stanzas: list[str] = []
    for number, path in enumerate(paths):
        control = (await _dpkg_deb("--field", path)).decode(errors="replace").strip()
        await _dpkg_deb("--fsys-tarfile", path, keep=False)
        sha256 = await checksum_of(path)
        offered.append(parse_control(control, sha256=sha256, origin=path.name))
        name = f"{number:04d}.deb"  # never a name that apt would have to escape
        files[name] = path
        size = (await anyio.Path(path).stat()).st_size
        stanzas.append(f"{control}\nFilename: ./{name}\nSize: {size}\nSHA256: {sha256}\n")
    chosen = await anyio.to_thread.run_sync(
        lambda: choose_packages(wanted, offered, place=str(folder))
    )
    kubeadm = chosen[0]
    files["Packages"] = "\n".join(stanzas).encode()
    return KubernetesPackages(
        version=str(kubeadm.upstream_version),
        packages=chosen,
        # Trusted: whoever may choose the folder chooses what is installed.
        source="deb [trusted=yes] copy:{folder} ./",
        files=files,
        kubeadm=next(name for name, path in files.items() if path == folder / kubeadm.origin),
    )


def _deb_files(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".deb")
    except OSError as error:
        raise ImageBuildError(
            f"the folder of packages {folder} cannot be read: {error.strerror}"
        ) from error
    if not paths:
        raise ImageBuildError(
            f"{folder} has no .deb files",
            hint="Put the packages of Kubernetes there: kubeadm_1.34.2-1.1_amd64.deb and so on.",
        )
    return paths


async def _dpkg_deb(action: str, path: Path, *, keep: bool = True) -> bytes:
    done = await anyio.run_process(
        ["dpkg-deb", action, str(path)],
        stdout=subprocess.PIPE if keep else subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise ImageBuildError(
            f"{path} is not a readable Debian package: {reason[-1] if reason else 'no reason'}",
            hint="Get the file again.",
        )
    return done.stdout or b""
