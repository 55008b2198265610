"""The scripts that run on nodes: their shell is right, and jobs are started once.

systemd is the part that cannot run here; two small programs stand in for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from base64 import b64decode
from pathlib import Path
from typing import cast

import anyio
import pytest

from kutti_sdk.kubernetes import (
    container_images,
    jobs,
    node_facts,
    node_table,
    pod_network,
    removal,
    vigil,
)
from kutti_sdk.kubernetes.guest import _WRITE, Guest, _written
from kutti_sdk.kubernetes.pod_network import PodRange, connect_pods, route_pods

SYSTEMD_RUN = """\
#!/bin/sh
# systemd-run --quiet --collect --unit=NAME --setenv=... --setenv=... sh -c SCRIPT
[ -e "$STATE/active" ] && exit 1
echo started >>"$STATE/starts"
shift 5
touch "$STATE/active"
setsid sh -c '"$@"; rm "$STATE/active" "$STATE/pid"' sh "$@" </dev/null >/dev/null 2>&1 &
echo $! >"$STATE/pid"
"""

SYSTEMCTL = """\
#!/bin/sh
case $1 in
is-active) [ -e "$STATE/active" ] ;;
show) cat "$STATE/pid" 2>/dev/null || echo 0 ;;
esac
"""


class Node:
    """A folder in the place of a node, whose systemd is two small programs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", SYSTEMCTL)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STATE": str(folder),
        }
        monkeypatch.setattr(jobs, "JOBS", str(folder / "jobs"))

    def job(self, command: str, *, run: str = "a", skip: int = 0) -> subprocess.Popen[str]:
        script = jobs._script("work", command, run=run, skip=skip)
        return subprocess.Popen(
            ["sh", "-c", script],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def starts(self) -> int:
        path = self.folder / "starts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_output_and_exit_status_of_a_job_are_those_of_its_command(node: Node) -> None:
    following = node.job("echo one; echo two >&2; exit 7")
    output, _ = following.communicate(timeout=30)
    assert (output, following.returncode) == ("one\ntwo\n", 7)
    assert (node.folder / "jobs" / "work.status").read_text() == "7\n"


def test_two_who_want_a_job_follow_one_run(node: Node) -> None:
    go = node.folder / "go"
    command = f"echo begun; until [ -e {go} ]; do sleep 0.05; done; echo done"
    first = node.job(command, run="a")
    assert first.stdout is not None
    assert first.stdout.readline() == "begun\n"
    second = node.job(command, run="b")
    assert second.stdout is not None
    assert second.stdout.readline() == "begun\n"
    go.touch()
    assert first.communicate(timeout=30)[0] == "done\n"
    assert second.communicate(timeout=30)[0] == "done\n"
    assert (first.returncode, second.returncode, node.starts) == (0, 0, 1)


def test_a_follower_that_was_cut_off_gets_the_rest(node: Node) -> None:
    first = node.job("echo one; echo two")
    first.communicate(timeout=30)
    again = node.job("echo one; echo two", skip=len("one\n"))
    assert again.communicate(timeout=30)[0] == "two\n"
    assert again.returncode == 0
    assert node.starts == 1, "it ended while the line was lost, and is not begun anew"


def test_a_job_outlives_its_follower(node: Node) -> None:
    go = node.folder / "go"
    following = node.job(f"echo begun; until [ -e {go} ]; do sleep 0.05; done; exit 3")
    assert following.stdout is not None
    following.stdout.readline()
    os.killpg(following.pid, signal.SIGTERM)  # as an SSH server does
    following.communicate(timeout=30)
    go.touch()
    status = node.folder / "jobs" / "work.status"
    deadline = time.monotonic() + 30
    while not status.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status.read_text() == "3\n"


def test_another_run_begins_anew(node: Node) -> None:
    node.job("exit 1", run="a").communicate(timeout=30)
    again = node.job("echo better", run="b")
    assert again.communicate(timeout=30)[0] == "better\n"
    assert (again.returncode, node.starts) == (0, 2)


def test_files_are_written_as_a_whole_and_for_root_alone(tmp_path: Path) -> None:
    secret, empty = tmp_path / "folder" / "it's.here", tmp_path / "empty"
    files = {str(secret): "two\nlines\n", str(empty): ""}
    subprocess.run(["sh", "-c", _WRITE], input=_written(files), text=True, check=True)
    assert (secret.read_text(), empty.read_text()) == ("two\nlines\n", "")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert [it.name for it in secret.parent.iterdir()] == [secret.name]


class Recorder:
    """Stands in for a guest: runs nothing and keeps the scripts."""

    name = "node2"

    def __init__(self) -> None:
        self.scripts: list[str] = []

    @property
    def guest(self) -> Guest:
        return cast(Guest, self)

    async def do(self, title: str, script: str, **_: object) -> str:
        self.scripts.append(script)
        return ""


RANGES = {
    "node1": PodRange("10.244.0.0/24", "192.168.125.11"),
    "node2": PodRange("10.244.1.0/24", "192.168.125.12"),
    "node3": PodRange("10.244.2.0/24", "192.168.125.13"),
}


@pytest.mark.anyio
async def test_a_node_has_a_route_to_each_other_node() -> None:
    recorder = Recorder()
    await route_pods(recorder.guest, RANGES)
    (script,) = recorder.scripts
    (line,) = [it for it in script.splitlines() if it.startswith("put /var/lib/kutti/")]
    assert b64decode(line.split()[-1]).decode() == (
        "10.244.0.0/24 192.168.125.11\n10.244.2.0/24 192.168.125.13\n"
    )


def test_every_script_is_shell() -> None:
    recorder = Recorder()
    anyio.run(connect_pods, recorder.guest, "10.244.1.0/24", "10.244.0.0/16")
    anyio.run(route_pods, recorder.guest, RANGES)
    scripts = {
        "facts": node_facts._QUESTIONS,
        "list": node_table._ASK,
        "follow": node_table._FOLLOW,
        "signs": vigil.CONTAINER_LOGS,
        "last words": vigil._LAST_WORDS,
        "reset": removal._RESET,
        "images": container_images._WHAT_IS_THERE,
        "scratch": container_images._SCRATCH,
        "apply": pod_network._APPLY_SCRIPT.format(routes="/r", protocol=75),
        "pods": recorder.scripts[0],
        "routes": recorder.scripts[1],
    }
    for name, script in scripts.items():
        done = subprocess.run(
            ["sh", "-n"], input=script, text=True, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), name
