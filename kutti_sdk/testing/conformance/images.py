"""Images: listed, found, fetched, taken from files, removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    ConflictError,
    ImageDeprecatedError,
    ImageError,
    ImageFormatError,
    ImageInUseError,
    ImageNotDownloadedError,
    ImageNotFoundError,
    InvalidVersionError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.image import ImageDetails
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class Images(ConformanceHooks):
    """Images are known by their Kubernetes version."""

    async def test_images_are_listed_newest_first(self, driver: VMDriver) -> None:
        """As versions, not as texts; each once."""
        versions = [K8sVersion.parse(image.k8s_version) for image in await driver.list_images()]
        assert versions == sorted(set(versions), reverse=True)
        assert self.k8s_version in map(str, versions)

    async def test_an_image_says_what_it_is(self, driver: VMDriver) -> None:
        """Its checksum is a SHA-256, or empty when unknown."""
        image = await driver.get_image(self.k8s_version)
        assert image.k8s_version == self.k8s_version
        assert image.deprecated is False
        assert await image.status() is ImageStatus.DOWNLOADED
        assert image.checksum == "" or len(bytes.fromhex(image.checksum)) == 32
        assert image.checksum == image.checksum.lower()

    async def test_a_version_without_a_patch_means_its_newest(self, driver: VMDriver) -> None:
        """Of those on this machine, if there are any; else of all."""
        patches: dict[str, list[tuple[bool, K8sVersion]]] = {}
        for image in await driver.list_images():
            version = K8sVersion.parse(image.k8s_version)
            here = await image.status() is ImageStatus.DOWNLOADED
            patches.setdefault(version.minor_version, []).append((here, version))
        for minor, candidates in patches.items():
            newest = str(max(candidates)[1])
            assert (await driver.get_image(minor)).k8s_version in (newest, minor)

    async def test_an_image_that_is_not_there_is_not_found(self, driver: VMDriver) -> None:
        """The refusal names those there are."""
        with pytest.raises(ImageNotFoundError) as refusal:
            await driver.get_image("1.2.3")
        assert refusal.value.image == "1.2.3"
        assert refusal.value.hint

    @pytest.mark.parametrize(
        "version", ["", "latest", "1", "1.34.", "../1.34", "1.34.0-", "\uff11.\uff13\uff14"]
    )
    async def test_what_is_no_version_is_refused(self, driver: VMDriver, version: str) -> None:
        """Before anything is looked for."""
        with pytest.raises(InvalidVersionError):
            await driver.get_image(version)

    async def test_fetching_what_is_here_does_nothing(self, driver: VMDriver) -> None:
        """Whatever the network is like."""
        image = await driver.get_image(self.k8s_version)
        async with nothing_touched(driver):
            await image.fetch()

    async def test_an_image_in_use_is_not_purged(self, lab: Lab) -> None:
        """Even when its only host is stopped."""
        await lab.add_host()
        image = await lab.driver.get_image(self.k8s_version)
        async with nothing_touched(lab.driver):
            with pytest.raises(ImageInUseError) as refusal:
                await image.purge_local()
        assert refusal.value.hint

    async def test_a_file_that_is_no_image_is_refused(
        self, driver: VMDriver, tmp_path: Path
    ) -> None:
        """As one that is missing; what was here before stays."""
        garbage = tmp_path / "image.qcow2"
        garbage.write_bytes(b"this is no disk" * 1000)
        image = await driver.get_image(self.k8s_version)
        async with nothing_touched(driver):
            for path in (garbage, tmp_path / "missing.qcow2"):
                with pytest.raises((ImageFormatError, ChecksumMismatchError)):
                    await image.from_file(path)

    async def test_details_tell_who_uses_an_image(self, lab: Lab) -> None:
        """And never less than that it is here."""
        host = await lab.add_host()
        details = await (await lab.driver.get_image(self.k8s_version)).details()
        assert details.size is None or details.size > 0
        assert details.partial == 0
        if details != ImageDetails():  # a driver may know nothing more
            assert any(host.name in user for user in details.used_by)

    async def test_an_exported_image_can_be_taken_from_its_file(
        self, driver: VMDriver, tmp_path: Path
    ) -> None:
        """Where the driver has such files; one that is there is not replaced unasked."""
        image = await driver.get_image(self.k8s_version)
        bundle = tmp_path / "image.kutti"
        try:
            await image.export(bundle)
        except ImageError as error:
            if type(error) is not ImageError:
                raise
            assert _files_in(tmp_path) == {}
            pytest.skip("the driver has no files to export images to")
        exported = _files_in(tmp_path)
        assert list(exported) == [bundle.name]
        with pytest.raises(ConflictError) as refusal:
            await image.export(bundle)
        assert refusal.value.hint
        assert _files_in(tmp_path) == exported
        await image.from_file(bundle)
        assert await image.status() is ImageStatus.DOWNLOADED

    async def test_what_takes_room_is_told_before_it_is_pruned(self, lab: Lab) -> None:
        """And what a host uses stays."""
        await lab.add_host()
        used = [copy for copy in await lab.driver.list_image_copies() if copy.used_by]
        image = await lab.driver.get_image(self.k8s_version)
        assert await lab.driver.prune_images(used) == []
        assert await image.status() is ImageStatus.DOWNLOADED

    async def test_a_deprecated_image_is_for_no_new_host(self, lab: Lab) -> None:
        """It says so, and still can be looked at."""
        if self.deprecated_image is None:
            pytest.skip("there is no deprecated image")
        assert (await lab.driver.get_image(self.deprecated_image)).deprecated
        await lab.add_network()
        lab.k8s_version = self.deprecated_image
        async with nothing_touched(lab.driver):
            with pytest.raises(ImageDeprecatedError):
                await lab.add_host()

    async def test_an_image_is_fetched_used_and_purged(self, lab: Lab) -> None:
        """With progress; before and after, hosts cannot be made from it."""
        if self.image_to_fetch is None:
            pytest.skip("there is no image to fetch")
        image = await lab.driver.get_image(self.image_to_fetch)
        await lab.add_network()
        lab.k8s_version = self.image_to_fetch
        await image.purge_local()
        async with nothing_touched(lab.driver):
            with pytest.raises(ImageNotDownloadedError):
                await lab.add_host()
        events: list[ProgressEvent] = []
        with observe(events.append):
            await image.fetch()
        assert await image.status() is ImageStatus.DOWNLOADED
        downloads = [event for event in events if event.phase == "download"]
        done = [event.bytes_done or 0 for event in downloads]
        assert done
        assert done == sorted(done)
        assert downloads[-1].bytes_done == downloads[-1].bytes_total
        assert {event.image for event in downloads} == {self.image_to_fetch}
        host = await lab.add_host()
        assert host.k8s_version == self.image_to_fetch
        await lab.driver.delete_host(host.name, host.networkname, host.clustername)
        await image.purge_local()
        assert await image.status() is ImageStatus.NOT_DOWNLOADED

    async def test_a_new_image_list_leaves_what_is_here(self, driver: VMDriver) -> None:
        """Fetching it twice gives the same."""
        if not self.image_list_is_reachable:
            pytest.skip("the image list cannot be had here")
        await driver.fetch_image_list()
        async with nothing_touched(driver):
            await driver.fetch_image_list()
        assert await (await driver.get_image(self.k8s_version)).status() is ImageStatus.DOWNLOADED


def _files_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
