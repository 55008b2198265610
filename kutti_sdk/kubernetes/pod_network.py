"""Connects pods without anything from outside: a bridge on each node, and routes.

Each node's pods get addresses of the range that Kubernetes gave to the node
(`.spec.podCIDR`). All nodes are in one Ethernet network, so that a route to each
other node's range is all it takes. What leaves the range of pods is masqueraded.

A service of the node, ``kutti-pod-network``, puts routes and rules in place when it
boots, and again when systemd-networkd, which drops foreign routes, was restarted.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.node_table import NodeTable
from kutti_sdk.kubernetes.phases import POD_NETWORK
from kutti_sdk.runtime.tasks import run_all

_ROUTES = f"{FOLDER}/pod-network.routes"
_APPLY = f"{FOLDER}/pod-network.sh"
_UNIT = "kutti-pod-network.service"
_PATIENCE = 60.0  # seconds for an API server that is there to tell its nodes
_PROTOCOL = 75  # marks our routes; iproute2 names only those below 20 and some from 186

_APPLY_SCRIPT = """\
#!/bin/sh
# Pods of this node: $1. Pods of all nodes: $2. Routes to the others: {routes}.
nat() {{ iptables -w -t nat "$@"; }}
nat -N KUTTI-PODS 2>/dev/null
nat -F KUTTI-PODS
nat -A KUTTI-PODS -d "$2" -j RETURN
nat -A KUTTI-PODS -d 224.0.0.0/4 -j RETURN
nat -A KUTTI-PODS -j MASQUERADE
nat -C POSTROUTING -s "$1" -j KUTTI-PODS 2>/dev/null || nat -A POSTROUTING -s "$1" -j KUTTI-PODS
ip -4 route show proto {protocol} | while read -r range rest; do
    grep -q "^$range " {routes} || ip route del "$range" proto {protocol}
done
while read -r range address; do
    # Not before the network is up, which nothing tells that all systems have.
    until ip route replace "$range" via "$address" proto {protocol} 2>/dev/null; do sleep 0.5; done
done <{routes}
"""

_UNIT_FILE = """\
[Unit]
Description=Routes to the pods of other nodes
After=network.target systemd-networkd.service
PartOf=systemd-networkd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {apply} {own} {all}
TimeoutStartSec=90

[Install]
WantedBy=multi-user.target
"""

_PUT = """\
set -eu; changed=
put() {
    mkdir -p "${1%/*}"; echo "$2" | base64 --decode >"$1.new"
    if cmp --silent "$1.new" "$1"; then rm "$1.new"; return; fi
    sync "$1.new"; mv "$1.new" "$1"; changed=yes
}
"""

_RESTART_IF_CHANGED = (
    f'[ -z "$changed" ] && systemctl is-active --quiet {_UNIT} || systemctl restart {_UNIT}\n'
)


@dataclass(frozen=True, slots=True)
class PodRange:
    """A node's range of addresses for its pods.

    Attributes:
        cidr: The range.
        address: The node's own address.
    """

    cidr: str
    address: str


async def connect_pods(guest: Guest, cidr: str, pod_cidr: str) -> None:
    """Give a node's pods their addresses, and ways out; nothing to do twice.

    Args:
        guest: The node.
        cidr: Its own range.
        pod_cidr: The range of all pods.

    Raises:
        KubernetesError: When the node refuses.
    """
    files = {
        _APPLY: _APPLY_SCRIPT.format(routes=_ROUTES, protocol=_PROTOCOL),
        f"/etc/systemd/system/{_UNIT}": _UNIT_FILE.format(apply=_APPLY, own=cidr, all=pod_cidr),
    }
    script = (
        f"{_PUT}{''.join(_put(path, text) for path, text in files.items())}"
        f"touch {_ROUTES}\n"
        f'[ -z "$changed" ] || {{ systemctl daemon-reload; systemctl enable --quiet {_UNIT}; }}\n'
        f"{_RESTART_IF_CHANGED}"
        # Last: from then on pods are started.
        f"{_put('/etc/cni/net.d/10-kutti.conflist', cni_configuration(cidr))}"
    )
    await guest.do("pod addresses", script, phase=POD_NETWORK)


async def route_pods(guest: Guest, ranges: Mapping[str, PodRange]) -> None:
    """Tell a node the ways to the pods of all others; nothing to do twice.

    Args:
        guest: The node.
        ranges: The ranges of all nodes, by name; its own is among them.

    Raises:
        KubernetesError: When the node refuses.
    """
    others = (it for name, it in ranges.items() if name != guest.name)
    routes = "".join(sorted(f"{it.cidr} {it.address}\n" for it in others))
    script = f"{_PUT}{_put(_ROUTES, routes)}{_RESTART_IF_CHANGED}"
    await guest.do("pod routes", script, phase=POD_NETWORK)


async def refresh_pod_network(
    control_plane: Guest, guests: Sequence[Guest], addresses: Mapping[str, str]
) -> None:
    """Tell nodes which others there are now, after one went.

    Args:
        control_plane: Where the API server is asked.
        guests: The nodes that run.
        addresses: Addresses of all nodes there are, by name.

    Raises:
        KubernetesError: When a node refuses.
    """
    table = NodeTable(control_plane)
    with anyio.move_on_after(_PATIENCE):
        await table.ask()
    ranges = {
        name: PodRange(row.pod_cidr, addresses[name])
        for name, row in table.rows.items()
        if row.pod_cidr and name in addresses
    }
    await run_all(*(partial(route_pods, guest, ranges) for guest in guests if guest.name in ranges))


def cni_configuration(cidr: str) -> str:
    """Write the configuration of the pod network's plug-ins for a node.

    Args:
        cidr: The node's range.

    Returns:
        A CNI configuration list (CNI specification 0.4.0, which containerd 1 and 2 read).
    """
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself through its service
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps(
        {"cniVersion": "0.4.0", "name": "kutti", "plugins": [bridge, portmap]}, indent=2
    )


def _put(path: str, text: str) -> str:
    return f"put {path} {b64encode(text.encode()).decode()}\n"
