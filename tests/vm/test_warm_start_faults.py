"""What goes wrong while templates are made and used: hosts boot then, and nothing is left.

The hosts boot a disk of one sector, so that each test takes seconds. It has no guest
agent and was not made by our builder; these two things are pretended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from bare_hosts import driver_without_hosts
from pretended_agent import PretendedAgent, environment, pretend

import kutti_sdk as kutti
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import QemuDriver, layout, machine, records, resume
from kutti_sdk.drivers.qemu.templates import fit, making, store
from kutti_sdk.runtime import processes
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE

pytestmark = [
    pytest.mark.anyio,
    # One is enough: `test_warm_start` has the other.
    pytest.mark.parametrize("anyio_backend", ["trio"]),
]

PLACE = ("lab", "lab", "1.34")
SIZE: dict[str, Any] = {"cpus": 1, "memory": "128MiB", "disk": "1GiB"}


class Agent(PretendedAgent):
    """Boots what is to become a template, and notes what hosts that go on are told to be."""

    def __init__(self) -> None:
        super().__init__()
        self.boots = 0
        self.cards_in_sight: list[int] = []

    @property
    def identities(self) -> list[dict[str, str]]:
        return [dict(line.split("=", 1) for line in it.splitlines()) for it in self.values]

    async def run(self, interpreter: str, script: bytes) -> None:
        if interpreter == "/bin/sh":  # a host that is to become a template
            self.boots += 1
            await _boot_message(next(layout.templates_folder().glob(".*/console.log")))
            return
        self.cards_in_sight.append(await _cards_in_sight())
        await super().run(interpreter, script)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    pretended = Agent()
    monkeypatch.setattr(fit, "is_known_to_start_well", lambda _: True)
    with pretend(pretended):
        yield pretended


@pytest.fixture
async def driver(agent: Agent) -> AsyncIterator[QemuDriver]:
    """A driver with an image and a network."""
    async with driver_without_hosts() as driver:
        yield driver
        half_made = list(layout.templates_folder().glob(".*/"))
    assert not half_made


async def _cards_in_sight() -> int:
    """Count the network cards that the switch connects to."""
    network = await records.load_network("lab")
    return len(list(network.sockets.ports.glob("*.sock")))


async def _boot_message(console: Path) -> None:
    with anyio.fail_after(60):
        while not console.exists() or BOOT_MESSAGE not in console.read_text():
            await anyio.sleep(0.05)


async def _warm_up(driver: QemuDriver) -> None:
    await (await driver.get_image("1.34")).warm_up(**SIZE)


async def _make(driver: QemuDriver, name: str = "node1") -> kutti.VMHost:
    return await driver.create_host(name, *PLACE, **SIZE)


async def _templates() -> list[str]:
    return [template.name for template in await store.load_templates()]


def _console(host: kutti.VMHost) -> Path:
    return layout.network_files("lab").host("lab", host.name).console


async def _boots(host: kutti.VMHost) -> None:
    assert await host.status() is HostStatus.RUNNING
    await _boot_message(_console(host))


async def test_new_hosts_go_on_as_themselves_and_boot_from_then_on(
    driver: QemuDriver, agent: Agent
) -> None:
    await _warm_up(driver)
    hosts = [await _make(driver, name) for name in ("node1", "node2")]
    for host in hosts:
        await host.start()
        assert await host.status() is HostStatus.RUNNING
        assert _console(host).read_text() == "", "it has nothing to say, since it does not boot"
    assert [it["name"] for it in agent.identities] == ["node1", "node2"]
    assert agent.cards_in_sight == [0, 1], "nobody meets it before it knows who it is"
    assert await _cards_in_sight() == 2
    for own in ("seed", "mac", "machine_id", "host_key", "uuid", "address", "network", "hosts"):
        assert len({it[own] for it in agent.identities}) == 2, own
    assert len({it["authorized_key"] for it in agent.identities}) == 1, "it is one cluster"
    await hosts[0].force_stop()
    await hosts[0].start()
    await _boots(hosts[0])
    assert len(agent.identities) == 2


async def test_a_host_that_shall_boot_does(driver: QemuDriver) -> None:
    await _warm_up(driver)
    host = await driver.create_cold_host("node1", *PLACE, **SIZE)
    await host.start()
    await _boots(host)


async def test_hosts_of_another_size_boot(driver: QemuDriver) -> None:
    await _warm_up(driver)
    host = await driver.create_host("node1", *PLACE, **{**SIZE, "memory": "160MiB"})
    await host.start()
    await _boots(host)


async def test_a_template_that_qemu_does_not_take_is_told_and_the_host_boots(
    driver: QemuDriver, caplog: pytest.LogCaptureFixture
) -> None:
    await _warm_up(driver)
    host = await _make(driver)
    devices = (await store.load_templates())[0].files.state.devices
    content = devices.read_bytes()
    devices.write_bytes(content[:100] + bytes(len(content) - 100))
    events: list[kutti.ProgressEvent] = []
    with kutti.observe(events.append):
        await host.start()
    await _boots(host)
    told = [event.message for event in events if event.phase == "warning"]
    assert len(told) == 1
    assert told[0].startswith("node1 boots, because its template cannot be used: ")
    assert told[0] in caplog.text
    assert await _templates() == [], "it is not tried a second time"


async def test_a_template_that_wakes_up_silent_is_told_and_the_host_boots(
    driver: QemuDriver, agent: Agent
) -> None:
    await _warm_up(driver)
    host = await _make(driver)
    agent.error = kutti.HypervisorError("the guest agent does not answer")
    await host.start()
    await _boots(host)
    assert await _templates() == []


async def test_a_host_whose_first_start_was_killed_boots(driver: QemuDriver) -> None:
    await _warm_up(driver)
    host = await _make(driver)
    state = resume.ResumeFiles((await records.load_host("node1", "lab", "lab")).files.resume)
    resume._use_up(state)  # and then the process was killed
    assert state.folder.exists()
    await host.start()
    await _boots(host)


async def test_a_host_whose_qemu_is_another_by_now_boots(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await _warm_up(driver)
    host = await _make(driver)
    monkeypatch.setitem(machine.CPU_MODELS, "tcg", "qemu64,+rdrand")
    await host.start()
    await _boots(host)
    assert "CPU model" in caplog.text


async def test_a_template_that_does_not_fit_any_more_is_made_anew_and_never_tried(
    driver: QemuDriver, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _warm_up(driver)
    before = await _templates()
    monkeypatch.setitem(machine.CPU_MODELS, "tcg", "qemu64,+rdrand")
    host = await _make(driver)
    assert not (await records.load_host(host.name, "lab", "lab")).layers
    await _warm_up(driver)
    assert agent.boots == 2
    after = await _templates()
    assert len(after) == 1
    assert after != before


async def test_a_damaged_template_is_not_used_and_made_anew(
    driver: QemuDriver, agent: Agent
) -> None:
    await _warm_up(driver)
    (template,) = await store.load_templates()
    os.truncate(template.files.state.memory, 4096)
    host = await _make(driver)
    await host.start()
    await _boots(host)
    await _warm_up(driver)
    assert await _templates() == [template.name]
    assert agent.boots == 2


async def test_two_who_want_one_template_share_it(driver: QemuDriver, agent: Agent) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(_warm_up, driver)
    assert agent.boots == 1


async def test_templates_go_with_their_image_and_hosts_stay(driver: QemuDriver) -> None:
    await _warm_up(driver)
    image = await driver.get_image("1.34")
    assert (await image.details()).templates > 0
    host = await _make(driver)
    await image.cool_down()
    assert await _templates() == []
    await host.start()
    assert await host.status() is HostStatus.RUNNING, "it has links to all that it needs"
    await host.force_stop()
    await host.start()
    await _boots(host)
    await _warm_up(driver)
    with pytest.raises(kutti.ImageInUseError):
        await image.purge_local()
    assert len(await _templates()) == 1
    await host.force_stop()
    await driver.delete_host("node1", "lab", "lab")
    await image.purge_local()
    assert await _templates() == []


async def test_what_a_killed_maker_left_is_removed_by_the_next_call(driver: QemuDriver) -> None:
    await _warm_up(driver)
    program = (
        "import contextlib, anyio, kutti_sdk\n"
        "from kutti_sdk.drivers.qemu import QemuDriver\n"
        "from kutti_sdk.drivers.qemu.templates import fit, making\n"
        "fit.is_known_to_start_well = lambda _: True\n"
        "@contextlib.asynccontextmanager\n"
        "async def agent(*_, **__): print('now', flush=True); await anyio.sleep(600); yield\n"
        "making.guest_agent = agent\n"
        "async def main():\n"
        "    image = await QemuDriver().get_image('1.34')\n"
        "    await image.warm_up(cpus=1, memory='160MiB', disk='1GiB')\n"
        "anyio.run(main)\n"
    )
    env = environment(KUTTI_WORKSPACE=str(kutti.data_dir().parent))
    async with await anyio.open_process([sys.executable, "-c", program], env=env) as maker:
        assert maker.stdout is not None
        await maker.stdout.receive()
        maker.kill()
    (left,) = layout.templates_folder().glob(".*.*/")
    qemu = processes.identify(int((left / "qemu.pid").read_text()))
    assert qemu is not None, "it runs on"
    await _make(driver)
    assert not left.exists()
    assert not processes.is_alive(qemu)


async def test_a_cancelled_making_leaves_nothing(driver: QemuDriver) -> None:
    for delay in (0.05, 0.3, 0.6):
        with anyio.move_on_after(delay):
            await _warm_up(driver)
        assert not list(layout.templates_folder().glob(".*/"))


async def test_a_template_that_would_not_fit_on_the_disk_is_refused(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(total=10**12, used=10**9, free=10**6)
    monkeypatch.setattr(making.shutil, "disk_usage", lambda _: full)
    with pytest.raises(kutti.NotEnoughDiskError) as refusal:
        await _warm_up(driver)
    assert refusal.value.hint


async def test_many_new_hosts_get_a_template_first_and_a_few_do_not(
    driver: QemuDriver, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making.os, "cpu_count", lambda: 2)
    size = HostSize.parse(**SIZE)
    await driver.prepare_hosts("1.34", [size] * 4)
    assert agent.boots == 0
    await driver.prepare_hosts("1.34", [size] * 5)
    assert agent.boots == 1


async def test_hosts_are_made_although_a_template_cannot_be(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise kutti.HypervisorError("it does not want to")

    monkeypatch.setattr(making, "save_devices", fail)
    events: list[kutti.ProgressEvent] = []
    with kutti.observe(events.append):
        await driver.prepare_hosts("1.34", [HostSize.parse(**SIZE)] * 100)
    assert "it does not want to" in next(it.message for it in events if it.phase == "warning")
    assert not list(layout.templates_folder().glob(".*/"))


async def test_the_template_of_a_host_holds_no_key_of_a_cluster(driver: QemuDriver) -> None:
    await _warm_up(driver)
    (template,) = await store.load_templates()
    names = {path.name for path in template.files.folder.iterdir()}
    assert names == {"template.json", "memory", "devices", template.disk}
    await anyio.run_process(["qemu-img", "check", str(template.files.folder / template.disk)])
