"""``ensure()`` of a Kubernetes cluster beside a shell script that does the same.

The script starts the same machines, as that of `bring_up` does, and then does by ssh
what one would do by hand: ``kubeadm init`` with the very file that `ensure` wrote,
``kubeadm join``, the pod network, and waiting until both nodes are Ready.

It takes minutes for each round under emulation, so that two are the most that are run.
It is left out where the workspace has no image with Kubernetes.
"""

from __future__ import annotations

import shlex
import statistics
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import kutti_sdk as kutti
from benchmarks.bring_up import script_for
from benchmarks.measure import Measurement, seconds
from benchmarks.openssh import options_for

_NAME = "bench-kube"
_MOST_ROUNDS = 2
_FILES = "/var/lib/kutti/kubeadm-init.yaml /var/lib/kutti/patches"
_NETWORK = (
    "/etc/cni/net.d/10-kutti.conflist /var/lib/kutti/pod-network.sh "
    "/var/lib/kutti/pod-network.routes /etc/systemd/system/kutti-pod-network.service"
)

_CONNECT = (
    "base64 -d | tar -C / -xf - && systemctl daemon-reload && "
    "systemctl enable --now kutti-pod-network"
)


async def run(rounds: int) -> list[Measurement]:
    """Measure bringing up a control plane and a worker, in turns with the script."""
    version = await kubernetes_version()
    if version is None:
        return []
    spec = kutti.cluster(_NAME).cold().kubernetes(version).workers(1)

    async def ours() -> None:
        cluster = await spec.ensure(stall_timeout=600)
        assert (await cluster.status()).summary.endswith("2 Ready")

    times = []
    for _ in range(min(rounds, _MOST_ROUNDS)):
        with TemporaryDirectory(prefix="kutti-bench-") as folder:
            mine = await seconds(ours)
            cluster = await kutti.attach(_NAME)
            script = Path(folder) / "bring-up.sh"
            script.write_text(await _script(cluster, folder))
            await cluster.force_stop()

            async def baseline(script: Path = script) -> None:
                subprocess.run(["bash", script], check=True, stdout=subprocess.DEVNULL)

            times.append((mine, await seconds(baseline)))
            await cluster.delete()
    one, other = zip(*times, strict=True)
    return [
        Measurement(
            "ensure() of Kubernetes on 2 hosts to both Ready",
            statistics.median(one),
            goal=1.00,
            baseline=statistics.median(other),
            baseline_name="shell script, same kubeadm files",
        )
    ]


async def kubernetes_version() -> str | None:
    """Look for an image with Kubernetes.

    Returns:
        Its version; None when there is none.
    """
    for image in await kutti.get_driver("qemu").list_images():
        if "kubeadm" in await image.packages():
            return image.k8s_version
    return None


async def _script(cluster: kutti.Cluster, folder: str) -> str:
    """Write the script; what it copies to the nodes is fetched from them now."""
    lines = [await script_for(cluster, folder)]
    ssh: dict[str, str] = {}
    for node in cluster:
        archive = Path(folder) / f"{node.name}.tar"
        files = f"{_FILES if node.name == 'node1' else ''} {_NETWORK}"
        packed = await node.run(f"tar -C / -cf - {files} 2>/dev/null | base64", check=True)
        archive.with_suffix(".b64").write_text(packed.stdout)
        ssh[node.name] = f"ssh {shlex.join(await options_for(cluster, node, folder))} root@host"
    kubectl = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl"
    init = "kubeadm init --config /var/lib/kutti/kubeadm-init.yaml --skip-token-print"
    minor = int((await cluster["node1"].run("kubeadm version -o short")).stdout.split(".")[1])
    if minor < 22:
        init += " --experimental-patches /var/lib/kutti/patches"
    cidr = f"{kubectl} get node {{}} -o jsonpath={{{{.spec.podCIDR}}}}"
    lines += [
        f"{ssh['node1']} 'base64 -d | tar -C / -xf -' < node1.b64",
        f"{ssh['node1']} {shlex.quote(init)}",
        f"join=$({ssh['node1']} {shlex.quote('kubeadm token create --print-join-command')})",
        f'{ssh["node2"]} "$join" &',
    ]
    for name in ("node1", "node2"):
        if name == "node2":
            lines.append("wait")
        ask = shlex.quote(cidr.format(name))
        lines += [
            f'until [ -n "$({ssh["node1"]} {ask})" ]; do sleep 1; done',
            f"{ssh[name]} {shlex.quote(_CONNECT)} < {name}.b64",
        ]
    ready = f"{kubectl} wait --for=condition=Ready node --all --timeout=20m"
    lines.append(f"{ssh['node1']} {shlex.quote(ready)}")
    return "\n".join([*lines, ""])
