"""The live view of images: fetched with progress, cancelled, imported, removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from markup import parse, rows
from test_live_cluster import _below, eventually, is_shown

import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import PublishedImage, SimulatedClock, SimulatedDriver
from kutti_sdk.views.live.images_view import ImagesView
from kutti_sdk.views.live.registry import live_widget

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
    await eventually(lambda: is_shown(view.widget, bar(view)) and bar(view).value > 0)
    await eventually(lambda: re.search(r"MiB of 300 MiB, 19.1 MiB/s, \d.* s left", page(view)))
    await eventually(lambda: statuses(view)[MISSING] == "● Downloaded")
    await eventually(lambda: not is_shown(view.widget, bar(view)))


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


async def test_closing_ends_what_goes_on_and_frees_all_models(driver: SimulatedDriver) -> None:
    from ipywidgets.widgets import widget

    before = len(widget._instances)
    view = ImagesView(await driver.list_images())
    driver.faults.hang("fetch", image=MISSING)
    control(view, "Image").value = MISSING
    control(view, "Fetch").click()
    await eventually(lambda: is_shown(view.widget, control(view, "Cancel")))
    control(view, "Close view").click()
    assert len(widget._instances) == before


async def test_nothing_that_comes_after_closing_does_harm(view: ImagesView) -> None:
    view.close()
    view.close()
    view.widget._view_count = 0
    for button in ("Fetch", "Import", "Purge"):
        control(view, button).click()
    await anyio.sleep(0.3)
    assert not view.viewed


async def test_an_image_that_cannot_be_fetched_says_why_in_the_view(
    driver: SimulatedDriver, view: ImagesView
) -> None:
    error = kutti.DownloadError("<b>no way</b>", hint="Look at the line.")
    driver.faults.fail("fetch", image=MISSING, error=error)
    control(view, "Image").value = MISSING
    control(view, "Fetch").click()
    await eventually(lambda: "DownloadError" in page(view))
    assert "&lt;b&gt;no way&lt;/b&gt;" in page(view)
    assert "Look at the line." in page(view)
    assert not control(view, "Fetch").disabled


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
