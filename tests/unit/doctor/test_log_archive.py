"""The log archive: what helps from afar is in it, and no secret that was planted."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from broken_machine import make_host, make_network
from planted_secrets import HEX, JWT, KEY, LINE, TOKEN

import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.runtime.directories import config_dir, data_dir
from kutti_sdk.ssh.keys import cluster_key_pair

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace")]


def content(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        files = {it.name.removeprefix("kutti-logs/"): opened.extractfile(it) for it in members}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


async def test_what_helps_is_in_it_and_secrets_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = await make_network()
    host = await make_host(network)
    keys = await cluster_key_pair("lab")
    private = keys.private_path.read_text().splitlines()[2]
    kubeconfig = data_dir() / "clusters" / "lab.kubeconfig"
    kubeconfig.parent.mkdir()
    kubeconfig.write_text(f"users: [{{user: {{token: {JWT}}}}}]")
    host.files.identity.write_text(f"io.systemd.credential.binary:tmpfiles.extra={HEX}")
    host.files.enrolment.write_text(KEY)
    host.files.console.write_text(f"boot\n{TOKEN[:3]}\x1b[0m{TOKEN[3:]}\n{KEY}ready\n")
    network.files.switch_log.write_text("node1 asks for its address\n")
    (config_dir() / "qemu.toml").write_text('proxy = "http://ada:lovelace@proxy:3128"\n')
    monkeypatch.setenv("https_proxy", "http://ada:lovelace@proxy:3128")
    monkeypatch.setenv("KUTTI_QEMU_IMAGE_LIST", "https://mirror.example/list.json")

    diagnosis = await kutti.diagnose("qemu")
    written = content(await diagnosis.write_archive(tmp_path / "logs.tar.gz"))

    everything = "\n".join(written.values())
    for secret in (private, JWT, LINE, HEX, TOKEN, "lovelace"):
        assert secret not in everything
    assert not [name for name in written if "id_ed25519" in name or "kubeconfig" in name]
    base = "data/qemu/networks/lab"
    assert "ready" in written[f"{base}/hosts/lab/node1/console.log"]
    assert "asks for its address" in written[f"{base}/switch.log"]
    assert host.uuid in written[f"{base}/hosts/lab/node1/host.json"]
    assert "proxy:3128" in written["config/qemu.toml"]
    assert "mirror.example" in written["settings.txt"]
    assert "kutti_sdk 0" in written["versions.txt"]
    assert "asyncssh" in written["versions.txt"]
    assert "is not on this machine" in written["findings.txt"]
    assert "-rw------- " in written["files.txt"]
    assert "keys/lab/id_ed25519" in written["files.txt"], "that it is there, and its rights"


async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    diagnosis = await kutti.diagnose("simulated")
    archive = await diagnosis.write_archive(tmp_path / "logs.tar.gz")
    assert archive.stat().st_mode & 0o777 == 0o600


async def test_only_the_end_of_a_long_console_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.doctor.archive._TAIL", 20)
    host = await make_host(await make_network())
    host.files.console.write_text("password: lovelace\nthe end is near\n")
    diagnosis = await kutti.diagnose("qemu")
    written = content(await diagnosis.write_archive(tmp_path / "logs.tar.gz"))
    (console,) = [text for name, text in written.items() if name.endswith("console.log")]
    assert console == "(its end)\nthe end is near\n"


async def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.tar.gz"
    kept.write_text("years of work")
    with pytest.raises(kutti.InvalidInputError):
        await (await kutti.diagnose("simulated")).write_archive(kept)
    assert kept.read_text() == "years of work"


async def test_a_link_is_not_followed_out_of_our_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("of somebody else")
    link = data_dir() / "console.log"
    link.symlink_to(outside)

    async def log_files(_: object) -> list[Path]:
        return [link, outside]

    monkeypatch.setattr(SimulatedDriver, "log_files", log_files)
    diagnosis = await kutti.diagnose("simulated")
    written = content(await diagnosis.write_archive(tmp_path / "logs.tar.gz"))
    assert "of somebody else" not in "\n".join(written.values())
