"""Every parser of data from outside, as a function of bytes.

A target ends, or raises an error that is documented for its parser and is caught here. Whatever
else it raises is a bug, and so is one that takes seconds or hundreds of megabytes for a small
input: `test_fuzz_corpus` and `run_fuzzers` watch over both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import suppress
from html.parser import HTMLParser
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx

from kutti_sdk.clusters.record import ClusterRecord
from kutti_sdk.core.errors import (
    CorruptStateError,
    HypervisorError,
    ImageFormatError,
    ImageListError,
    InvalidInputError,
    UnsafeImageError,
)
from kutti_sdk.drivers.qemu.console import read_console
from kutti_sdk.drivers.qemu.forwards import parse_forwards
from kutti_sdk.drivers.qemu.qmp import parse_message
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.switch.config import Lease, SwitchConfig, load
from kutti_sdk.drivers.qemu.switch.dhcp import DhcpMessage
from kutti_sdk.drivers.qemu.switch.dns import DnsQuery, answers
from kutti_sdk.drivers.qemu.switch.errors import ConfigError, PacketError
from kutti_sdk.drivers.qemu.switch.ethernet import ArpPacket
from kutti_sdk.drivers.qemu.switch.ipv4 import IPv4Packet, UdpDatagram, checksum
from kutti_sdk.drivers.qemu.switch.relay import Relay
from kutti_sdk.drivers.qemu.switch.services import Services
from kutti_sdk.images import qcow2, vdi, vmdk
from kutti_sdk.images.bundle.contents import judge as judge_bundle
from kutti_sdk.images.catalogue import parse_catalogue
from kutti_sdk.images.download.answers import Interrupted, RangeUnusable, Refused, judge
from kutti_sdk.images.download.partial import Origin
from kutti_sdk.images.file_kind import kind_of_bytes
from kutti_sdk.images.manifest import decode_manifest
from kutti_sdk.images.ova import open_ova
from kutti_sdk.images.ova.checksum_list import parse_checksums
from kutti_sdk.images.ova.descriptor import parse_descriptor
from kutti_sdk.images.serving.ranges import UnsatisfiableRangeError, parse_range
from kutti_sdk.kubernetes.conditions import parse_status
from kutti_sdk.kubernetes.kubeconfig import merged_kubeconfig, rewritten
from kutti_sdk.kubernetes.node_facts import parse_facts
from kutti_sdk.kubernetes.workers import parse_invitation
from kutti_sdk.runtime.state import load_now
from kutti_sdk.views.elements import element

Target = Callable[[bytes], None]

_BLOCK = 512
_REFUSED = (ImageFormatError, UnsafeImageError)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NEW = rewritten(
    " certificate-authority-data: QUJD\n client-certificate-data: QUJD\n client-key-data: QUJD\n",
    "kutti-lab",
    "https://127.0.0.1:1",
)


def image_list(data: bytes) -> None:
    with suppress(ImageListError):
        for entry in parse_catalogue(data).entries.values():
            assert entry.source_url.isprintable()


def image_manifest(data: bytes) -> None:
    with suppress(ImageFormatError):
        for file in decode_manifest(data).files:
            assert Path(file.name).name == file.name


def disk_header(data: bytes) -> None:
    for parse in (qcow2.parse_header, vdi.parse_header, vmdk.parse_header):
        with suppress(*_REFUSED):
            parse(data)
    with suppress(ImageFormatError):
        kind_of_bytes(data, "disk")


def ovf(data: bytes) -> None:
    with suppress(ImageFormatError):
        assert parse_descriptor(data).capacity > 0


def ova_manifest(data: bytes) -> None:
    with suppress(ImageFormatError):
        parse_checksums(data)


def ova(data: bytes) -> None:
    with suppress(*_REFUSED), _file(_with_tar_checksums(data)) as path:
        package = open_ova(path)
        assert package.disk.offset + package.disk.size <= len(data)


def bundle(data: bytes) -> None:
    with suppress(*_REFUSED):
        contents = judge_bundle(io.BytesIO(_with_tar_checksums(data)))
        assert sum(member.file.size for member in contents.members) <= len(data)


def qmp(data: bytes) -> None:
    with suppress(HypervisorError):
        assert isinstance(parse_message(data), dict)


def forwards(data: bytes) -> None:
    parse_forwards(data.decode(errors="replace"))


def packets(data: bytes) -> None:
    for kind in (ArpPacket, IPv4Packet, UdpDatagram, DhcpMessage, DnsQuery):
        with suppress(PacketError):
            kind.parse(data)


def dns_answer(data: bytes) -> None:
    query = DnsQuery.parse(bytes.fromhex("000101000001000000000000016100 0001 0001"))
    assert isinstance(answers(query, 7, data), bool)


def switch_frame(data: bytes) -> None:
    """A frame to the service address, with right checksums, so that it gets far."""
    sent: list[bytes] = []
    services = Services(_SWITCH, _NoRelay(), sent.append)  # type: ignore[arg-type]
    frame = _SWITCH.service_mac + data
    for whole in (frame, _with_ipv4_checksum(frame)):
        services.take(whole)
    assert not services.mistakes
    assert all(len(answer) <= 1514 + len(data) for answer in sent)


def switch_config(data: bytes) -> None:
    with suppress(ConfigError), _file(data) as path:
        config = load(path)
        assert load_again(config) == config


def state_files(data: bytes) -> None:
    with _file(data) as path:
        for kind in (NetworkRecord, HostRecord, ClusterRecord):
            with suppress(CorruptStateError):
                record = load_now(path, kind)
                assert record is None or "/" not in record.name


def fetched_kubeconfig(data: bytes) -> None:
    with suppress(InvalidInputError):
        text = rewritten(data.decode(errors="replace"), "kutti-lab", "https://127.0.0.1:1")
        assert "exec" not in text


def users_kubeconfig(data: bytes) -> None:
    with suppress(InvalidInputError):
        assert "kutti-lab" in merged_kubeconfig(data.decode(errors="replace"), _NEW, "it")


def kubeadm_join(data: bytes) -> None:
    parse_invitation(data.decode(errors="replace"))


def node_facts(data: bytes) -> None:
    with suppress(ValueError):
        parse_facts(data.decode(errors="replace"))


def kubernetes_status(data: bytes) -> None:
    with suppress(ValueError):
        for node in parse_status(data.decode(errors="replace")).nodes:
            str(node)


def http_answer(data: bytes) -> None:
    status, _, rest = data.partition(b"\n")
    pairs = [line.split(b": ", 1) for line in rest.split(b"\n") if b": " in line]
    code = int(status) if re.fullmatch(rb"[2-5][0-9][0-9]", status) else 206
    answer = httpx.Response(code, headers=[(name, value) for name, value in pairs])
    known = Origin("http://images.example/x", 300, etag='"one"')
    with suppress(Interrupted, RangeUnusable, Refused):
        assert judge(answer, 7, known).start in (0, 7)


def range_header(data: bytes) -> None:
    with suppress(UnsatisfiableRangeError):
        found = parse_range(data.decode("latin-1"), 300)
        assert found is None or 0 <= found[0] < found[1] <= 300


def html(data: bytes) -> None:
    text = data.decode(errors="replace")
    reader = _Tags()
    reader.feed(str(element("p", text, element("a", text, title=text), title=text)))
    reader.close()
    assert reader.tags == ["p", "a"]


def console(data: bytes) -> None:
    with _file(data) as path:
        assert not _CONTROL.search(read_console(path, 100))


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        image_list,
        image_manifest,
        disk_header,
        ovf,
        ova_manifest,
        ova,
        bundle,
        qmp,
        forwards,
        packets,
        dns_answer,
        switch_frame,
        switch_config,
        state_files,
        fetched_kubeconfig,
        users_kubeconfig,
        kubeadm_join,
        node_facts,
        kubernetes_status,
        http_answer,
        range_header,
        html,
        console,
    )
}

CORPUS = Path(__file__).with_name("corpus")
"""A folder for each target: what was found, and samples that get far."""


class _NoRelay(Relay):
    """Asks nobody."""

    def __init__(self) -> None:
        pass

    def ask(self, *_: object) -> None:
        pass


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


_SWITCH = SwitchConfig(
    network="lab",
    cidr=IPv4Network("192.168.125.0/24"),
    ports_dir=Path("/ports"),
    gateway_socket=Path("/gateway.sock"),
    gateway_address=IPv4Address("192.168.125.2"),
    service_address=IPv4Address("192.168.125.1"),
    domain="lab.kutti",
    log=Path("/log"),
    leases=(Lease("node1", bytes.fromhex("525400000001"), IPv4Address("192.168.125.11"), "node1"),),
)


def load_again(config: SwitchConfig) -> SwitchConfig:
    with _file(config.to_json().encode()) as path:
        return load(path)


class _file:  # noqa: N801 - used as a function
    """A file with some content, that goes away."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __enter__(self) -> Path:
        self._file = NamedTemporaryFile(prefix="kutti-fuzz-")
        self._file.write(self._content)
        self._file.flush()
        return Path(self._file.name)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _with_tar_checksums(data: bytes) -> bytes:
    """Make the checksums of tar headers right, which no fuzzer would find."""
    blocks = bytearray(data)
    for start in range(0, len(blocks) - _BLOCK + 1, _BLOCK):
        if blocks[start + 257 : start + 262] == b"ustar":
            blocks[start + 148 : start + 156] = b" " * 8
            total = sum(blocks[start : start + _BLOCK])
            blocks[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(blocks)


def _with_ipv4_checksum(frame: bytes) -> bytes:
    size = (frame[14] & 0x0F) * 4 if len(frame) > 34 else 0
    if size < 20 or len(frame) < 14 + size:
        return frame
    header = bytearray(frame[14 : 14 + size])
    header[10:12] = bytes(2)
    header[10:12] = checksum(bytes(header)).to_bytes(2)
    return frame[:14] + bytes(header) + frame[14 + size :]
