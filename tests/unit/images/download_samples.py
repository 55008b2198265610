"""The file that tests of downloads ask the fault server for."""

from __future__ import annotations

import hashlib
import random

from fault_server import FaultServer

from kutti_sdk.runtime.http import HttpSettings

KIB = 1024
SIZE = 1024 * KIB
CONTENT = random.Random(3).randbytes(SIZE)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
HALF = SIZE // 2
HTTP = HttpSettings(stall_timeout=0.5)


def first_bytes_asked(server: FaultServer) -> list[int]:
    return [request.first_byte for request in server.requests]
