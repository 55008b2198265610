"""A program that puts itself into the background, in the manner of `qemu -daemonize -pidfile`.

    daemon.py PIDFILE MARK ready|refuses|dies|hangs|deaf

It is ready, refuses before it forks, dies after it was ready, is never ready, or
is ready and does not hear SIGTERM. It leaves after a minute in any case.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main(pidfile: str, mark: str, behaviour: str) -> None:
    if behaviour == "refuses":
        sys.exit("the port is taken")
    reader, writer = os.pipe()
    if os.fork() != 0:
        os.close(writer)
        os._exit(0 if os.read(reader, 5) == b"ready" else 1)
    os.setsid()
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    beside = Path(f"{pidfile}.new")
    beside.write_text(f"{os.getpid()}\n")
    beside.rename(pidfile)
    if behaviour == "hangs":
        time.sleep(60)
    if behaviour == "dies":
        Path(pidfile).unlink()
    os.write(writer, b"ready")
    if behaviour != "dies":
        time.sleep(60)


main(*sys.argv[1:])
