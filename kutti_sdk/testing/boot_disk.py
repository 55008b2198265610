"""The smallest disk that a PC boots from, for tests of drivers with real hypervisors.

A host made from it writes a line to its serial port, "boots" for three more
seconds in which it hears nothing, as a real system does, and then switches
itself off when its power button is pressed. It has no operating system and no
SSH server and sleeps nearly always, so that dozens of them fit anywhere.
"""

from __future__ import annotations

BOOT_MESSAGE = "kutti test disk is up"
"""What a host writes to its first serial port when it has booted."""

DISK_SIZE = 1024 * 1024
"""Bytes of the whole disk."""

_SECTOR = 512
_SIGNATURE = b"\x55\xaa"  # the firmware boots a first sector that ends with it

# 16-bit code, loaded at 0x7c00. Ports: 0x3f8 is the first serial port; 0x600 to
# 0x605 are the ACPI power management registers as SeaBIOS places them on the
# "pc" machine (ACPI 6.5, 4.8.3: PM1 status, enable, control).
_LOAD_ADDRESS = 0x7C00
_CODE = bytes.fromhex(
    "fa31c08ed88ed0bc007c"  # cli; ds = ss = 0; sp = 0x7c00
    "be0000"  # si = the message (patched below)
    "ac84c07406baf803eeebf5"  # write bytes to the serial port until a zero
    "fb"  # sti
    "b93700f4e2fd"  # sleep for 55 ticks of the timer, 18.2 of which are a second
    "ba0206b80001ef"  # PM1 enable: the power button
    "f4ba0006edf6c40174f6"  # sleep until the power button's status bit is set
    "ba0406b80020ef"  # PM1 control: sleep state S5, now
    "ebfe"  # never reached
)
_MESSAGE_OPERAND = 11


def boot_disk() -> bytes:
    """Make the disk.

    Returns:
        A raw disk image of `DISK_SIZE` bytes.
    """
    code = bytearray(_CODE)
    message_address = _LOAD_ADDRESS + len(code)
    code[_MESSAGE_OPERAND : _MESSAGE_OPERAND + 2] = message_address.to_bytes(2, "little")
    sector = bytes(code) + f"{BOOT_MESSAGE}\r\n".encode() + b"\0"
    sector = sector.ljust(_SECTOR - len(_SIGNATURE), b"\0") + _SIGNATURE
    return sector.ljust(DISK_SIZE, b"\0")
