"""The root file system on its way from the packages to the disk, as a tar archive.

Debian's packages install what every machine may need. A node image leaves out
what only one machine may have (host keys, machine id, logs), what boots
elsewhere, and what would slow the boot; it adds those of `node_files`.
"""

from __future__ import annotations

import datetime
import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.node_files import NO_FILES, NodeFiles, packaged_files

LEFT_OUT = re.compile(
    r"(boot/(vmlinuz|System\.map)-.*|(vmlinuz|initrd\.img)(\.old)?"  # booted from outside
    r"|etc/ssh/ssh_host_.*|etc/hostname|etc/resolv\.conf"  # each host has its own
    r"|etc/apt/sources\.list\.d/kubernetes\.list"  # upgrades of nodes are kubeadm's
    r"|etc/fstab|etc/modules-load\.d/modules\.conf"  # empty, and yet read at every boot
    r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)-|etc/\.pwd\.lock"
    r"|(dev|run|tmp|var/tmp|var/lib/apt/lists)/.*|var/cache/(apt|ldconfig)/.*"
    r"|var/lib/dpkg/[^/]*-old|var/cache/debconf/[^/]*-old)"
)
"""Paths that a node image does not have."""

_LOG_FILE = re.compile(r"var/log/.*")
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright")
_CAPABILITY = "SCHILY.xattr.security.capability"
_SECONDS_PER_DAY = 86400

_ENABLED = {
    "multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
    "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
}

_OWN_UNITS = ("grow-root.service", "resolv-conf.path")

_MASKED_UNITS = (
    # Jobs by the clock: thirty hosts must not wake at once to look for updates.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    # Nobody sits at the console, and nobody logs in by password.
    "getty.target",
    "serial-getty@ttyS0.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-user-sessions.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    # Hardware, disks and boot methods that such a host has not got.
    "cryptsetup.target",
    "integritysetup.target",
    "veritysetup.target",
    "kmod-static-nodes.service",
    "modprobe@drm.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pstore.service",
    "systemd-repart.service",
    "systemd-initctl.socket",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
)

_MASKED_GENERATORS = (
    "systemd-cryptsetup-generator",
    "systemd-getty-generator",
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-integritysetup-generator",
    "systemd-rc-local-generator",
    "systemd-ssh-generator",
    "systemd-sysv-generator",
    "systemd-system-update-generator",
    "systemd-veritysetup-generator",
)


@dataclass(frozen=True, slots=True)
class InstalledSystem:
    """What the builder needs to know of the installed packages.

    Attributes:
        kernel: The packaged kernel, a bzImage.
        busybox: The statically linked busybox.
        modules: Kernel modules by file name, in the order to load them.
        packages: Versions of the packages, by name.
        newest: Date of the newest package, in seconds since the epoch.
    """

    kernel: bytes
    busybox: bytes
    modules: dict[str, bytes]
    packages: dict[str, str]
    newest: int


def read_installed_system(archive: Path, modules: tuple[str, ...]) -> InstalledSystem:
    """Take out of the root file system what is needed to boot and to describe it.

    Reads for seconds: call it in a thread.

    Args:
        archive: The root file system as the packages made it.
        modules: Names of kernel modules to take, with what they depend on.

    Returns:
        What was found.

    Raises:
        ImageBuildError: When the packages did not bring a kernel or busybox.
    """
    with tarfile.open(archive) as source:
        members = {_path(member): member for member in source}

        def read(pattern: str) -> bytes:
            for path in sorted(members, reverse=True):
                if re.fullmatch(pattern, path) and (file := source.extractfile(members[path])):
                    return file.read()
            raise ImageBuildError(f"the packages of the suite brought no file {pattern}")

        root = r"usr/lib/modules/[^/]+/"
        builtin = {_module_name(line) for line in read(root + r"modules\.builtin").split()}
        found = {}
        for path in _module_order(read(root + r"modules\.dep").decode(), modules, builtin):
            found[path.rpartition("/")[2]] = read(root + re.escape(path))
        return InstalledSystem(
            kernel=read(r"boot/vmlinuz-.*"),
            busybox=read(r"usr/bin/busybox"),
            modules=found,
            packages=_package_versions(read(r"var/lib/dpkg/status").decode()),
            newest=max(
                int(member.mtime) for path, member in members.items() if _COPYRIGHT.fullmatch(path)
            ),
        )


def write_node_filesystem(
    archive: Path, result: Path, extra: NodeFiles = NO_FILES, *, timestamp: int
) -> None:
    """Make the root file system of a node image of that of the packages.

    Reads and writes for seconds: call it in a thread.

    Args:
        archive: The root file system as the packages made it.
        result: Where the archive is written.
        extra: What is added beside that which every node has.
        timestamp: Nothing inside is younger, in seconds since the epoch.
    """
    added = {member.name: (member, content) for member, content in _additions(extra, timestamp)}
    with (
        tarfile.open(archive) as source,
        tarfile.open(result, "w", format=tarfile.PAX_FORMAT) as to,
    ):
        present = set()
        for member in source:
            path = _path(member)
            if path in added or LEFT_OUT.fullmatch(path):
                continue
            if _LOG_FILE.fullmatch(path) and not member.isdir():
                continue
            present.add(path)
            content = source.extractfile(member) if member.isreg() else None
            if path == "etc/shadow" and content is not None:
                content = _shadow_of_the_day(content.read(), member, timestamp)
            member.name = path
            member.mtime = min(int(member.mtime), timestamp)
            member.pax_headers = {
                key: value for key, value in member.pax_headers.items() if key == _CAPABILITY
            }
            to.addfile(member, content)
        for path, (member, text) in sorted(added.items()):
            for folder in reversed(Path(path).parents):
                if folder.as_posix() not in present:
                    present.add(folder.as_posix())
                    to.addfile(_entry(folder.as_posix(), tarfile.DIRTYPE, 0o755, timestamp))
            to.addfile(member, io.BytesIO(text))


def _additions(extra: NodeFiles, timestamp: int) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for path, content in (packaged_files("node_root") | extra.files).items():
        entry = _entry(path, tarfile.REGTYPE, 0o755 if content[:2] == b"#!" else 0o644, timestamp)
        entry.size = len(content)
        yield entry, content
    units = "etc/systemd/system"
    links = {f"{units}/{link}": f"/lib/systemd/system/{unit}" for link, unit in _ENABLED.items()}
    for unit in _OWN_UNITS:
        links[f"{units}/multi-user.target.wants/{unit}"] = f"/{units}/{unit}"
    links |= {f"{units}/{unit}": "/dev/null" for unit in _MASKED_UNITS}
    links |= {f"etc/systemd/system-generators/{name}": "/dev/null" for name in _MASKED_GENERATORS}
    for path, target in (links | extra.links).items():
        entry = _entry(path, tarfile.SYMTYPE, 0o777, timestamp)
        entry.linkname = target
        yield entry, b""
    # systemd.unit(5), ConditionNeedsUpdate=: /usr is not newer than what was made from it.
    for path in ("etc/.updated", "var/.updated"):
        yield _entry(path, tarfile.REGTYPE, 0o644, timestamp), b""


def _entry(path: str, kind: bytes, mode: int, timestamp: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.mtime = kind, mode, timestamp
    return entry


def _path(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./") or "."


def _shadow_of_the_day(shadow: bytes, member: tarfile.TarInfo, timestamp: int) -> io.BytesIO:
    # shadow(5): the third field is the day of the last password change, which
    # would be the day of the build.
    lines = [line.split(b":") for line in shadow.splitlines()]
    day = b"%d" % (timestamp // _SECONDS_PER_DAY)
    text = b"".join(b":".join([*line[:2], day, *line[3:]]) + b"\n" for line in lines)
    member.size = len(text)
    return io.BytesIO(text)


def _module_name(path: bytes | str) -> str:
    text = path.decode() if isinstance(path, bytes) else path
    return text.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def _module_order(dependencies: str, wanted: tuple[str, ...], builtin: set[str]) -> list[str]:
    """Order modules so that each comes after those it needs; modules.dep(5)."""
    needs = {}
    for line in dependencies.splitlines():
        path, _, needed = line.partition(":")
        needs[_module_name(path)] = (path, needed.split())
    order: list[str] = []

    def visit(name: str) -> None:
        if name in builtin:
            return
        if name not in needs:
            raise ImageBuildError(f"the kernel of the suite has no module {name}")
        path, needed = needs[name]
        for other in needed:
            visit(_module_name(other))
        if path not in order:
            order.append(path)

    for name in wanted:
        visit(name)
    return order


def _package_versions(status: str) -> dict[str, str]:
    stanzas = (HeaderParser().parsestr(text) for text in status.strip().split("\n\n"))
    return {
        stanza["Package"]: stanza["Version"]
        for stanza in stanzas
        if stanza["Status"] == "install ok installed"
    }


def format_date(timestamp: int) -> str:
    """Write a time stamp as a manifest has it.

    Args:
        timestamp: Seconds since the epoch.

    Returns:
        ISO 8601, UTC.
    """
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).isoformat()
