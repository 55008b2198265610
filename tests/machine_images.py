"""The images that virtual machines of the tests start from, kept in a workspace of theirs.

A fresh clone builds them, a second run finds them. Run as a program it builds those of
`make test` ahead, while tests that need none are run; tests build the others::

    python tests/machine_images.py
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import ova_builder

from kutti_sdk.images.builder import NodeImageRecipe
from kutti_sdk.images.builder.build import COMMAND_LINE
from kutti_sdk.images.building import build_into_store
from kutti_sdk.images.store import local_images
from kutti_sdk.runtime.directories import set_workspace

VM_WORKSPACE = Path(
    os.environ.get("KUTTI_TEST_WORKSPACE", Path(__file__).parents[1] / ".workspace")
)
"""Where images for tests are kept."""

OVA_FOLDER = VM_WORKSPACE / "ova"
"""Where .ova files for tests are kept."""


async def ensure_node_image() -> None:
    """Build the image without Kubernetes, unless it is there."""
    stored = (image.manifest for image in await local_images())
    newest = next((one for one in stored if one.k8s_version == "none"), None)
    # One that boots in another way was made by another version of the builder.
    if newest is None or newest.boot is None or newest.boot.cmdline != COMMAND_LINE:
        await build_into_store(NodeImageRecipe())


def main() -> None:
    """Build what `make test` needs and is not there."""
    set_workspace(VM_WORKSPACE)
    anyio.run(ensure_node_image)
    ova_builder.build_ova(OVA_FOLDER, ova_builder.WITH_CREDENTIALS, "bios")


if __name__ == "__main__":
    main()
