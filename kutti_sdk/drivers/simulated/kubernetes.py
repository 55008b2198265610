"""Kubernetes, pretended: what the scripts that bring it up and ask it would say.

`kutti_sdk.kubernetes` gives each of its scripts a title; the ones it needs are
answered here. What is so on a host is files on it, as on a real one: they
outlive its stops, and ``reset`` removes them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kutti_sdk.core.ssh import Output
from kutti_sdk.core.status import HostStatus
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion
from kutti_sdk.drivers.simulated.commands import Answer
from kutti_sdk.drivers.simulated.machine import Machine
from kutti_sdk.drivers.simulated.shell import Pause, Performance, perform_answer

if TYPE_CHECKING:
    from kutti_sdk.drivers.simulated.world import World

MARK = "# kutti: "
"""What the first line of those scripts begins with; the title follows."""

_ADMIN = "/etc/kubernetes/admin.conf"
_KUBELET = "/etc/kubernetes/kubelet.conf"
_PLUGINS = "/etc/cni/net.d/10-kutti.conflist"
_STATUS = "/var/lib/kutti/jobs/{}.status"
_NODES = "/var/lib/etcd/nodes.json"  # ranges of pod addresses by name of the node
_NODE_STEP = 2.0  # simulated seconds between two looks at the nodes

_AUTHORITY = b"""\
-----BEGIN CERTIFICATE-----
MIHWMIGJoAMCAQICAQEwBQYDK2VwMBQxEjAQBgNVBAMMCXNpbXVsYXRlZDAgFw0y
MDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJc2ltdWxh
dGVkMCowBQYDK2VwAyEAtZ/lYFAqBwNT/Rz73Dn0BDKrmpvY5SIaAo5pdhGD0egw
BQYDK2VwA0EAxj0F9MCix7xE3RAGBHr4obXIDKrQcUKhM3ZJWXjB2WYi93J6jPh1
CgPWDBBsr+wZXTfgdT/fhHQigZHdwXFLBw==
-----END CERTIFICATE-----
"""

_JOIN_COMMAND = (
    "kubeadm join simulated:6443 --token simula.tedtokentedtoken "
    f"--discovery-token-ca-cert-hash sha256:{'0' * 64}\n"
)

_INIT = """\
[init] Using Kubernetes version: v{version}
[preflight] Running pre-flight checks
[certs] Generating "ca" certificate and key
[kubeconfig] Writing "admin.conf" kubeconfig file
[control-plane] Creating static Pod manifest for "kube-apiserver"
[wait-control-plane] Waiting for the kubelet to boot up the control plane
[bootstrap-token] Creating the "cluster-info" ConfigMap
[addons] Applied essential addon: CoreDNS
[addons] Applied essential addon: kube-proxy
"""

_JOIN = """\
[preflight] Running pre-flight checks
[kubelet-start] Starting the kubelet
This node has joined the cluster
"""

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    certificate-authority-data: c2ltdWxhdGVk
    server: https://simulated:6443
users:
- name: kubernetes-admin
  user:
    client-certificate-data: c2ltdWxhdGVk
    client-key-data: c2ltdWxhdGVk
contexts: [{name: default, context: {cluster: kubernetes, user: kubernetes-admin}}]
current-context: default
"""


@dataclass(frozen=True, slots=True)
class _Script:
    """A script that is run: where, which one, and what it is given."""

    world: World
    machine: Machine
    words: list[str]
    stdin: str | None

    @property
    def version(self) -> str:
        version = K8sVersion.parse(self.machine.k8s_version)
        return version.text if version.names_a_patch else f"{version.text}.0"


def perform_kubernetes(
    command: str, world: World, machine: Machine, stdin: str | None
) -> Performance | None:
    """Run a script of `kutti_sdk.kubernetes`, or what somebody types in its place.

    Args:
        command: The command line.
        world: The world.
        machine: The host it runs on.
        stdin: Text for its standard input; None for none.

    Returns:
        What it does; None when the command is none of these.
    """
    if command.startswith(("kubeadm ", "kubectl ")):
        return _by_hand(_Script(world, machine, command.split()[1:], stdin), command)
    if not command.startswith(MARK):
        return None
    title = command.removeprefix(MARK).partition("\n")[0]
    first, *words = title.split()
    function = _SCRIPTS.get(title) or _SCRIPTS.get(first)
    script = _Script(world, machine, words, stdin)
    return perform_answer(Answer()) if function is None else function(script)


def _by_hand(script: _Script, command: str) -> Performance | None:
    """Do what a learner types on bare nodes."""
    if script.machine.k8s_version == NO_KUBERNETES:
        return None  # not found
    if command.startswith("kubectl "):
        return _kubectl(script)
    done: Performance
    match script.words[0]:
        case "version":
            done = _say(f"v{script.version}\n")
        case "init":
            done = _initialise(script, _INIT, 40.0)
        case "token":
            done = _say(_JOIN_COMMAND)
        case "join":
            done = _initialise(script, _JOIN, 15.0)
        case _:
            done = _fail(f"{command} is not simulated; script it with driver.commands.answer")
    return done


def _facts(script: _Script) -> Performance:
    files = script.machine.files
    facts = {"virtualization": "kvm", "boot": f"boot-{script.machine.boots}", "clock": "0"}
    if script.machine.k8s_version != NO_KUBERNETES:
        facts["kubeadm"] = f"v{script.version}"
    if files.is_file(_ADMIN):
        facts["admin"] = "yes"
    if files.is_file(_KUBELET):
        facts |= {"kubelet": "yes", "authority": b64encode(_AUTHORITY).decode()}
    for job in ("init", "join"):
        if files.is_file(_STATUS.format(f"kubeadm-{job}")):
            facts[job] = "0"
    return _say("".join(f"{name} {value}\n" for name, value in facts.items()))


def _write(script: _Script) -> Performance:
    (path,) = script.words
    _put(script.machine, path, script.stdin or "")
    return _say("")


def _job(script: _Script) -> Performance:
    (name,) = script.words
    text, seconds = (_INIT, 40.0) if name == "kubeadm-init" else (_JOIN, 15.0)
    status = yield from _initialise(script, text, seconds)
    _put(script.machine, _STATUS.format(name), "0")
    return status


def _initialise(script: _Script, text: str, seconds: float) -> Performance:
    """Make a host the control plane, or a worker of the one there is."""
    machine = script.machine
    status = yield from _say(text.format(version=script.version), seconds)
    if text == _INIT:
        _put(machine, _ADMIN, _KUBECONFIG)
        _save_nodes(machine, {})
    _put(machine, _KUBELET, "")
    control_plane = _control_plane(script)
    if control_plane is not None:
        nodes = _nodes(control_plane)
        taken = {int(cidr.split(".")[2]) for cidr in nodes.values()}
        number = next(number for number in range(256) if number not in taken)
        _save_nodes(control_plane, {machine.key.hostname: f"10.244.{number}.0/24", **nodes})
    return status


def _reset(script: _Script) -> Performance:
    jobs = (_STATUS.format(f"kubeadm-{job}") for job in ("init", "join"))
    for path in (_ADMIN, _KUBELET, _PLUGINS, _NODES, *jobs):
        script.machine.files.remove(path)
    return _say("", 5.0)


def _pod_addresses(script: _Script) -> Performance:
    _put(script.machine, _PLUGINS, "")
    return _say("")


def _cat_kubeconfig(script: _Script) -> Performance:
    if script.machine.files.is_file(_ADMIN):
        return _say(script.machine.files.read(_ADMIN).decode())
    return perform_answer(Answer(stderr="cat: No such file or directory\n", exit_status=1))


def _list_nodes(script: _Script) -> Performance:
    return _say("".join(_rows(script)))


def _watch_nodes(script: _Script) -> Performance:
    seen: list[str] = []
    while True:
        rows = _rows(script)
        for row in rows:
            if row not in seen:
                yield Output("stdout", row)
        seen = rows
        yield Pause(_NODE_STEP)


def _kubectl(script: _Script) -> Performance:
    control_plane = _control_plane(script)
    if control_plane is None:
        return _fail("The connection to the server simulated:6443 was refused")
    nodes = _nodes(control_plane)
    match script.words:
        case ["get", "nodes"]:
            text = _table(script, nodes)
        case ["get", "nodes,pods", *_] | ["get", "nodes", "-o", "json"]:
            text = json.dumps({"items": [_item(script, name) for name in sorted(nodes)]})
        case ["get", "node", name, *_]:
            text = f"node/{name}\n" if name in nodes else ""
        case ["delete", "node", name, *_]:
            nodes.pop(name, None)
            _save_nodes(control_plane, nodes)
            text = f'node "{name}" deleted\n'
        case ["drain", name, *_]:
            text = f"node/{name} drained\n"
        case ["apply", *_]:
            _put(control_plane, "/var/lib/etcd/applied", script.stdin or "")
            text = "applied\n"
        case _:
            return _fail(
                f"kubectl {' '.join(script.words)} is not simulated; "
                'script it with driver.commands.answer("# kutti: kubectl ...*")'
            )
    return _say(text)


_SCRIPTS: dict[str, Callable[[_Script], Performance]] = {
    "facts": _facts,
    "write": _write,
    "job": _job,
    "reset": _reset,
    "pod addresses": _pod_addresses,
    "kubeconfig": _cat_kubeconfig,
    "nodes": _list_nodes,
    "watch nodes": _watch_nodes,
    "kubectl": _kubectl,
    "invitation": lambda _: _say(_JOIN_COMMAND),
    "scratch folder": lambda _: _say("/var/lib/kutti\n"),
}


def _say(text: str, seconds: float = 0.0) -> Performance:
    return perform_answer(Answer(stdout=text, seconds=seconds))


def _fail(text: str) -> Performance:
    return perform_answer(Answer(stderr=f"{text}\n", exit_status=1))


def _put(machine: Machine, path: str, text: str) -> None:
    machine.files.make_folder(path.rpartition("/")[0])
    machine.files.write(path, text.encode())


def _control_plane(script: _Script) -> Machine | None:
    for machine in _machines(script).values():
        if machine.files.is_file(_NODES):
            return machine if machine.booted else None
    return None


def _machines(script: _Script) -> dict[str, Machine]:
    cluster = script.machine.key.clustername
    return {
        key.hostname: machine
        for key, machine in script.world.machines.items()
        if key.clustername == cluster
    }


def _nodes(control_plane: Machine) -> dict[str, str]:
    nodes: dict[str, str] = json.loads(control_plane.files.read(_NODES))
    return nodes


def _save_nodes(control_plane: Machine, nodes: dict[str, str]) -> None:
    _put(control_plane, _NODES, json.dumps(nodes))


def _rows(script: _Script) -> list[str]:
    control_plane = _control_plane(script)
    if control_plane is None:
        return []
    machines = _machines(script)
    return [
        f"{name} {cidr} boot-{machines[name].boots if name in machines else 0} "
        f"{_is_ready(script, name)}\n"
        for name, cidr in sorted(_nodes(control_plane).items())
    ]


def _is_ready(script: _Script, name: str) -> bool:
    machine = _machines(script).get(name)
    if machine is None or machine.status is not HostStatus.RUNNING or not machine.booted:
        return False
    control_plane = _control_plane(script)
    has_manifest = control_plane and control_plane.files.is_file("/var/lib/etcd/applied")
    return machine.files.is_file(_PLUGINS) or bool(has_manifest)


def _table(script: _Script, nodes: dict[str, str]) -> str:
    lines = [f"{'NAME':<8}{'STATUS':<10}VERSION\n"]
    for name in sorted(nodes):
        status = "Ready" if _is_ready(script, name) else "NotReady"
        lines.append(f"{name:<8}{status:<10}v{script.version}\n")
    return "".join(lines)


def _item(script: _Script, name: str) -> dict[str, Any]:
    ready = _is_ready(script, name)
    condition = {"type": "Ready", "status": str(ready), "reason": "Simulated"}
    return {
        "kind": "Node",
        "metadata": {"name": name},
        "status": {
            "conditions": [condition],
            "nodeInfo": {"kubeletVersion": f"v{script.version}"},
        },
    }
