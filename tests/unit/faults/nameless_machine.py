"""A machine on which names of servers cannot be found, or whose name server never answers.

It is a network namespace of a process of its own, with a ``resolv.conf`` of its own, for which an
ordinary user needs no rights where user namespaces are allowed. ``run_without_names`` runs the
`nameless_scenarios` there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SETUP = """
ip link set lo up
printf 'nameserver 127.0.0.1\\noptions timeout:5 attempts:2\\n' > "$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
printf 'hosts: files dns\\n' > "$1/nsswitch.conf"
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
shift
exec "$@"
"""
_HERE = Path(__file__).parent


def run_without_names(backend: str, folder: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--"]
    if subprocess.run([*namespace, "true"], check=False).returncode != 0:
        pytest.skip("user namespaces are not allowed here")
    program = [sys.executable, str(_HERE / "nameless_scenarios.py"), backend, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(_HERE.parents[2])}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environment.pop(name, None)
        environment.pop(name.upper(), None)
    done = subprocess.run(
        [*namespace, "sh", "-ec", _SETUP, "sh", str(folder), *program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
