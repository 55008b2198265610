"""Small Debian packages, made by dpkg-deb, that look like those of Kubernetes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NAMES = ("kubeadm", "kubelet", "kubectl", "cri-tools", "kubernetes-cni")


def make_package(
    folder: Path, name: str, version: str = "1.34.2-1.1", *, architecture: str = "amd64"
) -> Path:
    """Make a package that installs one program."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place)
        tree.chmod(0o755)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            "Maintainer: Tests <tests@example.invalid>\nDescription: a test\n of two lines\n"
        )
        (tree / "usr" / "bin").mkdir(parents=True)
        (tree / "usr" / "bin" / name).write_text(f"#!/bin/sh\necho {name} {version}\n" * 500)
        path = folder / f"{name}_{version}_{architecture}.deb"
        command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(path)]
        subprocess.run(command, check=True, capture_output=True)
    return path


def make_packages(folder: Path, version: str = "1.34.2-1.1") -> dict[str, Path]:
    """Make all packages that a node needs."""
    return {name: make_package(folder, name, version) for name in NAMES}
