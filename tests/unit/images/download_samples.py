"""The file that tests of downloads ask the fault server for."""

from __future__ import annotations

import hashlib
import random

from fault_server import FaultServer
from server_faults import Fault, Silent, Stall

from kutti_sdk.runtime.http import HttpSettings

KIB = 1024
SIZE = 1024 * KIB
CONTENT = random.Random(3).randbytes(SIZE)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
HALF = SIZE // 2
HTTP = HttpSettings(stall_timeout=10)

IMPATIENT_HTTP = HttpSettings(stall_timeout=1.5)
"""For servers that fall silent; the others may take their time on a busy machine."""


def http_for(fault: Fault) -> HttpSettings:
    """Give the settings for a server with a fault."""
    return IMPATIENT_HTTP if isinstance(fault, (Silent, Stall)) else HTTP


def first_bytes_asked(server: FaultServer) -> list[int]:
    return [request.first_byte for request in server.requests]
