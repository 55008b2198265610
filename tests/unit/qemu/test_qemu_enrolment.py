"""What is run at the first log-in; that it works is for real machines to show."""

from __future__ import annotations

import subprocess

from kutti_sdk.drivers.qemu.enrolment import enrolment_script
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord


def script(host: HostRecord, network: NetworkRecord) -> str:
    made = enrolment_script(host, network, host_key="PRIVATE KEY\n", authorized_key="ssh-ed25519 B")
    return made.decode()


def test_it_is_a_shell_script(host: HostRecord, network: NetworkRecord) -> None:
    # Read only, with -n: it would change this machine.
    done = subprocess.run(["sh", "-n"], input=script(host, network), text=True, check=False)
    assert done.returncode == 0


def test_what_lets_us_in_comes_first_and_the_host_key_last(
    host: HostRecord, network: NetworkRecord
) -> None:
    text = script(host, network)
    steps = (
        "put /root/.ssh/authorized_keys",
        'mv -f "$config.kutti"',
        "usermod -L",
        "put /etc/ssh/ssh_host_ed25519_key 600",
        "systemctl reload",
    )
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_values_cannot_end_their_quotes(host: HostRecord, network: NetworkRecord) -> None:
    made = enrolment_script(host, network, host_key="'; reboot #", authorized_key="$(reboot)")
    assert b"reboot" not in made
