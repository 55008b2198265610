"""A diagnosis: all findings together, mended without a risk, shown everywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from broken_machine import found, says

import kutti_sdk as kutti
from kutti_sdk.cli.main import main
from kutti_sdk.core.registry import registered
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.runtime.directories import data_dir, runtime_path
from kutti_sdk.runtime.locks import locked
from kutti_sdk.ssh.keys import cluster_key_pair

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace")]


@pytest.fixture
def driver() -> Iterator[SimulatedDriver]:
    simulated = SimulatedDriver(name="lab-driver")
    with registered({"lab-driver": simulated}):
        yield simulated


async def test_what_is_left_behind_is_found_mended_and_gone(driver: SimulatedDriver) -> None:
    driver.faults.leave_behind("a process without a host")

    diagnosis = await kutti.diagnose("lab-driver")
    assert not diagnosis.healthy
    assert diagnosis.summary.startswith("1 problem")
    assert driver.faults.left_behind(), "looking changes nothing"

    mended = await diagnosis.mend()
    assert mended.healthy
    assert mended.mended == ("took a process without a host away",)
    assert "took a process without a host away" in str(mended)


async def test_a_driver_that_cannot_work_is_a_problem_and_hides_no_other(
    driver: SimulatedDriver,
) -> None:
    error = kutti.DriverUnavailableError("no hypervisor", hint="Install one.")
    driver.faults.fail("diagnose", error=error)

    diagnosis = await kutti.diagnose("lab-driver")

    assert found(diagnosis, "no hypervisor").advice == "Install one."
    assert says(diagnosis, "disk space")


async def test_a_driver_with_a_fault_of_its_own_hides_no_other(driver: SimulatedDriver) -> None:
    driver.faults.fail("diagnose", error=ZeroDivisionError("oh"))
    diagnosis = await kutti.diagnose("lab-driver")
    assert found(diagnosis, "ZeroDivisionError").severity is kutti.Severity.PROBLEM
    assert says(diagnosis, "disk space")


async def test_a_driver_that_cannot_look_at_itself_is_asked_whether_it_can_work() -> None:
    class Plain(SimulatedDriver):
        diagnose = None  # type: ignore[assignment]

    driver = Plain(name="plain")
    with registered({"plain": driver}):
        assert "it can work here" in found(await kutti.diagnose("plain"), "driver plain").message
        driver.faults.fail("check", error=kutti.DriverUnavailableError("no hypervisor"))
        assert not (await kutti.diagnose("plain")).healthy


async def test_a_driver_that_nobody_knows_is_refused() -> None:
    with pytest.raises(kutti.DriverNotFoundError):
        await kutti.diagnose("vbox")


async def test_what_cannot_be_mended_is_told_and_the_rest_is_mended(
    driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.faults.leave_behind("a stone")
    driver.faults.leave_behind("a feather")
    take_away = driver.faults.take_away

    def refuse(what: str) -> None:
        if what == "a stone":
            raise kutti.HypervisorError("too heavy")
        take_away(what)

    monkeypatch.setattr(driver.faults, "take_away", refuse)
    mended = await (await kutti.diagnose("lab-driver")).mend()
    assert mended.mended == ("lab-driver: not mended: too heavy", "took a feather away")
    assert found(mended, "a stone").severity is kutti.Severity.PROBLEM


async def test_what_mending_brings_to_light_is_mended_as_well(
    driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.faults.leave_behind("a process")
    take_away = driver.faults.take_away

    def uncover(what: str) -> None:
        take_away(what)
        if what == "a process":
            driver.faults.leave_behind("its socket")

    monkeypatch.setattr(driver.faults, "take_away", uncover)
    mended = await (await kutti.diagnose("lab-driver")).mend()
    assert mended.healthy
    assert mended.mended == ("took a process away", "took its socket away")


async def test_rights_of_others_are_found_and_taken_away(driver: SimulatedDriver) -> None:
    key = (await cluster_key_pair("lab")).private_path
    for path in (key, data_dir(), runtime_path()):
        path.chmod(0o755)

    diagnosis = await kutti.diagnose("lab-driver")
    exposed = found(diagnosis, "others may use").message
    assert all(str(path) in exposed for path in (key, data_dir(), runtime_path()))

    mended = await diagnosis.mend()
    assert mended.healthy
    assert [path.stat().st_mode & 0o077 for path in (key, data_dir(), runtime_path())] == [0] * 3


async def test_a_runtime_folder_that_is_a_link_is_told_and_left_alone(
    tmp_path: Path, driver: SimulatedDriver
) -> None:
    runtime = runtime_path()
    runtime.rmdir()
    runtime.symlink_to(tmp_path)
    tmp_path.chmod(0o755)

    mended = await (await kutti.diagnose("lab-driver")).mend()

    assert not mended.healthy
    assert tmp_path.stat().st_mode & 0o777 == 0o755


async def test_files_of_killed_writers_are_removed_once_nobody_can_be_writing_them(
    driver: SimulatedDriver,
) -> None:
    old, young = data_dir() / ".a.json.0badcafe.new", data_dir() / ".b.json.0badcafe.new"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))

    diagnosis = await kutti.diagnose("lab-driver")
    assert young.name not in found(diagnosis, old.name).message

    await diagnosis.mend()
    assert not old.exists()
    assert young.exists()


async def test_who_holds_a_lock_is_named(driver: SimulatedDriver) -> None:
    async with locked(data_dir() / "clusters" / "lab.lock"):
        held = found(await kutti.diagnose("lab-driver"), "lab.lock is held")
    assert "another task of this process" in held.message
    assert says(await kutti.diagnose("lab-driver"), "nobody holds one")


async def test_a_cluster_tells_which_of_its_hosts_are_missing(driver: SimulatedDriver) -> None:
    cluster = await kutti.cluster("lab").using("lab-driver").nodes(2).ensure()
    assert "2 of 2 hosts run" in found(await kutti.diagnose(), "cluster lab").message
    await cluster["node2"].force_stop()
    await driver.delete_host("node2", "lab", "lab")
    assert "missing: node2" in found(await kutti.diagnose(), "cluster lab").message


async def test_a_damaged_record_of_a_cluster_is_a_problem_and_stays(
    driver: SimulatedDriver,
) -> None:
    await kutti.cluster("sound").using("lab-driver").nodes(1).ensure()
    damaged = data_dir() / "clusters" / "lab.json"
    damaged.write_text("{ half")

    mended = await (await kutti.diagnose("lab-driver")).mend()

    assert "does not parse" in found(mended, "cluster lab").message
    assert "1 of 1" in found(mended, "cluster sound").message
    assert damaged.read_text() == "{ half"


async def test_folders_that_cannot_be_used_are_told(
    workspace: Path, driver: SimulatedDriver
) -> None:
    (workspace / "file").touch()
    kutti.set_workspace(workspace / "file" / "below")
    diagnosis = await kutti.diagnose("lab-driver")
    assert not diagnosis.healthy
    assert "cannot be made" in str(diagnosis)
    assert says(diagnosis, "simulated hosts are in order")


async def test_a_slow_driver_can_be_cancelled(driver: SimulatedDriver) -> None:
    driver.faults.hang("diagnose")
    with anyio.move_on_after(0.2) as scope:
        await kutti.diagnose("lab-driver")
    assert scope.cancelled_caught


def test_the_command_tells_mends_and_writes_an_archive(
    tmp_path: Path, driver: SimulatedDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.faults.leave_behind("a process [red]without a host")
    command = ["doctor", "--driver", "lab-driver"]
    assert main(command) == 1
    told = capsys.readouterr().out
    assert "a process [red]without a host" in told
    assert "doctor --mend" in told

    archive = tmp_path / "logs.tar.gz"
    assert main([*command, "--mend", "--bundle", str(archive)]) == 0
    assert "took a process [red]without a host away" in capsys.readouterr().out
    assert archive.exists()
    assert main(command) == 0
