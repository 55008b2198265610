from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import InvalidCIDRError, InvalidInputError, InvalidPortError
from kutti_sdk.core.network import DEFAULT_CIDR, validate_cidr
from kutti_sdk.core.ports import MAX_PORT, validate_host_port, validate_vm_port
from kutti_sdk.core.ssh import parse_address


@pytest.mark.parametrize("cidr", [DEFAULT_CIDR, "10.1.0.0/16", "172.31.255.224/27"])
def test_private_ranges_of_a_usable_size_are_taken(cidr: str) -> None:
    assert str(validate_cidr(cidr)) == cidr


@pytest.mark.parametrize(
    "cidr",
    ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/15", "10.0.0.0/28", "11.0.0.0/24", "127.0.0.0/24",
     "172.15.0.0/16", "172.32.0.0/16", "192.169.0.0/24", "0.0.0.0/0", "fd00::/64", "010.0.0.0/24",
     "10.0.0.0/255.255.255.1", 3232267520, None, b"\n\x00\x00\x00"],
)  # fmt: skip
def test_other_ranges_are_refused_with_a_hint(cidr: str) -> None:
    with pytest.raises(InvalidCIDRError) as refusal:
        validate_cidr(cidr)
    assert refusal.value.hint


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_what_is_taken_is_private_and_has_room(address: int, prefix: int) -> None:
    network = IPv4Network((address, prefix), strict=False)
    try:
        taken = validate_cidr(str(network))
    except InvalidCIDRError:
        return
    assert taken == network
    assert taken.is_private
    assert 32 <= taken.num_addresses <= 2**16


def test_ports_are_taken_to_their_limits() -> None:
    assert validate_host_port(0) == 0
    assert validate_host_port(MAX_PORT) == MAX_PORT
    assert validate_vm_port(1) == 1
    assert validate_vm_port(MAX_PORT) == MAX_PORT


@pytest.mark.parametrize("port", [-1, MAX_PORT + 1, True, False, 80.0, "80", None])
def test_what_is_no_port_is_refused_with_a_hint(port: int) -> None:
    for validate in (validate_host_port, validate_vm_port):
        with pytest.raises(InvalidPortError) as refusal:
            validate(port)
        assert refusal.value.hint


def test_a_host_has_no_port_0() -> None:
    with pytest.raises(InvalidPortError):
        validate_vm_port(0)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:2222", ("127.0.0.1", 2222)),
        ("node1", ("node1", 22)),
        ("10.0.0.1", ("10.0.0.1", 22)),
        ("[::1]:2222", ("::1", 2222)),
        ("[::1]", ("::1", 22)),
        ("fd00::1", ("fd00::1", 22)),
        ("node1:65535", ("node1", 65535)),
    ],
)
def test_addresses_are_split(address: str, parts: tuple[str, int]) -> None:
    assert parse_address(address) == parts


@pytest.mark.parametrize(
    "address",
    ["", ":22", "node1:0", "node1:65536", "node1:ssh", "node1:-1", "node1:\uff12\uff12", "[::1",
     "[]:22", "[::1]x22", "node1: 22"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_a_hint(address: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_address(address)
    assert refusal.value.hint


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        name, port = parse_address(text)
    except InvalidInputError:
        return
    assert name
    assert 1 <= port <= MAX_PORT
