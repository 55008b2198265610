"""The QEMU driver.

Start reading at `driver`; `host` and `network` are what users hold,
`provisioning` and `lifecycle` do the work, `layout` and `records` say what is
kept where, `machine` is the command line, `services` and `switch` are the
network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kutti_sdk.drivers.qemu.driver import QemuDriver

__all__ = ["QemuDriver"]


def __getattr__(name: str) -> object:
    # Late, because the switch process imports this package and wants none of it.
    if name == "QemuDriver":
        from kutti_sdk.drivers.qemu.driver import QemuDriver

        return QemuDriver
    raise AttributeError(name)
