"""``image list``, ``remove``, ``prune`` and ``verify``: the images on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import anyio.to_thread
from rich.table import Table

from kutti_sdk.cli.images.options import add_driver, add_version
from kutti_sdk.cli.terminal import errors, live_progress, output
from kutti_sdk.core.errors import ChecksumMismatchError, ImageNotFoundError
from kutti_sdk.core.image import ImageCopy, VMImage
from kutti_sdk.core.registry import get_driver
from kutti_sdk.core.sizes import format_size
from kutti_sdk.core.status import CopyStatus
from kutti_sdk.core.versions import select_version
from kutti_sdk.images.store import local_images
from kutti_sdk.images.upkeep import verify_image

_CHECKSUM_SHOWN = 12  # characters; enough to tell images apart


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    listing = actions.add_parser("list", help="list all images")
    add_driver(listing)
    listing.set_defaults(command=_list)

    remove = actions.add_parser("remove", help="remove the local copy of an image")
    add_version(remove)
    add_driver(remove)
    remove.set_defaults(command=_remove)

    prune = actions.add_parser("prune", help="remove all images that no host uses")
    prune.add_argument("--dry-run", action="store_true", help="only show what would go")
    prune.add_argument("--yes", action="store_true", help="do not ask")
    add_driver(prune)
    prune.set_defaults(command=_prune)

    verify = actions.add_parser("verify", help="read images again and compare their checksums")
    verify.add_argument("version", nargs="?", help="only this Kubernetes version")
    verify.set_defaults(command=_verify)


async def _list(options: argparse.Namespace) -> int:
    driver = get_driver(options.driver)
    table = _table()
    shown = set()
    for image in await driver.list_images():
        shown.add(image.checksum)
        await _add_image(table, image)
    for copy in await driver.list_image_copies():
        if copy.status is not CopyStatus.COMPLETE or copy.checksum not in shown:
            older = "Older copy" if copy.status is CopyStatus.COMPLETE else copy.status.value
            _add_copy(table, copy, older)
    output.print(table)
    return 0


async def _remove(options: argparse.Namespace) -> int:
    driver = get_driver(options.driver)
    image = await driver.get_image(options.version)
    size = (await image.details()).size
    await image.purge_local()
    freed = f", {format_size(size)} are free again" if size is not None else ""
    output.print(
        f"Removed image {image.k8s_version}, checksum {image.checksum[:_CHECKSUM_SHOWN]}{freed}",
        soft_wrap=True,
    )
    for copy in await driver.list_image_copies():
        if copy.k8s_version == image.k8s_version:
            output.print(
                f"Another image of that version is still here: {copy.checksum[:_CHECKSUM_SHOWN]}",
                soft_wrap=True,
            )
    return 0


async def _prune(options: argparse.Namespace) -> int:
    driver = get_driver(options.driver)
    unused = [copy for copy in await driver.list_image_copies() if not copy.used_by]
    if not unused:
        output.print("There is nothing to remove.")
        return 0
    table = _table()
    for copy in unused:
        _add_copy(table, copy, copy.status.value)
    output.print(table)
    output.print(f"No host uses these; {format_size(_total(unused))} would be free again.")
    if options.dry_run:
        return 0
    if not options.yes and not await _agreed():
        output.print("Nothing was removed.")
        return 1
    removed = await driver.prune_images(unused)
    output.print(f"Removed {len(removed)}; {format_size(_total(removed))} are free again.")
    return 0


async def _verify(options: argparse.Namespace) -> int:
    images = await local_images()
    if options.version is not None:
        chosen = select_version(options.version, [image.k8s_version for image in images])
        images = [image for image in images if image.k8s_version == chosen]
        if not images:
            raise ImageNotFoundError(
                f"there is no image {options.version!r} on this machine",
                hint="`image list` shows those there are.",
                image=options.version,
            )
    damaged = 0
    for image in images:
        name = f"{image.k8s_version} {image.checksum[:_CHECKSUM_SHOWN]}"
        try:
            with live_progress():
                await verify_image(image)
            output.print(f"{name}: sound")
        except ChecksumMismatchError as error:
            damaged += 1
            errors.print(f"{name}: damaged: {error.message}", markup=False, soft_wrap=True)
    return 1 if damaged else 0


def _table() -> Table:
    table = Table()
    for heading in ("Version", "Status", "Size", "Used by", "Kept", "Checksum"):
        table.add_column(heading)
    return table


async def _add_image(table: Table, image: VMImage) -> None:
    details = await image.details()
    status = (await image.status()).value + (", deprecated" if image.deprecated else "")
    if details.partial:
        status += f", {format_size(details.partial)} of a download are here"
    if details.templates:
        status += f", warm: {format_size(details.templates)}"
    table.add_row(
        image.k8s_version,
        status,
        "" if details.size is None else format_size(details.size),
        "\n".join(details.used_by),
        _age(details.kept),
        image.checksum[:_CHECKSUM_SHOWN],
    )


def _add_copy(table: Table, copy: ImageCopy, status: str) -> None:
    table.add_row(
        copy.k8s_version or "",
        f"{status}: {copy.problem}" if copy.problem else status,
        format_size(copy.size),
        "\n".join(copy.used_by),
        _age(copy.kept),
        copy.checksum[:_CHECKSUM_SHOWN],
    )


def _age(kept: datetime | None) -> str:
    if kept is None:
        return ""
    seconds = (datetime.now(UTC) - kept).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _total(copies: Sequence[ImageCopy]) -> int:
    return sum(copy.size for copy in copies)


async def _agreed() -> bool:
    if not sys.stdin.isatty():
        errors.print("Give --yes where nobody can be asked.")
        return False
    answer = await anyio.to_thread.run_sync(
        output.input, "Remove them? \\[y/N] ", abandon_on_cancel=True
    )
    return answer.strip().lower() in ("y", "yes")
