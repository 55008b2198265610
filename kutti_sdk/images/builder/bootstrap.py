"""Debian packages to a root file system, by mmdebstrap."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import anyio

from kutti_sdk.images.builder.kubernetes_packages import KubernetesPackages
from kutti_sdk.images.builder.namespace import UserNamespace
from kutti_sdk.images.builder.recipe import NodeImageRecipe
from kutti_sdk.images.builder.scratch_files import put_files

KUBERNETES_FOLDER = "kubernetes"
"""Where in the scratch folder the files are that the packages of Kubernetes come with."""

_SOURCES = "kubernetes.list"  # left out of the image: it names a folder of the build

_OPTIONS = (
    "--mode=unshare",
    "--format=tar",
    "--variant=minbase",
    "--verbose",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Apt::Install-Recommends "false"',
)

_LEFT_OUT_OF_PACKAGES = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/doc/*",
    # Twelve megabytes of names of hardware that no virtual machine has.
    "/lib/udev/hwdb.d/*",
    "/usr/lib/udev/hwdb.d/*",
    # The kernel boots with an initial RAM disk of ours.
    "/etc/kernel/postinst.d/initramfs-tools",
)

_STAGES = (
    ("I: running apt-get update", "Reading the package lists", 0.02),
    ("I: downloading packages", "Downloading the base packages", 0.05),
    ("I: extracting archives", "Unpacking the base packages", 0.15),
    ("I: installing essential packages", "Installing the base packages", 0.2),
    ("I: installing remaining packages", "Installing the other packages", 0.3),
    ("I: creating tarball", "Packing the root file system", 0.95),
)
_PACKAGES_FROM, _PACKAGES_TO = 0.3, 0.95
_PACKAGE_COUNT = re.compile(r"\d+ upgraded, (\d+) newly installed")
_PACKAGE_STEP = re.compile(r"(?:Get:\d+|Unpacking|Setting up) ")
_STEPS_PER_PACKAGE = 3


async def bootstrap(
    recipe: NodeImageRecipe,
    kubernetes: KubernetesPackages | None,
    namespace: UserNamespace,
    folder: Path,
    archive: Path,
    *,
    timestamp: int,
    on_progress: Callable[[str, float], None],
) -> None:
    """Install the packages of a recipe and pack the result.

    Args:
        recipe: What to install.
        kubernetes: The packages of Kubernetes, if any; their files are in
            `KUBERNETES_FOLDER` of the folder.
        namespace: Where to do it.
        folder: A folder that belongs to root of the namespace.
        archive: The tar archive to write.
        timestamp: The time that packages' scripts shall believe, in seconds since
            the epoch.
        on_progress: Called with a message and a fraction.

    Raises:
        ImageBuildError: When packages cannot be had or installed.
    """
    command = ["mmdebstrap", *_OPTIONS]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT_OF_PACKAGES]
    # Licences stay with what they are for.
    command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    names = recipe.all_packages
    if kubernetes is not None:
        names += kubernetes.names
        line = kubernetes.source.format(folder=folder / KUBERNETES_FOLDER)
        await put_files(namespace, folder, {_SOURCES: f"{line}\n".encode()})
        command += [f"--setup-hook=copy-in {_SOURCES} /etc/apt/sources.list.d"]
    command += [f"--include={','.join(names)}", recipe.suite, "-"]
    command += [recipe.mirror] if recipe.mirror else []
    async with await anyio.open_file(archive, "wb") as file:
        await namespace.run(
            *command,
            folder=folder,
            environment={"SOURCE_DATE_EPOCH": str(timestamp)},
            stdout=file.wrapped,
            on_line=BootstrapProgress(on_progress).feed,
        )


class BootstrapProgress:
    """Reads from mmdebstrap's output how far it got.

    Args:
        on_progress: Called with a message and a fraction whenever that changes.
    """

    def __init__(self, on_progress: Callable[[str, float], None]) -> None:
        self._on_progress = on_progress
        self._message, self._fraction = "", 0.0
        self._packages = self._steps = 0

    def feed(self, line: str) -> None:
        """Take a line of output.

        Args:
            line: Without its line feed.
        """
        for mark, message, fraction in _STAGES:
            if line.startswith(mark):
                self._message, self._fraction = message, fraction
                self._packages = self._steps = 0
                self._on_progress(message, fraction)
                return
        if self._fraction != _PACKAGES_FROM:
            return
        if counted := _PACKAGE_COUNT.match(line):
            self._packages = int(counted[1])
        elif self._packages and _PACKAGE_STEP.match(line):
            self._steps += 1
            share = min(1.0, self._steps / (self._packages * _STEPS_PER_PACKAGE))
            width = _PACKAGES_TO - _PACKAGES_FROM
            self._on_progress(self._message, _PACKAGES_FROM + share * width)
