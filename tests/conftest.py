"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from kubernetes_bundle import find_or_build
from machine_images import VM_WORKSPACE, ensure_node_image

from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime.directories import set_workspace

# How fast an example is says more about the machine and its other work than about us.
settings.register_profile("kutti", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kutti")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every test that is marked ``anyio`` under both backends."""
    return str(request.param)


@pytest.fixture
def workspace() -> Iterator[Path]:
    """Keep all files of a test below a folder of its own, short enough for sockets in it."""
    with TemporaryDirectory(prefix="kutti-test-") as folder:
        set_workspace(folder)
        yield Path(folder)
        set_workspace(None)


@pytest.fixture(scope="session")
def node_image() -> str:
    """The version of a node image that is in the workspace for virtual machines."""
    set_workspace(VM_WORKSPACE)
    try:
        # In a thread of its own: where a browser is driven, this one has a loop already.
        with start_blocking_portal() as portal:
            portal.call(ensure_node_image)
    finally:
        set_workspace(None)
    return "none"


@pytest.fixture(scope="session")
def kubernetes_image(tmp_path_factory: pytest.TempPathFactory) -> LocalImage:
    """An image with Kubernetes that is in the workspace for virtual machines."""
    set_workspace(VM_WORKSPACE)
    try:
        with start_blocking_portal() as portal:
            return portal.call(find_or_build, tmp_path_factory.mktemp("container-images"))
    finally:
        set_workspace(None)


@pytest.fixture(scope="class")
def vm_workspace(node_image: str) -> Iterator[Path]:
    """The workspace for virtual machines, with the node image in it."""
    set_workspace(VM_WORKSPACE)
    yield VM_WORKSPACE
    set_workspace(None)
