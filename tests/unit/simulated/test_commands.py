from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import (
    CommandTimeoutError,
    FileTransferError,
    HostKeyMismatchError,
    SSHConnectionError,
    SSHError,
)
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.drivers.simulated import Answer, CommandCall, SimulatedDriver
from kutti_sdk.runtime.island import on_island

pytestmark = pytest.mark.anyio


@pytest.fixture
async def up(host: VMHost) -> VMHost:
    await host.start()
    return host


async def _run(host: VMHost, command: str, **options: str | float) -> CommandResult:
    client = await host.ssh_client()
    return await client.run_with_results(await host.ssh_address(), command, **options)  # type: ignore[arg-type]


async def test_a_command_says_what_was_scripted(driver: SimulatedDriver, up: VMHost) -> None:
    driver.commands.answer("kubeadm init*", stdout="done\n", stderr="warned\n", exit_status=3)
    result = await _run(up, "kubeadm init --v=5")
    assert (result.stdout, result.stderr, result.exit_status) == ("done\n", "warned\n", 3)


async def test_later_scripts_go_before_and_run_out(driver: SimulatedDriver, up: VMHost) -> None:
    driver.commands.answer("uptime", stdout="always")
    driver.commands.answer("uptime", stdout="twice", times=2)
    driver.commands.answer("uptime", stdout="elsewhere", host="node2")
    assert [(await _run(up, "uptime")).stdout for _ in range(3)] == ["twice", "twice", "always"]


async def test_patterns_are_texts_wildcards_or_regular_expressions(
    driver: SimulatedDriver, up: VMHost
) -> None:
    driver.commands.answer("get -o jsonpath={.items[0]}", stdout="as it is")
    driver.commands.answer("get pod?", stdout="wildcard")
    driver.commands.answer(re.compile(r"\bnodes$"), stdout="expression")
    assert (await _run(up, "get -o jsonpath={.items[0]}")).stdout == "as it is"
    assert (await _run(up, "get pods")).stdout == "wildcard"
    assert (await _run(up, "kubectl get nodes")).stdout == "expression"


async def test_a_function_can_answer(driver: SimulatedDriver, up: VMHost) -> None:
    def shout(call: CommandCall) -> Answer:
        return Answer(stdout=f"{call.host}: {(call.stdin or '').upper()}")

    driver.commands.answer_with("shout", shout)
    assert (await _run(up, "shout", stdin="hello")).stdout == "node1: HELLO"


async def test_commands_that_were_run_are_remembered(driver: SimulatedDriver, up: VMHost) -> None:
    await _run(up, "true")
    await _run(up, "cat", stdin="x")
    assert driver.commands.calls == (
        CommandCall("true", "node1", "lab"),
        CommandCall("cat", "node1", "lab", "x"),
    )
    driver.commands.clear()
    assert driver.commands.calls == ()


async def test_a_slow_answer_takes_simulated_time_line_by_line(
    driver: SimulatedDriver, up: VMHost
) -> None:
    driver.commands.answer("slow", stdout="one\ntwo\n", seconds=300)
    client = await up.ssh_client()
    address = await up.ssh_address()
    await client.wait_until_ready(address)
    before = driver.clock.now()
    async with client.stream(address, "slow") as running:
        times = [(piece.text, driver.clock.now() - before) async for piece in running]
        assert await running.wait() == 0
    assert times == [
        ("one\n", pytest.approx(100, abs=1)),
        ("two\n", pytest.approx(200, abs=1)),
    ]
    assert driver.clock.now() - before == pytest.approx(300, abs=1)
    with pytest.raises(CommandTimeoutError):
        await client.run_with_results(address, "slow", timeout=299)
    assert (await client.run_with_results(address, "slow", timeout=301)).duration > 300


async def test_waiting_without_reading_gives_the_exit_status(up: VMHost) -> None:
    client = await up.ssh_client()
    async with client.stream(await up.ssh_address(), "echo unread; exit 5") as running:
        assert await running.wait() == 5


@pytest.mark.parametrize(
    ("command", "stdout", "exit_status"),
    [
        ("echo 'a  b' c", "a  b c\n", 0),
        ("true && echo yes || echo no", "yes\n", 0),
        ("false && echo yes || echo no", "no\n", 0),
        ("false; echo on\necho again", "on\nagain\n", 0),
        ("exit 300", "", 44),
        ("false", "", 1),
        ("", "", 0),
        ("cat /etc/hostname", "node1\n", 0),
        ("hostname -I", "192.168.125.11\n", 0),
        ("whoami; uname", "root\nLinux\n", 0),
        ("mkdir -p /srv/www/x && ls /srv/www", "x\n", 0),
        ("cat /etc", "", 1),
        ("ls /nowhere", "", 2),
        ("no-such-program --now", "", 127),
        ("sleep soon", "", 1),
    ],
)
async def test_the_pretended_shell_does_what_shells_do(
    up: VMHost, command: str, stdout: str, exit_status: int
) -> None:
    result = await _run(up, command)
    assert (result.stdout, result.exit_status) == (stdout, exit_status)


@pytest.mark.parametrize("command", ["ls | wc", "echo x > y", "sleep 9 &", "(true)", "echo 'x"])
async def test_the_pretended_shell_says_what_it_cannot(up: VMHost, command: str) -> None:
    result = await _run(up, command)
    assert result.exit_status == 2
    assert "simulated shell" in result.stderr


async def test_connecting_waits_for_a_boot_of_less_than_half_a_minute(
    driver: SimulatedDriver, up: VMHost
) -> None:
    before = driver.clock.now()
    assert (await _run(up, "hostname")).ok
    assert driver.clock.now() - before >= 10


async def test_a_stopped_host_cannot_be_reached(host: VMHost) -> None:
    with pytest.raises(SSHConnectionError) as failure:
        await _run(host, "true")
    assert failure.value.host == "node1"


async def test_an_address_that_leads_nowhere_or_elsewhere_is_refused(
    driver: SimulatedDriver, up: VMHost
) -> None:
    other = await driver.create_host("node2", "lab", "lab", "1.34")
    port = await other.forward_ssh_port()
    web = await up.forward_port(0, 80)
    await other.start()
    client = await up.ssh_client()
    for address in ("127.0.0.1:1", f"127.0.0.1:{web}", "192.168.125.11"):
        with pytest.raises(SSHConnectionError):
            await client.run_with_results(address, "true")
    with pytest.raises(HostKeyMismatchError):
        await client.run_with_results(f"127.0.0.1:{port}", "true")


async def test_there_is_no_interactive_shell(up: VMHost) -> None:
    client = await up.ssh_client()
    with pytest.raises(SSHError, match="no terminal"):
        await client.run_interactive_shell(await up.ssh_address())


async def test_files_stay_on_a_host_that_is_stopped(up: VMHost, tmp_path: Path) -> None:
    client = await up.ssh_client()
    address = await up.ssh_address()
    (tmp_path / "note").write_text("kept")
    await client.put(address, tmp_path / "note", "note")
    await up.stop()
    await up.start()
    assert (await _run(up, "cat /root/note")).stdout == "kept"
    assert (await _run(up, "cat ../root/./note")).stdout == "kept"
    await client.get(address, "/root/note", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "kept"


async def test_files_that_cannot_be_copied_say_why(up: VMHost, tmp_path: Path) -> None:
    client = await up.ssh_client()
    address = await up.ssh_address()
    (tmp_path / "note").write_text("x")
    with pytest.raises(FileTransferError, match="recurse"):
        await client.put(address, tmp_path, "/tmp")
    with pytest.raises(FileTransferError, match="recurse"):
        await client.get(address, "/etc", tmp_path)
    with pytest.raises(FileTransferError, match="FileNotFoundError"):
        await client.put(address, tmp_path / "note", "/no/such/folder/note")
    with pytest.raises(FileTransferError):
        await client.get(address, "/etc/hostname", tmp_path / "no" / "such" / "folder")


async def test_a_client_works_on_the_asyncio_island(driver: SimulatedDriver, up: VMHost) -> None:
    driver.commands.answer("work", seconds=60)
    client = await up.ssh_client()
    address = await up.ssh_address()
    results: list[CommandResult] = []

    async def run(where: str) -> None:
        if where == "island":
            results.append(await on_island(client.run_with_results, address, "work"))
        else:
            results.append(await client.run_with_results(address, "work"))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for where in ("here", "island", "here", "island"):
                group.start_soon(run, where)
    assert [result.ok for result in results] == [True] * 4
