"""Keys: made once, for this user alone, and the same for everybody who asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import CorruptStateError, InvalidNameError
from kutti_sdk.runtime.directories import WORKSPACE_VARIABLE
from kutti_sdk.runtime.tasks import run_all
from kutti_sdk.ssh import cluster_key_pair, delete_cluster_key_pair, generate_host_key


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.anyio
async def test_a_cluster_keeps_its_key(workspace: Path) -> None:
    pair = await cluster_key_pair("lab")
    assert pair.private_path == workspace / "data" / "keys" / "lab" / "id_ed25519"
    assert pair.private_path.stat().st_mode & 0o777 == 0o600
    assert pair.private_path.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in pair.private_path.parent.iterdir()] == ["id_ed25519"]
    assert await cluster_key_pair("lab") == pair
    assert (await cluster_key_pair("other")).public_line != pair.public_line
    public = await anyio.run_process(["ssh-keygen", "-y", "-f", pair.private_path])
    assert public.stdout.decode().split()[:2] == pair.public_line.split()


@pytest.mark.anyio
async def test_deleting_a_key_makes_room_for_another() -> None:
    pair = await cluster_key_pair("lab")
    await delete_cluster_key_pair("lab")
    assert not pair.private_path.parent.exists()
    await delete_cluster_key_pair("lab")
    assert (await cluster_key_pair("lab")).public_line != pair.public_line


@pytest.mark.anyio
async def test_all_who_ask_at_once_get_the_same_key() -> None:
    pairs = await run_all(*[lambda: cluster_key_pair("lab")] * 10)
    assert len(set(pairs)) == 1


def test_processes_that_ask_at_once_get_the_same_key() -> None:
    program = (
        "import anyio, sys; from kutti_sdk.ssh import cluster_key_pair; print('up', flush=True);"
        "sys.stdin.readline(); print(anyio.run(cluster_key_pair, 'race').public_line)"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "up\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    lines = {racer.communicate()[0] for racer in racers}
    assert lines == {anyio.run(cluster_key_pair, "race").public_line + "\n"}


@pytest.mark.anyio
async def test_bad_names_touch_nothing(workspace: Path) -> None:
    for name in ("", "Lab", "../lab", "a" * 33):
        with pytest.raises(InvalidNameError):
            await cluster_key_pair(name)
        with pytest.raises(InvalidNameError):
            await delete_cluster_key_pair(name)


@pytest.mark.anyio
async def test_a_damaged_key_is_kept_and_told() -> None:
    pair = await cluster_key_pair("lab")
    for damage in (b"damaged", pair.private_path.read_bytes()[:200], b""):
        pair.private_path.write_bytes(damage)
        with pytest.raises(CorruptStateError, match="cannot be read") as caught:
            await cluster_key_pair("lab")
        assert pair.private_path.read_bytes() == damage
        assert caught.value.cluster == "lab"


def test_host_keys_are_new_each_time_and_not_shown() -> None:
    first, second = generate_host_key(), generate_host_key()
    assert first.public_line.startswith("ssh-ed25519 AAAA")
    assert len(first.public_line.split()) == 2
    assert first.public_line != second.public_line
    assert "PRIVATE" in first.private_text
    assert "PRIVATE" not in repr(first)


def test_neither_keys_nor_clients_load_asyncssh() -> None:
    program = (
        "import sys; from kutti_sdk.ssh import AsyncSSHClient, FanOut, generate_host_key;"
        "from kutti_sdk.core.ssh import SSHCredentials; AsyncSSHClient(SSHCredentials());"
        "generate_host_key(); sys.exit('asyncssh' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
