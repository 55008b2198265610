"""A QEMU without a part that is needed: told by what it lacks, and not only by its words."""

from __future__ import annotations

from pathlib import Path

import pytest
from crippled_qemu import write_crippled_qemu

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import QemuDriver, records, services
from kutti_sdk.drivers.qemu.binaries import find_qemu


@pytest.mark.anyio
@pytest.mark.usefixtures("workspace")
async def test_a_network_cannot_start_without_user_mode_networking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_crippled_qemu(tmp_path)
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(tmp_path))
    await QemuDriver().create_network("lab")
    network = await records.load_network("lab")
    try:
        with pytest.raises(kutti.HypervisorError, match="-sandbox support") as refusal:
            await services.ensure_services(await find_qemu(), network, [])
        assert "built without -netdev user, -sandbox on" in (refusal.value.hint or "")
    finally:
        await services.stop_services(network)
