"""Checkpoints in files: what is refused; left out where a driver has none."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.checkpoints import SupportsCheckpointBundles
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import CheckpointNotFoundError, ImageFormatError, InvalidNameError
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class CheckpointBundles(ConformanceHooks):
    """What is no checkpoint is neither written nor taken, and nothing is touched."""

    async def test_only_a_checkpoint_that_exists_is_written(
        self, driver: VMDriver, lab: Lab, tmp_path: Path
    ) -> None:
        """And nothing is left where it would have been."""
        carrier = _carrier(driver)
        await lab.add_host()
        async with nothing_touched(driver):
            with pytest.raises(CheckpointNotFoundError) as refusal:
                await carrier.export_checkpoint("one", lab.network, lab.cluster, tmp_path / "file")
        assert refusal.value.hint
        assert not await anyio.Path(tmp_path / "file").exists()

    @pytest.mark.parametrize("content", [b"", b"no checkpoint", bytes(20_000)])
    async def test_what_is_no_checkpoint_is_refused(
        self, driver: VMDriver, tmp_path: Path, content: bytes
    ) -> None:
        """When it is looked at, and when it is taken."""
        carrier = _carrier(driver)
        file = tmp_path / "file"
        file.write_bytes(content)
        async with nothing_touched(driver):
            for attempt in (
                carrier.inspect_checkpoint(file),
                carrier.inspect_checkpoint(tmp_path / "missing"),
                carrier.import_checkpoint(file, to=Lab.name("copy")),
            ):
                with pytest.raises(ImageFormatError):
                    await attempt
            with pytest.raises(InvalidNameError):
                await carrier.import_checkpoint(file, to="../lab")


def _carrier(driver: VMDriver) -> SupportsCheckpointBundles:
    if not isinstance(driver, SupportsCheckpointBundles):
        pytest.skip("this driver does not write checkpoints into files")
    return driver
