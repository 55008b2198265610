"""The images of a driver: fetched, imported, removed."""

from __future__ import annotations

from collections.abc import Sequence

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.core.image import VMImage
from kutti_sdk.runtime.island import start_on_island
from kutti_sdk.views import questions
from kutti_sdk.views.image_table import images_table
from kutti_sdk.views.live.controls import Controls
from kutti_sdk.views.live.task_panel import TaskPanel
from kutti_sdk.views.live.tree import close_tree
from kutti_sdk.views.tables import face_of


class ImagesView:
    """The live view of a list of images.

    Args:
        images: The images.
    """

    def __init__(self, images: Sequence[VMImage]) -> None:
        self._images = {image.k8s_version: image for image in images}
        self._closed = False
        self._armed: str | None = None
        controls = Controls()
        self._tasks = TaskPanel(controls, self._look_soon)
        self._table = controls.html()
        self._version = controls.choice("Image", list(self._images))
        self._path = controls.text("File or folder", "a path on the machine of the kernel")
        fetch = controls.button("Fetch", "Download the image and verify it")
        take = controls.button("Import", "Take the image from the file instead")
        self._purge = controls.button("Purge", "Remove the local copy; asks once more")
        self._tasks.bind(fetch, lambda: f"fetching image {self._version.value}", self._fetch)
        self._tasks.bind(take, lambda: f"importing image {self._version.value}", self._import)
        self._tasks.hold_back(self._purge)
        self._purge.on_click(lambda _: self._purge_or_ask())
        self._version.observe(lambda _: self._disarm(), "value")
        close = controls.button("Close view", "Close this view; the images stay")
        close.on_click(lambda _: self.close())
        self.widget = controls.column(
            self._table,
            controls.row(self._version, fetch, self._purge),
            controls.row(self._path, take),
            self._tasks.widget,
            controls.row(close),
        )
        self.widget.add_class("kutti-view")
        # Nobody tells of images that others fetch or remove: it looks when it is shown,
        # and after whatever it did itself.
        self.widget._view_count = 0
        self.widget.observe(lambda _: self._look_soon(), "_view_count")

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def viewed(self) -> bool:
        """Whether a page shows it."""
        return bool(self.widget._view_count)

    def close(self) -> None:
        """End what it does, and free all of its models."""
        self._closed = True
        self._tasks.close()
        close_tree(self.widget)

    def _chosen(self) -> VMImage:
        return self._images[self._version.value]

    async def _fetch(self) -> None:
        await self._chosen().fetch()

    async def _import(self) -> None:
        path = self._path.value.strip()
        if not path:
            raise InvalidInputError("no file is named", hint="Type the path of an image file.")
        await self._chosen().from_file(path)

    def _purge_or_ask(self) -> None:
        version = self._version.value
        if self._armed != version:
            self._armed = version
            self._purge.description = f"Really remove the copy of {version}?"
            return
        self._disarm()
        self._tasks.begin(f"removing image {version}", self._chosen().purge_local)

    def _disarm(self) -> None:
        self._armed = None
        self._purge.description = "Purge"

    def _look_soon(self) -> None:
        start_on_island(self._look)

    async def _look(self) -> None:
        facts = await questions.read_images(self._images.values())
        if not self._closed:
            self._table.value = str(face_of(images_table(facts, f"{len(facts)} images")))
