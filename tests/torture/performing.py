"""A process of its own that performs an operation, to be stopped or starved meanwhile.

    performing.py OPERATION BACKEND WORKSPACE IMAGE_LIST FOLDER PORT MEBIBYTES

`performing` starts it. It ends with a traceback when the operation fails.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psutil
from pretended_agent import environment
from qemu_lab import expect_no_system_inside, make_lab
from tortured_operations import HOST_OPERATIONS, IMAGE_OPERATIONS, Lab, Operation

from kutti_sdk.core.sizes import MiB
from kutti_sdk.runtime.directories import set_workspace

PLENTY = 1 << 20
"""MiB of memory that are more than anything needs."""


@contextmanager
def performing(
    operation: Operation, lab: Lab, workspace: Path, backend: str, *, memory: int = PLENTY
) -> Iterator[subprocess.Popen[bytes]]:
    """Have an operation performed by another process, for the length of a block.

    Args:
        operation: Which one.
        lab: On what.
        workspace: Where that is.
        backend: ``asyncio`` or ``trio``.
        memory: MiB that it may use for data, beyond those it has when it begins.

    Yields:
        The process; it is killed at the end.
    """
    (forward,) = lab.spec.forwards
    image_list = lab.image_file.with_name("images.json")
    words = (operation, backend, workspace, image_list, lab.folder)
    argv = [sys.executable, __file__, *map(str, words), str(forward.forward.host_port), str(memory)]
    with subprocess.Popen(argv, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def main() -> None:
    """Perform an operation."""
    name, backend, workspace, image_list, folder, port, memory = sys.argv[1:]
    set_workspace(workspace)
    (act,) = (it.act for it in (*HOST_OPERATIONS, *IMAGE_OPERATIONS) if it.name == name)
    with expect_no_system_inside():
        lab = make_lab(Path(image_list), Path(folder), int(port))
        most = psutil.Process().memory_info().data + int(memory) * MiB
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        anyio.run(act, lab, backend=backend)


if __name__ == "__main__":
    main()
