"""What killed processes of the QEMU driver leave is found, and mended without a risk."""

from __future__ import annotations

import os
import shutil
import socket
import sys

import anyio
import pytest
from broken_machine import found, make_host, make_network, says, start_qemu, start_switch

import kutti_sdk as kutti
from kutti_sdk.core.ports import PortForward
from kutti_sdk.drivers.qemu import lifecycle, services
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.directories import runtime_dir
from kutti_sdk.runtime.locks import locked

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("broken_workspace")]

# Longer than all of these take, shorter than a test that waits in vain.
SOON = 30


async def test_a_switch_whose_network_is_gone_is_found_and_ended() -> None:
    network = await make_network()
    switch = await start_switch(network)
    shutil.rmtree(network.files.folder)

    diagnosis = await kutti.diagnose("qemu")

    orphan = found(diagnosis, f"process {switch.pid}")
    assert orphan.severity is kutti.Severity.PROBLEM
    assert "there is no such network any more" in orphan.message
    assert processes.is_alive(switch), "looking changes nothing"
    assert not diagnosis.healthy

    mended = await diagnosis.mend()

    assert not processes.is_alive(switch)
    assert any(f"ended process {switch.pid}" in sentence for sentence in mended.mended)
    assert not says(mended, f"there is process {switch.pid}")
    assert not network.files.lock.exists(), "no lock of a network that is gone"


async def test_a_qemu_whose_host_is_gone_is_found_and_ended() -> None:
    network = await make_network()
    host = await make_host(network)
    qemu = await start_qemu(network, host)
    shutil.rmtree(host.files.folder)

    diagnosis = await kutti.diagnose("qemu")
    assert "there is no such host any more" in found(diagnosis, f"process {qemu.pid}").message

    await diagnosis.mend()
    assert not processes.is_alive(qemu)


async def test_a_qemu_whose_record_is_damaged_is_never_ended() -> None:
    network = await make_network()
    host = await make_host(network)
    qemu = await start_qemu(network, host)
    host.files.record.write_text("{ half")

    mended = await (await kutti.diagnose("qemu")).mend()

    assert processes.is_alive(qemu)
    assert host.files.record.read_text() == "{ half"
    assert found(mended, "record cannot be read").severity is kutti.Severity.PROBLEM


async def test_a_process_that_somebody_knows_again_is_left_alone() -> None:
    network = await make_network()
    host = await make_host(network)
    qemu = await start_qemu(network, host)
    record = host.files.record.read_bytes()
    host.files.record.unlink()
    diagnosis = await kutti.diagnose("qemu")
    assert found(diagnosis, f"process {qemu.pid}").mend is not None

    host.files.record.write_bytes(record)
    mended = await diagnosis.mend()

    assert processes.is_alive(qemu)
    assert any("it was left alone" in sentence for sentence in mended.mended)


async def test_a_host_whose_pid_file_is_gone_counts_as_running_again() -> None:
    network = await make_network()
    host = await make_host(network)
    qemu = await start_qemu(network, host)
    await start_switch(network)
    host.files.pid.unlink()
    assert lifecycle.host_process(host) is None

    diagnosis = await kutti.diagnose("qemu")
    assert found(diagnosis, "its pid file is gone").severity is kutti.Severity.PROBLEM
    assert not says(diagnosis, "processes that run no more"), "it needs its sockets"
    assert not says(diagnosis, "no host does"), "and its switch"

    await diagnosis.mend()
    assert lifecycle.host_process(host) == qemu


async def test_a_second_switch_without_its_pid_file_is_ended() -> None:
    network = await make_network()
    await make_host(network)
    lost = await start_switch(network)
    network.files.switch_pid.unlink()

    diagnosis = await kutti.diagnose("qemu")
    assert "its pid file does not name it" in found(diagnosis, f"process {lost.pid}").message

    await diagnosis.mend()
    assert not processes.is_alive(lost)


async def test_a_switch_and_a_gateway_that_a_running_host_has_lost_are_started_again() -> None:
    network = await make_network()
    host = await make_host(network)
    await start_qemu(network, host)

    diagnosis = await kutti.diagnose("qemu")
    assert found(diagnosis, "they cannot be reached").severity is kutti.Severity.PROBLEM

    mended = await diagnosis.mend()
    assert services.services_run(network)
    assert not says(mended, "they cannot be reached")


async def test_a_switch_that_no_host_needs_any_more_is_ended() -> None:
    network = await make_network()
    await make_host(network)
    idle = await start_switch(network)

    diagnosis = await kutti.diagnose("qemu")
    assert found(diagnosis, "no host does").severity is kutti.Severity.NOTE

    await diagnosis.mend()
    assert not processes.is_alive(idle)


async def test_services_that_a_host_needs_by_now_are_left_alone() -> None:
    network = await make_network()
    host = await make_host(network)
    switch = await start_switch(network)
    diagnosis = await kutti.diagnose("qemu")
    await start_qemu(network, host)
    await lifecycle.heal_services(host)

    mended = await diagnosis.mend()

    assert processes.is_alive(switch)
    assert any("were left alone" in sentence for sentence in mended.mended)


async def test_sockets_of_a_killed_qemu_are_swept() -> None:
    network = await make_network()
    host = await make_host(network)
    qemu = await start_qemu(network, host)
    os.kill(qemu.pid, 9)
    with anyio.fail_after(SOON):
        await processes.wait_for_exit(qemu)
    socket_file = network.sockets.monitor(host.id)
    assert socket_file.is_socket()

    diagnosis = await kutti.diagnose("qemu")
    stale = found(diagnosis, "processes that run no more")
    assert stale.severity is kutti.Severity.NOTE
    assert socket_file.name in stale.message

    mended = await diagnosis.mend()
    assert not socket_file.exists()
    assert not host.files.pid.exists()
    assert host.files.disk.exists()
    assert not says(mended, "processes that run no more")


async def test_a_host_that_is_being_started_is_not_judged() -> None:
    network = await make_network()
    host = await make_host(network)
    await start_qemu(network, host)
    async with locked(network.sockets.lock(host.id)):
        assert not says(await kutti.diagnose("qemu"), "they cannot be reached")
        host.files.pid.unlink()
        assert not says(await kutti.diagnose("qemu"), "its pid file is gone")


async def test_sockets_of_a_host_that_is_being_started_are_left_alone() -> None:
    network = await make_network()
    host = await make_host(network)
    network.sockets.monitor(host.id).touch()
    async with locked(network.sockets.lock(host.id)):
        diagnosis = await kutti.diagnose("qemu")
    assert not says(diagnosis, "processes that run no more")


async def test_sockets_of_networks_that_are_gone_are_swept() -> None:
    kept = await make_network("kept")
    gone = runtime_dir() / "0badcafe"
    gone.mkdir()
    (gone / "gateway.sock").touch()
    somebody_elses = runtime_dir() / "not-a-network"
    somebody_elses.mkdir()

    mended = await (await kutti.diagnose("qemu")).mend()

    assert not gone.exists()
    assert somebody_elses.exists()
    assert kept.sockets.folder.exists()
    assert any("0badcafe" in sentence for sentence in mended.mended)


async def test_sockets_of_a_process_of_another_data_folder_are_left_alone() -> None:
    folder = runtime_dir() / "0badcafe"
    folder.mkdir()
    waiting = [sys.executable, "-c", "input()", str(folder / "gateway.sock")]
    async with await anyio.open_process(waiting) as process:
        mended = await (await kutti.diagnose("qemu")).mend()
        assert folder.exists()
        assert not says(mended, "networks that are gone")
        process.kill()


async def test_sockets_may_be_those_of_a_network_whose_record_is_damaged() -> None:
    network = await make_network()
    network.files.record.write_text("{ half")

    diagnosis = await kutti.diagnose("qemu")
    assert "does not parse" in found(diagnosis, "network lab").message

    await diagnosis.mend()
    assert network.sockets.folder.exists()
    assert network.files.record.read_text() == "{ half"


async def test_half_made_hosts_and_networks_are_removed() -> None:
    network = await make_network()
    half = network.files.hosts / "lab" / ".node2"
    half.mkdir(parents=True)
    begun = network.files.folder.with_name("begun")
    begun.mkdir()

    diagnosis = await kutti.diagnose("qemu")
    assert ".node2" in found(diagnosis, "half made or half deleted").message
    assert "while making or deleting it" in found(diagnosis, "network begun").message

    await diagnosis.mend()
    assert not half.exists()
    assert not begun.exists()
    assert network.files.record.exists()


async def test_hosts_of_a_network_without_its_record_are_not_removed() -> None:
    network = await make_network()
    host = await make_host(network)
    network.files.record.unlink()

    mended = await (await kutti.diagnose("qemu")).mend()

    assert host.files.disk.exists()
    assert "there are hosts in it" in found(mended, "network lab").message


async def test_a_network_that_somebody_made_meanwhile_is_not_removed() -> None:
    begun = (await make_network()).files.folder.with_name("begun")
    begun.mkdir()
    diagnosis = await kutti.diagnose("qemu")
    network = await make_network("begun")

    mended = await diagnosis.mend()

    assert network.files.record.exists()
    assert any("it was left alone" in sentence for sentence in mended.mended)


async def test_who_works_on_a_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = await make_network()
    monkeypatch.setattr("kutti_sdk.drivers.qemu.diagnosis.strays.PATIENCE", 0.1)
    async with locked(network.files.lock):
        diagnosis = await kutti.diagnose("qemu")
    assert "another task of this process" in found(diagnosis, "network lab").message


async def test_a_gateway_that_does_not_answer_hides_nothing_else() -> None:
    network = await make_network()
    host = await make_host(network)
    await start_qemu(network, host)
    await lifecycle.heal_services(host)
    gateway = services.gateway_identity(network)
    assert gateway is not None
    network.sockets.gateway_monitor.unlink()

    diagnosis = await kutti.diagnose("qemu")

    assert "cannot be looked at" in found(diagnosis, "gateway.qmp").message
    assert says(diagnosis, "there is none on this machine"), "images are looked at after ports"


async def test_a_foreign_listener_on_a_port_of_a_host_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        network = await make_network()
        await make_host(network, PortForward(port, 22))

        diagnosis = await kutti.diagnose("qemu")

        taken = found(diagnosis, f"port {port} of this machine is taken")
        assert f"process {os.getpid()}" in taken.message
        assert "host node1 in cluster lab" in taken.message


async def test_a_forward_that_the_gateway_lost_is_made_again() -> None:
    network = await make_network()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        host = await make_host(network, PortForward(port, 22))
        await start_qemu(network, host)
        with pytest.raises(kutti.PortInUseError):
            await lifecycle.heal_services(host)
        diagnosis = await kutti.diagnose("qemu")
        assert f"port {port} does not lead" in found(diagnosis, "does not lead").message
    mended = await diagnosis.mend()
    assert any("lead to its host again" in sentence for sentence in mended.mended)
    assert not says(mended, "does not lead")
