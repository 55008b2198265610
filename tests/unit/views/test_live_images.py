"""The live view of images, and what tells how fast they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markup import parse, rows
from test_live_cluster import _below, eventually

from kutti_sdk.drivers.simulated import PublishedImage, SimulatedClock, SimulatedDriver
from kutti_sdk.views.live.images_view import ImagesView
from kutti_sdk.views.live.registry import live_widget
from kutti_sdk.views.transfer_rate import TransferRate

pytestmark = pytest.mark.anyio

MISSING = "1.35.0"


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver(clock=SimulatedClock(speed=50))


@pytest.fixture
async def view(driver: SimulatedDriver, workspace: Path) -> Any:
    view = ImagesView(await driver.list_images())
    view.widget._view_count = 1
    await eventually(lambda: statuses(view))
    yield view
    view.close()


def control(view: ImagesView, text: str) -> Any:
    (found,) = (it for it in _below(view.widget) if getattr(it, "description", "") == text)
    return found


def page(view: ImagesView) -> str:
    return "\n".join(it.value for it in _below(view.widget) if type(it).__name__ == "HTML")


def statuses(view: ImagesView) -> dict[str, str]:
    return {row["version"]: row["status"] for row in rows(parse(view.widget.children[0].value))}


def bar(view: ImagesView) -> Any:
    return next(it for it in _below(view.widget) if type(it).__name__ == "FloatProgress")


async def test_an_image_is_fetched_with_progress(view: ImagesView) -> None:
    control(view, "Image").value = MISSING
    control(view, "Fetch").click()
    await eventually(lambda: bar(view).layout.visibility == "visible")
    await eventually(lambda: "of 300 MiB" in page(view))
    await eventually(lambda: statuses(view)[MISSING] == "● Downloaded")
    await eventually(lambda: bar(view).layout.visibility == "hidden")


async def test_a_fetch_can_be_cancelled_and_goes_on_later(
    driver: SimulatedDriver, view: ImagesView
) -> None:
    driver.clock.speed = 5
    control(view, "Image").value = MISSING
    control(view, "Fetch").click()
    await eventually(lambda: bar(view).value > 0)
    control(view, "Cancel").click()
    await eventually(lambda: "cancelled: fetching image 1.35.0" in page(view))
    assert statuses(view)[MISSING] == "○ Not downloaded"
    driver.clock.speed = 500
    control(view, "Fetch").click()
    await eventually(lambda: statuses(view)[MISSING] == "● Downloaded")


async def test_an_image_is_imported_from_a_path(view: ImagesView, tmp_path: Path) -> None:
    control(view, "Image").value = MISSING
    control(view, "Import").click()
    await eventually(lambda: "no file is named" in page(view))
    file = tmp_path / "image"
    file.write_bytes(PublishedImage(MISSING).content)
    control(view, "File or folder").value = str(file)
    control(view, "Import").click()
    await eventually(lambda: statuses(view)[MISSING] == "● Downloaded")


async def test_a_copy_is_removed_after_two_clicks(view: ImagesView) -> None:
    control(view, "Image").value = "1.34.2"
    control(view, "Purge").click()
    control(view, "Image").value = "1.33.1"
    control(view, "Purge").click()
    assert statuses(view)["1.34.2"] == "● Downloaded"
    control(view, "Really remove the copy of 1.33.1?").click()
    await eventually(lambda: statuses(view)["1.33.1"] == "○ Not downloaded")
    assert statuses(view)["1.34.2"] == "● Downloaded"


@pytest.fixture
def shown_lists() -> Iterator[None]:
    from kutti_sdk.views.live import registry

    yield
    for view in registry._images:
        view.close()
    registry._images.clear()


@pytest.mark.usefixtures("shown_lists")
async def test_a_cell_that_is_run_again_leaves_no_view_behind(driver: SimulatedDriver) -> None:
    from ipywidgets.widgets import widget

    for _ in range(3):
        last = live_widget(await driver.list_images())
    three = len(widget._instances)
    for _ in range(3):
        last = live_widget(await driver.list_images())
    assert len(widget._instances) == three
    last._view_count = 1
    assert live_widget(await driver.list_images()) is not last
    assert last.comm is not None, "one that is looked at stays"


def test_other_lists_have_no_live_view() -> None:
    assert live_widget([]) is None


def test_the_rate_is_that_of_the_last_seconds() -> None:
    transfer = TransferRate()
    assert transfer.as_element() is None
    transfer.add(0, 0, 1000 * 1024)
    assert transfer.rate is None
    for second in range(1, 11):  # stalls after five seconds
        transfer.add(second, min(second, 5) * 100 * 1024, 1000 * 1024)
    assert transfer.fraction == 0.5
    assert transfer.rate == 0
    transfer.add(12, 700 * 1024, 1000 * 1024)
    assert str(transfer.as_element()) == "<span>700 KiB of 1000 KiB, 40 KiB/s, 7.5 s left</span>"


def test_a_transfer_of_unknown_length_has_a_rate_but_no_end() -> None:
    transfer = TransferRate()
    transfer.add(0, 0, None)
    transfer.add(2, 2048, None)
    assert transfer.fraction is None
    assert str(transfer.as_element()) == "<span>2 KiB, 1 KiB/s</span>"
