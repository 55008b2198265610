"""What tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from qemu_lab import expect_no_system_inside, make_lab, prepare_workspace, published_image
from tortured_operations import Lab

from kutti_sdk.core.ports import LOOPBACK
from kutti_sdk.drivers.qemu.forwards import free_port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that thousands of tries take."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(3 * 3600))


@pytest.fixture
def qemu_lab(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> Iterator[Lab]:
    """Nothing yet, on the QEMU driver, with the image for its hosts."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    published, made = tmp_path / "published", tmp_path / "made"
    published.mkdir()
    made.mkdir()
    with published_image(published) as image_list, expect_no_system_inside():
        lab = make_lab(image_list, made, free_port(LOOPBACK, set()))
        prepare_workspace(lab, made)
        yield lab
        anyio.run(lab.cluster.delete)  # after a test that failed
