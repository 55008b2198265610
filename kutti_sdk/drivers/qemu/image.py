"""An image of the driver: one of the store, whose hosts can go on from templates."""

from __future__ import annotations

from dataclasses import replace

from kutti_sdk.core.errors import ImageNotDownloadedError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.image import ImageDetails
from kutti_sdk.drivers.qemu.templates.making import make_template
from kutti_sdk.drivers.qemu.templates.store import load_templates, remove_templates, sweep
from kutti_sdk.images.image import StoredImage
from kutti_sdk.images.upkeep import disk_usage
from kutti_sdk.runtime.tasks import interruptible


class QemuImage(StoredImage):
    """An image of the QEMU driver."""

    @interruptible
    async def warm_up(
        self,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> None:
        """Make a template, from which new hosts of one size go on in place of booting."""
        size = HostSize.parse(cpus, memory, disk)
        found = await self.local()
        if found is None:
            raise ImageNotDownloadedError(
                f"image {self.k8s_version!r} is not on this machine",
                hint="Call fetch() on it first.",
                driver="qemu",
                image=self.k8s_version,
            )
        await make_template(found, size)

    async def cool_down(self) -> None:
        """Remove all templates of the image."""
        await remove_templates(self.checksum)

    async def details(self) -> ImageDetails:
        """Tell its size, what its templates take, its users, and when it was kept."""
        sizes = [
            await disk_usage(template.files.folder)
            for template in await load_templates()
            if template.image == self.checksum
        ]
        return replace(await super().details(), templates=sum(sizes))

    async def purge_local(self) -> None:
        """Remove it from this machine with its templates; older images of its version stay."""
        await super().purge_local()
        await sweep()
