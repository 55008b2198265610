"""A file from a server, complete and with the checksum that was promised."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ChecksumMismatchError, DownloadError, NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import format_size
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download.answers import Interrupted, RangeUnusable, Refused
from kutti_sdk.images.download.meter import Meter
from kutti_sdk.images.download.partial import (
    Origin,
    bytes_here,
    forget,
    hand_over,
    load_origin,
    part_of,
)
from kutti_sdk.images.download.space import disk_failure
from kutti_sdk.images.download.transfer import Transfer
from kutti_sdk.images.download.writing import PartWriter, writing
from kutti_sdk.runtime.http import HttpSettings, http_client

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a failing line is put up with.

    Attributes:
        attempts: How many times in a row nothing more may come before it is given up.
        first_wait: Seconds before the second attempt; each further wait is twice as long.
        longest_wait: Seconds that no wait exceeds.
        longest_retry_after: Seconds that a server may ask to wait; of more it gets these.
    """

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 15.0
    longest_retry_after: float = 60.0

    def wait(self, failures: int, asked: float | None) -> float:
        """Tell how long to wait before the next attempt.

        Args:
            failures: Failures in a row, 1 or more.
            asked: Seconds that the server asked for, or None.

        Returns:
            Seconds; with a random part, so that thirty laptops do not come back as one.
        """
        wait = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        wait *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        return max(wait, min(asked or 0.0, self.longest_retry_after))


DEFAULT_POLICY = RetryPolicy()
"""A minute where connections fail at once; four where a server stays silent."""


async def download(
    entry: CatalogueEntry,
    destination: Path,
    settings: HttpSettings,
) -> None:
    """Download a file, or what is missing of it, and verify it.

    The caller has the turn (see `sharing`). Whatever ends it early, what came is kept
    and gone on with by the next; only bytes that proved to be wrong are dropped.
    After success the file has a second name among the partial files, for the
    caller to remove when the image is in place.

    Args:
        entry: Which file.
        destination: The name to give it, on the disk of the cache folder.
        settings: How servers are reached.

    Raises:
        DownloadError: When the server or the line fails for good.
        ChecksumMismatchError: When other bytes came than were promised.
        NotEnoughDiskError: When it does not fit.
        InvalidInputError: When the proxy or the file of certificates cannot be used.
    """
    meter = Meter(entry.k8s_version)
    try:
        async with (
            await anyio.to_thread.run_sync(http_client, settings) as client,
            writing(part_of(entry.checksum), meter.advance) as writer,
        ):
            await _Download(entry, client, writer, meter).run()
        await hand_over(entry.checksum, destination)
    except OSError as error:
        raise disk_failure(error, entry) from error
    except ChecksumMismatchError:
        await forget(entry.checksum)
        raise
    except (DownloadError, NotEnoughDiskError):
        if not await bytes_here(entry.checksum):
            await forget(entry.checksum)
        raise


class _Download:
    def __init__(
        self,
        entry: CatalogueEntry,
        client: httpx.AsyncClient,
        writer: PartWriter,
        meter: Meter,
    ) -> None:
        self._entry = entry
        self._client = client
        self._writer = writer
        self._meter = meter
        self._policy = DEFAULT_POLICY

    async def run(self) -> None:
        before = self._writer.size
        origin = await load_origin(self._entry.checksum) or Origin(self._entry.source_url)
        if before:
            self._tell(f"{format_size(before)} are here from before")
        pieced = before > 0
        if not before or before != origin.total:
            if origin.source_url != self._entry.source_url:  # its validators are of another server
                origin = Origin(self._entry.source_url)
            pieced = await self._receive(origin)
        if pieced and not await self._is_whole():
            # A server that changed its file without a word, or a disk that lost a block.
            self._tell("the pieces do not fit together; beginning again")
            await self._writer.begin_again()
            await self._receive(Origin(self._entry.source_url))
        if not await self._is_whole():
            raise await self._mismatch()
        await self._writer.sync()
        self._meter.finish(self._writer.size)

    async def _receive(self, origin: Origin) -> bool:
        """Receive all that is missing; tells whether it came in more than one piece."""
        transfer = Transfer(self._entry, origin, self._writer, self._meter)
        failures, furthest = 0, self._writer.size
        while True:
            try:
                await transfer.receive(self._client)
            except RangeUnusable as reason:
                if not await self._is_whole():  # it may be: a server promised too much
                    self._tell(f"{reason}; beginning again")
                    await self._writer.begin_again()
                    continue
            except Interrupted as fault:
                if not await self._is_whole():
                    failures = 1 if self._writer.size > furthest else failures + 1
                    furthest = max(furthest, self._writer.size)
                    if failures >= self._policy.attempts:
                        raise self._failed(fault.reason, "Check the network.") from fault
                    await self._wait(fault, failures)
                    continue
            except Refused as refusal:
                raise self._failed(refusal.reason, refusal.hint) from refusal
            return transfer.continued

    async def _wait(self, fault: Interrupted, failures: int) -> None:
        wait = self._policy.wait(failures, fault.retry_after)
        self._tell(f"{fault.reason}; trying again in {wait:.0f} s")
        await anyio.sleep(wait)  # there is no event for a line that works again

    async def _is_whole(self) -> bool:
        return await self._writer.checksum() == self._entry.checksum

    def _tell(self, message: str) -> None:
        report("download", message, image=self._entry.k8s_version)

    async def _mismatch(self) -> ChecksumMismatchError:
        return ChecksumMismatchError(
            f"{self._entry.source_url} is not the promised file: expected SHA-256 "
            f"{self._entry.checksum}, received {await self._writer.checksum()}",
            hint="Nothing of it was kept. Fetch the image list again; it may be older than "
            "the image.",
            image=self._entry.k8s_version,
        )

    def _failed(self, reason: str, hint: str) -> DownloadError:
        if self._writer.size:
            hint += f" {format_size(self._writer.size)} are kept; fetch again to go on."
        return DownloadError(
            f"{self._entry.source_url} cannot be downloaded: {reason}",
            hint=hint,
            image=self._entry.k8s_version,
        )
