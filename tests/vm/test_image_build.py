"""The node image that the builder really made, and a build that is called off."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.builder import NodeImageRecipe, build_node_image
from kutti_sdk.images.checksums import verify
from kutti_sdk.images.store import LocalImage, local_images

pytestmark = pytest.mark.anyio

PVH_ENTRY_NOTE = struct.pack("<I4s", 18, b"Xen\0")  # XEN_ELFNOTE_PHYS32_ENTRY


@pytest.fixture
def image(vm_workspace: Path, node_image: str) -> LocalImage:
    """The image in the store."""
    found = anyio.run(local_images)
    return next(one for one in found if one.manifest.k8s_version == node_image)


@pytest.fixture
def root_disk(image: LocalImage, tmp_path: Path) -> Path:
    """The image's file system."""
    raw = tmp_path / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image.disk, raw], check=True)
    return raw


def debugfs(disk: Path, command: str) -> str:
    program = shutil.which("debugfs", path="/usr/sbin:/sbin:/usr/bin")
    assert program is not None
    done = subprocess.run([program, "-R", command, disk], capture_output=True, check=True)
    return done.stdout.decode()


async def test_every_file_is_the_one_in_the_manifest(image: LocalImage) -> None:
    for file in image.manifest.files:
        await verify(image.folder / file.name, file.sha256)


async def test_the_kernel_starts_without_a_boot_loader(image: LocalImage) -> None:
    assert image.kernel is not None
    kernel = image.kernel.read_bytes()
    assert kernel.startswith(b"\x7fELF")
    assert PVH_ENTRY_NOTE in kernel


async def test_the_manifest_tells_what_is_inside(image: LocalImage) -> None:
    packages = image.manifest.packages
    assert {"containerd", "openssh-server", "systemd", "qemu-guest-agent"} <= set(packages)
    assert image.manifest.credentials
    assert image.manifest.ssh_user == "root"


async def test_no_identity_and_no_password_is_in_the_image(root_disk: Path) -> None:
    assert "ssh_host" not in debugfs(root_disk, "ls -p /etc/ssh")
    assert "machine-id" in debugfs(root_disk, "ls -p /etc")
    assert debugfs(root_disk, "cat /etc/machine-id") == ""
    accounts = [line.split(":") for line in debugfs(root_disk, "cat /etc/shadow").splitlines()]
    assert "root" in {name for name, *_ in accounts}
    assert {password for _, password, *_ in accounts} <= {"*", "!", "!*"}


async def test_files_belong_to_who_the_packages_say(root_disk: Path) -> None:
    for path, owner in (("/etc/shadow", (0, 42)), ("/usr/bin/bash", (0, 0))):
        words = debugfs(root_disk, f"stat {path}").replace(":", ": ").split()
        found = (int(words[words.index("User:") + 1]), int(words[words.index("Group:") + 1]))
        assert found == owner


async def test_a_build_that_is_called_off_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(tempfile.mkdtemp(prefix="build-"))
    place.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    scope = anyio.CancelScope()

    def on_event(event: ProgressEvent) -> None:
        if event.message == "Unpacking the base packages":
            scope.cancel()

    try:
        with scope, observe(on_event):
            await build_node_image(NodeImageRecipe(), tmp_path / "image", log=tmp_path / "log")
        assert scope.cancelled_caught
        assert [path.name for path in tmp_path.iterdir()] == ["log"]
        assert list(place.iterdir()) == []
    finally:
        shutil.rmtree(place, ignore_errors=True)
