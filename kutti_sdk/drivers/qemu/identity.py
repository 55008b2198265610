"""Who a host is: keys, addresses and names that it finds when it boots.

systemd (251 or later) reads credentials from SMBIOS strings of type 11. One of
them, ``tmpfiles.extra``, is a list of files to make before the SSH server
starts. Sources: systemd.system-credentials(7), tmpfiles.d(5). QEMU reads the
string from a file, so that no key is seen in a list of processes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from ipaddress import IPv4Network

from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord

SSHD_CONFIG = """\
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
"""Settings of the SSH server of a disk that was made elsewhere: keys only."""

_NO_OTHERS = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"


def smbios_string(
    host: HostRecord,
    network: NetworkRecord,
    *,
    host_key: str,
    authorized_key: str,
    more: Sequence[str] = (),
) -> bytes:
    """Write the SMBIOS string that gives a host its identity.

    Args:
        host: The host.
        network: Its network.
        host_key: Private key of its SSH server, in OpenSSH's format.
        authorized_key: Public key that may log in.
        more: More lines of tmpfiles.d(5).

    Returns:
        The content of the file for ``-smbios type=11,path=``.
    """
    return _credential(
        *_keys(host, host_key, authorized_key),
        _file("/etc/hosts", hosts_file(host, network)),
        _file("/etc/resolv.conf", resolver_file(network)),
        _file("/etc/systemd/network/10-kutti.network", network_file(host, network)),
        *more,
    )


def nobodys_smbios_string(host: HostRecord, *, host_key: str, authorized_key: str) -> bytes:
    """Write the SMBIOS string of a host that is in no network, and is to become a template.

    Its card has no address, so that systemd-networkd has none to bring back one day.

    Args:
        host: The host.
        host_key: Private key of its SSH server, in OpenSSH's format.
        authorized_key: Public key that may log in.

    Returns:
        The content of the file for ``-smbios type=11,path=``.
    """
    return _credential(
        *_keys(host, host_key, authorized_key),
        _file("/etc/systemd/network/10-kutti.network", _match(host) + _NO_OTHERS),
    )


def foreign_lines(host: HostRecord) -> list[str]:
    """Write what a disk that was made elsewhere needs as well.

    It boots its own kernel, which is not told the host's name; its machine id is the
    same on every host, and its users may have passwords that are published.

    Args:
        host: The host.

    Returns:
        Lines of tmpfiles.d(5).
    """
    return [
        _file("/etc/hostname", f"{host.name}\n"),
        # PID 1 has set the name by now from the file as it was.
        f"w /proc/sys/kernel/hostname - - - - {host.name}",
        machine_id_line(host),
        "L+ /var/lib/dbus/machine-id - - - - /etc/machine-id",
        "d /etc/ssh/sshd_config.d 0755 root root -",
        # Of several values sshd takes the first; this file is the first of them.
        _file("/etc/ssh/sshd_config.d/00-kutti.conf", SSHD_CONFIG),
    ]


def machine_id(host: HostRecord) -> str:
    """Give a host's machine id: its SMBIOS UUID, in the way of machine-id(5).

    Args:
        host: The host.

    Returns:
        32 hexadecimal digits.
    """
    return host.uuid.replace("-", "")


def machine_id_line(host: HostRecord) -> str:
    """Write what gives a host its machine id whose disk has another one's.

    Args:
        host: The host.

    Returns:
        A line of tmpfiles.d(5).
    """
    return _file("/etc/machine-id", f"{machine_id(host)}\n", mode="0444")


def hosts_file(host: HostRecord, network: NetworkRecord) -> str:
    """Write a host's hosts(5) file.

    Args:
        host: The host.
        network: Its network.

    Returns:
        The content.
    """
    return (
        "127.0.0.1 localhost\n"
        "::1 localhost ip6-localhost ip6-loopback\n"
        f"{host.address} {host.name}.{network.domain} {host.name}\n"
    )


def resolver_file(network: NetworkRecord) -> str:
    """Write a host's resolv.conf(5) file.

    Args:
        network: Its network.

    Returns:
        The content.
    """
    return f"nameserver {network.service_address}\nsearch {network.domain}\n"


def network_file(host: HostRecord, network: NetworkRecord) -> str:
    """Write the systemd.network(5) file of a host's card.

    Args:
        host: The host.
        network: Its network.

    Returns:
        The content.
    """
    return (
        f"{_match(host)}"
        f"Address={interface_address(host, network)}\n"
        f"Gateway={network.gateway_address}\n"
        f"DNS={network.service_address}\n"
        f"Domains={network.domain}\n"
        f"{_NO_OTHERS}"
    )


def interface_address(host: HostRecord, network: NetworkRecord) -> str:
    """Give the address of a host's card.

    Args:
        host: The host.
        network: Its network.

    Returns:
        The address with the length of its network's prefix.
    """
    return f"{host.address}/{IPv4Network(network.cidr).prefixlen}"


def _credential(*lines: str) -> bytes:
    text = "".join(f"{line}\n" for line in lines)
    encoded = b64encode(text.encode()).decode()
    return f"io.systemd.credential.binary:tmpfiles.extra={encoded}".encode()


def _keys(host: HostRecord, host_key: str, authorized_key: str) -> list[str]:
    home = "/root" if host.ssh_user == "root" else f"/home/{host.ssh_user}"
    owner = f"{host.ssh_user} {host.ssh_user}"
    return [
        _file("/etc/ssh/ssh_host_ed25519_key", host_key, mode="0600"),
        _file("/etc/ssh/ssh_host_ed25519_key.pub", f"{host.host_key}\n"),
        f"d {home}/.ssh 0700 {owner} -",
        _file(f"{home}/.ssh/authorized_keys", f"{authorized_key}\n", mode="0600", owner=owner),
    ]


def _match(host: HostRecord) -> str:
    return f"[Match]\nMACAddress={host.mac}\n[Network]\n"


def _file(path: str, content: str, *, mode: str = "0644", owner: str = "root root") -> str:
    # f+ replaces what is there; ~ says that the content is base64.
    return f"f+~ {path} {mode} {owner} - {b64encode(content.encode()).decode()}"
