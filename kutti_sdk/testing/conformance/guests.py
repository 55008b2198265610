"""What is inside: two booted hosts, alike in name and range, in two clusters.

The two are booted once and shared by all tests of a class.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import (
    CommandFailedError,
    CommandTimeoutError,
    FileTransferError,
    SSHConnectionError,
)
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import HostStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks

Twins = tuple[VMHost, VMHost]


class Guests(ConformanceHooks):
    """Commands, files and shutdowns reach the system inside, and no other."""

    async def test_a_host_calls_itself_by_its_name(self, twins: Twins) -> None:
        """The name outside is the host name inside."""
        for host in twins:
            client = await host.ssh_client()
            result = await client.run_with_results(await host.ssh_address(), "hostname", check=True)
            assert result.stdout == f"{host.name}\n"
            assert result.host
            await client.aclose()

    async def test_a_result_has_output_and_exit_status(self, twins: Twins) -> None:
        """A non-zero status is a result like any other."""
        client = await twins[0].ssh_client()
        address = await twins[0].ssh_address()
        said = await client.run_with_results(address, "echo hello; cat /no/such/file; exit 3")
        assert (said.stdout, said.exit_status, said.ok) == ("hello\n", 3, False)
        assert "/no/such/file" in said.stderr
        unknown = await client.run_with_results(address, "no-such-program")
        assert unknown.exit_status == 127
        with pytest.raises(CommandFailedError) as failure:
            await client.run_with_results(address, "exit 3", check=True)
        assert failure.value.result.exit_status == 3
        await client.aclose()

    async def test_a_command_reads_its_standard_input(self, twins: Twins) -> None:
        """As it is, to its end."""
        client = await twins[0].ssh_client()
        address = await twins[0].ssh_address()
        result = await client.run_with_results(address, "cat", stdin="line 1\nlíne 2\n")
        assert result.stdout == "line 1\nlíne 2\n"
        await client.aclose()

    async def test_a_command_that_takes_too_long_is_ended(self, twins: Twins) -> None:
        """And the connection goes on."""
        client = await twins[0].ssh_client()
        address = await twins[0].ssh_address()
        with pytest.raises(CommandTimeoutError):
            await client.run_with_results(address, "sleep 600", timeout=1.0)
        with anyio.move_on_after(0.05):
            await client.run_with_results(address, "sleep 2")
        assert (await client.run_with_results(address, "echo on")).stdout == "on\n"
        await client.aclose()

    async def test_output_can_be_followed(self, twins: Twins) -> None:
        """Then the exit status; leaving early ends the command."""
        client = await twins[0].ssh_client()
        address = await twins[0].ssh_address()
        async with client.stream(address, "echo one; sleep 1; echo two; exit 4") as running:
            text = "".join([piece.text async for piece in running if piece.stream == "stdout"])
            assert await running.wait() == 4
        assert text == "one\ntwo\n"
        async with client.stream(address, "echo one; sleep 600") as running:
            async for piece in running:
                assert piece.text == "one\n"
                break
        await client.aclose()

    async def test_files_go_there_and_back(self, twins: Twins, tmp_path: Path) -> None:
        """Bytes stay as they are, folders on request."""
        client = await twins[0].ssh_client()
        address = await twins[0].ssh_address()
        folder = tmp_path / "folder"
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "bytes").write_bytes(bytes(range(256)))
        (folder / "text").write_text("hello\n")
        await client.put(address, folder / "text", "/tmp/kutti-text")  # noqa: S108 - of the host
        said = await client.run_with_results(address, "cat /tmp/kutti-text")
        assert said.stdout == "hello\n"
        await client.put(address, folder, "/tmp", recurse=True)  # noqa: S108
        (tmp_path / "back").mkdir()
        await client.get(address, "/tmp/folder", tmp_path / "back", recurse=True)  # noqa: S108
        back = tmp_path / "back" / "folder"
        assert (back / "below" / "bytes").read_bytes() == bytes(range(256))
        assert (back / "text").read_text() == "hello\n"
        with pytest.raises(FileTransferError):
            await client.put(address, tmp_path / "missing", "/tmp/missing")  # noqa: S108
        with pytest.raises(FileTransferError):
            await client.get(address, "/tmp/missing", tmp_path / "missing")  # noqa: S108
        await client.aclose()

    async def test_clusters_that_look_alike_are_apart(self, twins: Twins, tmp_path: Path) -> None:
        """Same host name, same range, same address inside: two hosts nevertheless."""
        first, second = twins
        assert (first.name, first.ip_address) == (second.name, second.ip_address)
        assert await first.ssh_address() != await second.ssh_address()
        note = tmp_path / "note"
        note.write_text("mine")
        client = await first.ssh_client()
        await client.put(await first.ssh_address(), note, "/root/kutti-note")
        other = await second.ssh_client()
        address = await second.ssh_address()
        assert (await other.run_with_results(address, "cat /root/kutti-note")).exit_status == 1
        with pytest.raises(SSHConnectionError):  # its host key is not the one expected
            await client.run_with_results(address, "hostname")
        await client.aclose()
        await other.aclose()

    async def test_a_host_shuts_down_and_comes_back_with_its_disk(
        self, twins: Twins, tmp_path: Path
    ) -> None:
        """A cancelled shutdown can be asked for again; the twin runs on."""
        host, twin = twins
        client = await host.ssh_client()
        address = await host.ssh_address()
        note = tmp_path / "note"
        note.write_text("kept")
        await client.put(address, note, "/root/kept")
        await client.run_with_results(address, "sync")
        with anyio.move_on_after(0.05):
            await host.stop(self.stop_timeout)
        if await host.status() is HostStatus.RUNNING:
            await host.stop(self.stop_timeout)
        assert await host.status() is HostStatus.STOPPED
        assert await twin.status() is HostStatus.RUNNING
        with pytest.raises(SSHConnectionError):
            await client.run_with_results(address, "hostname")
        await host.start()
        assert await host.ssh_address() == address
        await self.wait_until_booted(host)
        assert (await client.run_with_results(address, "cat /root/kept")).stdout == "kept"
        await client.aclose()

    async def test_the_console_tells_of_the_boot(self, twins: Twins) -> None:
        """As many of its last lines as asked for."""
        console = await twins[0].console(5)
        assert console.strip()
        assert len(console.splitlines()) <= 5
        assert len((await twins[0].console(1)).splitlines()) == 1
