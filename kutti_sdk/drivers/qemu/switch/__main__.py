"""Start the switch in the background: see `command` in this package for the way to call it."""

from __future__ import annotations

import sys
from pathlib import Path


def _run() -> int:
    # Started by path and with -I -S there is no site-packages: add the folder that holds kutti_sdk,
    # at the end, where it cannot hide a module of the standard library.
    sys.path.append(str(Path(__file__).resolve().parents[4]))
    from kutti_sdk.drivers.qemu.switch.daemon import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
