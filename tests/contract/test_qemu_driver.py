"""The QEMU driver keeps the contract: real virtual machines, real firmware.

What needs no system inside is tested on hosts that boot a disk of one sector;
what needs one, on two hosts made from the node image.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import anyio
import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.testing import DriverConformance
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE, boot_disk
from kutti_sdk.testing.conformance import Guests, SavedGuests, SuspendedGuests

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an image list, and a web server with the images that it names."""
    folder = tmp_path_factory.mktemp("published")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    url = f"http://127.0.0.1:{server.server_port}"
    listed = {}
    for version, deprecated in (("1.30.0", True), ("1.34.2", False), ("1.35.0", False)):
        raw, disk = folder / "raw", folder / f"{version}.qcow2"
        raw.write_bytes(boot_disk() + version.encode().ljust(512))  # no two are alike
        command = ["qemu-img", "convert", "-O", "qcow2", str(raw), str(disk)]
        subprocess.run(command, check=True)
        listed[version] = {
            "ImageK8sVersion": version,
            "ImageChecksum": hashlib.sha256(disk.read_bytes()).hexdigest(),
            "ImageSourceURL": f"{url}/{disk.name}",
            "ImageStatus": "Notdownloaded",
            "ImageDeprecated": deprecated,
        }
    (folder / "images.json").write_text(json.dumps(listed))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"{url}/images.json"
    server.shutdown()
    thread.join()
    server.server_close()


class TestQemuDriver(DriverConformance):
    k8s_version = "1.34.2"
    image_to_fetch = "1.35.0"
    deprecated_image = "1.30.0"
    boots = False
    stop_timeout = 60.0

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls, published: str) -> Iterator[QemuDriver]:
        driver = QemuDriver(image_list=published)

        async def prepare() -> None:
            await driver.fetch_image_list()
            for version in (cls.k8s_version, cls.deprecated_image):
                await (await driver.get_image(version)).fetch()

        with TemporaryDirectory(prefix="kutti-test-") as workspace:
            kutti.set_workspace(workspace)
            anyio.run(prepare)
            yield driver
            left = [path for path in Path(workspace, "run").rglob("*") if not path.is_dir()]
            kutti.set_workspace(None)
        assert not left, "sockets and locks of deleted networks are gone"

    async def test_a_host_boots_by_firmware_and_hears_its_power_button(self, lab) -> None:
        host = await lab.add_host()
        await host.start()
        with anyio.fail_after(60):
            while BOOT_MESSAGE not in await host.console():
                await anyio.sleep(0.05)
        await host.stop(self.stop_timeout)
        assert await host.status() is kutti.HostStatus.STOPPED


class TestQemuGuests(Guests, SavedGuests, SuspendedGuests):
    k8s_version = "none"

    @pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """Run these under one backend where time counts: hosts do not know which it is."""
        return str(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls, vm_workspace: Path) -> QemuDriver:  # noqa: ARG003 - has the image
        return QemuDriver()
