from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.node_files import NodeFiles
from kutti_sdk.images.builder.root_filesystem import (
    format_date,
    read_installed_system,
    write_node_filesystem,
)

STATUS = """\
Package: containerd
Status: install ok installed
Version: 1.6.20~ds1-1
Description: a runtime
 of several lines

Package: gone
Status: deinstall ok config-files
Version: 1
"""
MODULES_DEP = """\
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko
"""  # noqa: E501
KERNEL = "usr/lib/modules/6.1.0"
INSTALLED = {
    "boot/vmlinuz-6.1.0": b"bzimage",
    "boot/config-6.1.0": b"CONFIG_X=y",
    "etc/hostname": b"build-machine",
    "etc/machine-id": b"0123456789abcdef",
    "etc/resolv.conf": b"nameserver 10.1.1.1",
    "etc/shadow": b"root:*:20000:0:99999:7:::\nsshd:!:20001::::::\n",
    "etc/shadow-": b"old",
    "etc/ssh/sshd_config": b"Include /etc/ssh/sshd_config.d/*.conf",
    "etc/ssh/ssh_host_ed25519_key": b"PRIVATE",
    "etc/ssh/ssh_host_rsa_key.pub": b"PUBLIC",
    "run/lock/something": b"",
    "tmp/something": b"",
    "usr/bin/busybox": b"\x7fELF",
    "usr/share/doc/containerd/copyright": b"Apache-2.0",
    f"{KERNEL}/modules.builtin": b"kernel/fs/ext4/ext4.ko\n",
    f"{KERNEL}/modules.dep": MODULES_DEP.encode(),
    f"{KERNEL}/kernel/drivers/virtio/virtio_ring.ko": b"ring",
    f"{KERNEL}/kernel/drivers/virtio/virtio.ko": b"virtio",
    f"{KERNEL}/kernel/drivers/block/virtio_blk.ko": b"blk",
    f"{KERNEL}/kernel/drivers/char/hw_random/virtio-rng.ko": b"rng",
    "var/lib/dpkg/status": STATUS.encode(),
    "var/log/dpkg.log": b"2025-01-01 installed",
}
NEWEST = 1_700_000_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A root file system as mmdebstrap packs it: all below `./`, folders first."""
    path = tmp_path / "packages.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        folders = {p.as_posix() for name in INSTALLED for p in Path(name).parents}
        for name in sorted({*folders, "dev"}):
            entry = tarfile.TarInfo("./" if name == "." else f"./{name}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in sorted(INSTALLED.items()):
            entry = tarfile.TarInfo(f"./{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o640, NEWEST + 5000
            if name.endswith("copyright"):
                entry.mtime = NEWEST
            if name == "usr/bin/busybox":
                entry.pax_headers = {
                    "SCHILY.xattr.security.capability": "\x01\x00",
                    "SCHILY.xattr.user.note": "x",
                }
            tar.addfile(entry, io.BytesIO(content))
        console = tarfile.TarInfo("./dev/console")
        console.type, console.devmajor, console.devminor = tarfile.CHRTYPE, 5, 1
        tar.addfile(console)
    return path


@pytest.fixture
def node(archive: Path, tmp_path: Path) -> dict[str, tarfile.TarInfo]:
    return members(written(archive, tmp_path))


def written(archive: Path, tmp_path: Path) -> Path:
    result = tmp_path / "root.tar"
    write_node_filesystem(archive, result, timestamp=NEWEST)
    return result


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        entries = tar.getmembers()
    assert len({entry.name for entry in entries}) == len(entries), "a path occurs twice"
    return {entry.name: entry for entry in entries}


def content(path: Path, name: str) -> bytes:
    with tarfile.open(path) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_what_is_needed_to_boot_is_found(archive: Path) -> None:
    system = read_installed_system(archive, ("virtio_blk", "virtio_rng", "ext4"))
    assert system.kernel == b"bzimage"
    assert system.busybox == b"\x7fELF"
    assert system.packages == {"containerd": "1.6.20~ds1-1"}
    assert system.newest == NEWEST


def test_modules_come_after_those_they_need_and_builtin_ones_not_at_all(archive: Path) -> None:
    modules = read_installed_system(archive, ("virtio_blk", "virtio_rng", "ext4")).modules
    assert list(modules) == ["virtio_ring.ko", "virtio.ko", "virtio_blk.ko", "virtio-rng.ko"]
    assert modules["virtio_blk.ko"] == b"blk"


def test_a_missing_module_is_told(archive: Path) -> None:
    with pytest.raises(ImageBuildError, match="floppy"):
        read_installed_system(archive, ("floppy",))


def test_nothing_of_the_build_or_of_one_machine_stays(node: dict[str, tarfile.TarInfo]) -> None:
    for name in (
        *("etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_rsa_key.pub", "etc/shadow-"),
        *("etc/hostname", "etc/resolv.conf", "run/lock/something", "tmp/something"),
        *("var/log/dpkg.log", "boot/vmlinuz-6.1.0", "dev/console"),
    ):
        assert name not in node
    assert node["etc/machine-id"].size == 0


def test_what_packages_installed_stays(node: dict[str, tarfile.TarInfo]) -> None:
    for name in ("boot/config-6.1.0", "etc/ssh/sshd_config", "usr/bin/busybox", "dev", "tmp"):
        assert name in node
    assert node["etc/ssh/sshd_config"].mode == 0o640


def test_root_can_log_in_by_key_only(archive: Path, tmp_path: Path) -> None:
    configuration = content(written(archive, tmp_path), "etc/ssh/sshd_config.d/10-node.conf")
    assert b"\nPermitRootLogin prohibit-password\n" in configuration
    assert b"\nPasswordAuthentication no\n" in configuration


def test_scripts_can_be_run_and_other_files_not(node: dict[str, tarfile.TarInfo]) -> None:
    assert node["usr/lib/kutti/write-resolv-conf"].mode == 0o755
    assert node["etc/hosts"].mode == 0o644


def test_units_are_enabled_and_masked_by_links(node: dict[str, tarfile.TarInfo]) -> None:
    wants = "etc/systemd/system/multi-user.target.wants"
    enabled = node[f"{wants}/systemd-networkd.service"]
    assert enabled.linkname == "/lib/systemd/system/systemd-networkd.service"
    own = node[f"{wants}/resolv-conf.path"].linkname
    assert own.removeprefix("/") in node
    assert node["etc/systemd/system/apt-daily.timer"].linkname == "/dev/null"


def test_files_and_links_can_be_added_and_replace_those_of_packages(
    archive: Path, tmp_path: Path
) -> None:
    extra = NodeFiles(files={"etc/ssh/sshd_config": b"other"}, links={"etc/x/link": "/target"})
    write_node_filesystem(archive, tmp_path / "root.tar", extra, timestamp=NEWEST)
    assert content(tmp_path / "root.tar", "etc/ssh/sshd_config") == b"other"
    assert members(tmp_path / "root.tar")["etc/x/link"].linkname == "/target"


def test_every_folder_comes_before_what_is_in_it(archive: Path, tmp_path: Path) -> None:
    seen = {"."}
    for name in members(written(archive, tmp_path)):
        assert Path(name).parent.as_posix() in seen, name
        seen.add(name)


def test_nothing_is_younger_than_the_time_stamp(node: dict[str, tarfile.TarInfo]) -> None:
    assert max(entry.mtime for entry in node.values()) == NEWEST


def test_the_day_of_the_build_is_not_in_the_password_file(archive: Path, tmp_path: Path) -> None:
    day = b"%d" % (NEWEST // 86400)
    assert content(written(archive, tmp_path), "etc/shadow") == (
        b"root:*:" + day + b":0:99999:7:::\nsshd:!:" + day + b"::::::\n"
    )


def test_capabilities_are_the_only_extended_attribute(node: dict[str, tarfile.TarInfo]) -> None:
    assert node["usr/bin/busybox"].pax_headers == {"SCHILY.xattr.security.capability": "\x01\x00"}


def test_the_same_packages_make_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    first = written(archive, tmp_path).read_bytes()
    assert written(archive, tmp_path).read_bytes() == first


def test_dates_are_iso_8601_in_utc() -> None:
    assert format_date(0) == "1970-01-01T00:00:00+00:00"
