"""On a slow machine the controllers begin when the API server is healthy.

Stands in for the node: a folder of small programs called kubeadm, kubectl and bash,
which note what they were called with. What real ones do is seen on virtual machines.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kutti_sdk.kubernetes import slow_init

KUBEADM = """\
#!/bin/sh
echo "kubeadm $*" >>"$STATE/calls"
case "$*" in
"init phase"*) exit ;;
esac
touch "$STATE/open"
[ -z "$FAILS" ] || exit "$FAILS"
until grep -q "phase control-plane scheduler" "$STATE/calls"; do sleep 0.02; done
"""

KUBECTL = """\
#!/bin/sh
echo "kubectl $*" >>"$STATE/calls"
[ -e "$STATE/healthy" ] && exit
touch "$STATE/healthy"
exit 1
"""

BASH = """\
#!/bin/sh
echo port >>"$STATE/calls"
[ -e "$STATE/open" ]
"""

SLEEP = "#!/bin/sh\nexec /bin/sleep 0.02\n"


class Node:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.admin_conf = folder / "admin.conf"
        programs = folder / "bin"
        programs.mkdir()
        texts = {"kubeadm": KUBEADM, "kubectl": KUBECTL, "bash": BASH, "sleep": SLEEP}
        for name, text in texts.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self._path = f"{programs}:{os.environ['PATH']}"
        monkeypatch.setattr(slow_init, "ADMIN_CONF", str(self.admin_conf))

    def run(self, *, fails: str = "") -> int:
        environment = {"PATH": self._path, "STATE": str(self.folder), "FAILS": fails}
        script = slow_init.slow_init(["--config", "/x.yaml"])
        done = subprocess.run(["sh", "-c", script], env=environment, timeout=30, check=False)
        return done.returncode

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_controllers_begin_when_the_api_server_is_healthy(node: Node) -> None:
    assert node.run() == 0
    first_healthy = max(i for i, call in enumerate(node.calls) if call.startswith("kubectl"))
    assert node.calls[first_healthy + 1 :] == [
        "kubeadm init phase control-plane controller-manager --config /x.yaml",
        "kubeadm init phase control-plane scheduler --config /x.yaml",
    ]
    init = next(call for call in node.calls if call.startswith("kubeadm init --"))
    assert "--skip-phases control-plane/controller-manager,control-plane/scheduler" in init


def test_an_init_that_fails_early_is_not_tried_again_and_leaves_nothing_running(
    node: Node,
) -> None:
    assert node.run(fails="3") == 3
    assert sum(call.startswith("kubeadm init --") for call in node.calls) == 1


def test_an_init_that_found_no_api_server_goes_on_without_its_first_checks(node: Node) -> None:
    node.admin_conf.write_text("apiVersion: v1\n")
    assert node.run(fails="3") == 3
    attempts = [call for call in node.calls if call.startswith("kubeadm init --")]
    assert ["--skip-phases preflight," in call for call in attempts] == [False, True, True]
