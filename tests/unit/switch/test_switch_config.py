"""The configuration file: what is read back, and what is refused with which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from switch_harness import NODE1, NODE2, make_config

from kutti_sdk.drivers.qemu.switch.config import load
from kutti_sdk.drivers.qemu.switch.errors import ConfigError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
GOOD: dict[str, Any] = json.loads(make_config(Path("/run/lab")).to_json())


def read(folder: Path, document: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    load(path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(make_config(tmp_path).to_json())
    assert load(path) == make_config(tmp_path)


def test_a_newer_drivers_keys_are_ignored(tmp_path: Path) -> None:
    read(tmp_path, {**GOOD, "new": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cidr": "192.168.125.0/33"}, "cidr: "),
        ({"cidr": "192.168.125.1/24"}, "cidr: .*host bits"),
        ({"cidr": "192.168.125.0/30"}, "too small"),
        ({"ports_dir": "ports"}, "ports_dir: must be an absolute path"),
        ({"gateway_address": "10.0.0.1"}, "gateway_address: 10.0.0.1 is not in"),
        ({"service_address": "192.168.125.2"}, "service_address: .*already gateway_address"),
        ({"service_address": "192.168.125.255"}, "already the broadcast address"),
        ({"domain": "Lab..kutti"}, "domain: 'Lab' is not a DNS label"),
        ({"domain": "x" * 200}, "domain: longer than"),
        ({"leases": {}}, "leases: must be a list"),
        ({"leases": [1]}, r"leases\[0\]: lease: must be a JSON object"),
        ({"leases": [{**GOOD["leases"][0], "mac": "5254"}]}, r"leases\[0\]: mac: '5254'"),
        ({"leases": [{**GOOD["leases"][0], "mac": "ff:ff:ff:ff:ff:ff"}]}, "group address"),
        ({"leases": [{**GOOD["leases"][0], "mac": "52:55:c0:a8:7d:02"}]}, "kept for the gateway"),
        ({"leases": [{**GOOD["leases"][0], "hostname": "a_b"}]}, "hostname: 'a_b'"),
        ({"leases": [GOOD["leases"][0]] * 2}, "same hostname"),
        (
            {"leases": [GOOD["leases"][0], {**GOOD["leases"][1], "mac": NODE1.mac.hex(":")}]},
            "same mac",
        ),
        (
            {"leases": [{**GOOD["leases"][0], "address": str(NODE2.address)}, GOOD["leases"][1]]},
            "the address of node2: .* is already the address of node1",
        ),
        (
            {"leases": [{**GOOD["leases"][0], "port": "node2"}, GOOD["leases"][1]]},
            "two hosts have the same port",
        ),
        ({"leases": [{**GOOD["leases"][0], "port": ""}]}, "port: must be a text"),
        ({"consoles": "console.log"}, "consoles: must be a list"),
        ({"consoles": ["console.log"]}, "consoles: must be an absolute path"),
        ({"consoles": [7]}, "consoles: must be a text"),
        ({"resolver_port": True}, "resolver_port"),
        ({"network": None}, "network: must be a text"),
    ],
)
def test_a_contradiction_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, {**GOOD, **change})
    assert str(tmp_path / "config.json") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json: "):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "config.json")


@given(key=st.sampled_from(sorted(GOOD)), value=JSON)
def test_any_value_is_accepted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    try:
        read(tmp_path_factory.getbasetemp(), {**GOOD, key: value})
    except ConfigError:
        pass
