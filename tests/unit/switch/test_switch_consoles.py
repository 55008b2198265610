"""Consoles of guests that write without end: they stay short, and their ends are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch_harness import SwitchProcess, wait_until

from kutti_sdk.drivers.qemu.switch.consoles import KEPT, MOST, shorten

if TYPE_CHECKING:
    from pathlib import Path

LINE = b"a line of a kernel that has much to tell\n"


def test_one_that_became_too_long_keeps_its_last_whole_lines(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(LINE * (MOST // len(LINE) + 1) + b"the last line\n")
    with console.open("ab", buffering=0) as qemu:
        shorten([console])
        qemu.write(b"and on it goes\n")
    lines = console.read_bytes().splitlines(keepends=True)
    assert lines[-2:] == [b"the last line\n", b"and on it goes\n"]
    assert set(lines[:-2]) == {LINE}
    assert KEPT - len(LINE) < console.stat().st_size <= KEPT + len(b"and on it goes\n")


def test_others_are_left_alone(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(b"x" * MOST)
    shorten([tmp_path / "not there", tmp_path, console])
    assert console.stat().st_size == MOST


def test_the_switch_keeps_those_of_its_hosts_short(switch: SwitchProcess, folder: Path) -> None:
    consoles = folder / "console1.log", folder / "console2.log"
    for console in consoles:
        console.write_bytes(LINE * (MOST // len(LINE) + 1))
    switch.save(consoles=consoles[:1])
    switch.start()
    wait_until(lambda: consoles[0].stat().st_size <= KEPT, "the console is short")
    switch.save(consoles=consoles)
    switch.reload("configuration read again")
    wait_until(lambda: consoles[1].stat().st_size <= KEPT, "that of a host that came later, too")
