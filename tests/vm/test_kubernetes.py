"""Kubernetes on real virtual machines: one cluster that lives through all of it.

The tests stand in the order of a cluster's life, and each leaves the cluster to the
next. Under emulation the whole takes a quarter of an hour, so that `make test` leaves
them out; `make slow` has them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import anyio
import httpx
import pytest
from kubernetes_bundle import BUNDLE, CONTAINER_IMAGES, PACKAGES

import kutti_sdk as kutti
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.store import LocalImage

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not BUNDLE.is_dir(), reason=f"there is no Kubernetes in {BUNDLE}"),
]

NAME = "t-kube"
LONGEST_PAUSE = 20.0  # seconds; 5 are promised, on a machine that is not overloaded
PATIENCE = 300.0  # seconds; other tests may run beside these
BUSYBOX = "kutti.local/busybox:1.35"

WEB = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - labelSelector: {{matchLabels: {{app: web}}}}
            topologyKey: kubernetes.io/hostname
      tolerations: [{{operator: Exists, effect: NoSchedule}}]
      containers:
      - name: web
        image: {BUSYBOX}
        command: [sh, -c, "mkdir -p /www; hostname >/www/index.html; exec httpd -f -p 80 -h /www"]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{port: 80, nodePort: 30080}}]
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One backend: the cluster is brought up once, and unit tests run under both."""
    return "asyncio"


@pytest.fixture(scope="module")
def spec(kubernetes_image: LocalImage) -> Iterator[kutti.ClusterSpec]:
    """What the cluster shall be, in the workspace for virtual machines."""
    version = kubernetes_image.manifest.k8s_version
    kutti.set_workspace(kubernetes_image.folder.parents[2])
    yield kutti.cluster(NAME).kubernetes(version).workers(1).forward(0, to=30080)
    kutti.set_workspace(None)


@pytest.fixture(scope="module")
def lab(spec: kutti.ClusterSpec) -> Iterator[kutti.Cluster]:
    """A control plane and a worker, Ready; deleted after the last test."""

    async def bring_up() -> kutti.Cluster:
        events: list[ProgressEvent] = []
        with observe(events.append):
            made = await spec.ensure(stall_timeout=PATIENCE)
        pauses = [later.time - earlier.time for earlier, later in pairwise(events)]
        assert max(pauses) < LONGEST_PAUSE, "somebody stared at nothing"
        return made

    async def delete() -> None:
        try:
            await (await kutti.attach(NAME)).delete()
        except kutti.ClusterNotFoundError:
            pass

    anyio.run(delete)
    try:
        yield anyio.run(bring_up)
    finally:
        anyio.run(delete)


@pytest.fixture(scope="module")
def web(lab: kutti.Cluster) -> kutti.Cluster:
    """The cluster with a deployment on both nodes, and a service."""

    async def deploy() -> None:
        await lab.kubectl("apply -f -", stdin=WEB, check=True)
        await lab.kubectl("rollout status deployment/web --timeout=300s", check=True)

    anyio.run(deploy)
    return lab


@pytest.fixture(scope="module")
def kubectl_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubectl for this machine, out of the package for nodes."""
    folder = tmp_path_factory.mktemp("kubectl")
    (package,) = PACKAGES.glob("kubectl_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder / "usr" / "bin" / "kubectl"


async def test_both_nodes_are_ready_and_known_by_their_own_addresses(lab: kutti.Cluster) -> None:
    status = await lab.status()
    assert status.summary == "2 of 2 running, 2 Ready"
    answer = await lab.kubectl("get nodes -o json", check=True)
    addresses = {
        node["metadata"]["name"]: node["status"]["addresses"][0]["address"]
        for node in json.loads(answer.stdout)["items"]
    }
    assert addresses == {"node1": "192.168.125.11", "node2": "192.168.125.12"}


async def test_nothing_is_left_to_do(lab: kutti.Cluster, spec: kutti.ClusterSpec) -> None:
    boot = "cat /proc/sys/kernel/random/boot_id; stat -c %Y /etc/kubernetes/kubelet.conf"
    before = [result.stdout for result in await lab.run_all(boot, check=True)]
    assert not await spec.plan()
    await spec.ensure(stall_timeout=PATIENCE)
    assert [result.stdout for result in await lab.run_all(boot, check=True)] == before


# kr8s says that it is made for newer ones than the one there is to test with.
@pytest.mark.filterwarnings("ignore:Kubernetes version:UserWarning")
async def test_this_machine_reaches_the_api_server(
    lab: kutti.Cluster, kubectl_program: Path
) -> None:
    path = await lab.kubeconfig()
    done = await anyio.run_process([kubectl_program, "--kubeconfig", path, "get", "nodes"])
    lines = done.stdout.decode().splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [["node1", "Ready"], ["node2", "Ready"]]
    api = await lab.kube()
    assert {node.name async for node in api.get("nodes")} == {"node1", "node2"}


async def test_an_image_is_loaded_only_where_it_is_missing(
    lab: kutti.Cluster,
) -> None:
    busybox_archive = CONTAINER_IMAGES / "busybox-1.35.tar.xz"
    assert await lab.load_image(busybox_archive) == ()  # the image came with it
    await lab["node2"].run(f"ctr -n k8s.io images remove {BUSYBOX}", check=True)
    assert await lab.load_image(busybox_archive) == ("node2",)
    assert await lab.load_image(busybox_archive) == ()


async def test_pods_on_two_nodes_reach_each_other_and_are_reached(web: kutti.Cluster) -> None:
    pods = await _pods(web)
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node1", "node2"}
    one, other = sorted(pods, key=lambda pod: str(pod["spec"]["nodeName"]))
    for here, there in ((one, other), (other, one)):
        page = await web.kubectl(
            f"exec {here['metadata']['name']} -- wget -q -O - http://{there['status']['podIP']}",
            check=True,
        )
        assert page.stdout.strip() == there["metadata"]["name"]
    assert await _page(web) in {pod["metadata"]["name"] for pod in pods}


async def test_a_node_that_is_added_joins(web: kutti.Cluster) -> None:
    await web.add_node("node3", memory="1GiB", stall_timeout=PATIENCE)
    assert (await web.status()).summary == "3 of 3 running, 3 Ready"
    await web.kubectl("scale deployment/web --replicas=3", check=True)
    await web.kubectl("rollout status deployment/web --timeout=300s", check=True)
    pods = await _pods(web)
    there = next(pod for pod in pods if pod["spec"]["nodeName"] == "node3")
    here = next(pod for pod in pods if pod["spec"]["nodeName"] == "node2")
    page = await web.kubectl(
        f"exec {here['metadata']['name']} -- wget -q -O - http://{there['status']['podIP']}",
        check=True,
    )
    assert page.stdout.strip() == there["metadata"]["name"]


async def test_a_node_that_is_removed_is_gone_from_kubernetes(web: kutti.Cluster) -> None:
    await web.kubectl("scale deployment/web --replicas=2", check=True)
    await web.remove_node("node3")
    answer = await web.kubectl("get nodes -o name", check=True)
    assert answer.stdout.split() == ["node/node1", "node/node2"]
    routes = await web["node1"].run("cat /var/lib/kutti/pod-network.routes", check=True)
    assert "192.168.125.13" not in routes.stdout
    assert "192.168.125.12" in routes.stdout


async def test_it_comes_back_ready(web: kutti.Cluster) -> None:
    await web.stop(timeout=180)
    await web.start(stall_timeout=PATIENCE)
    assert (await web.status()).summary == "2 of 2 running, 2 Ready"
    await web.kubectl("rollout status deployment/web --timeout=300s", check=True)
    assert await _page(web)
    pods = await _pods(web)
    one, other = sorted(pods, key=lambda pod: str(pod["spec"]["nodeName"]))
    page = await web.kubectl(
        f"exec {one['metadata']['name']} -- wget -q -O - http://{other['status']['podIP']}",
        check=True,
    )
    assert page.stdout.strip() == other["metadata"]["name"]


async def test_nothing_is_left_after_delete(lab: kutti.Cluster) -> None:
    kubeconfig = await lab.kubeconfig()
    await lab.delete()
    assert not kubeconfig.exists()
    with pytest.raises(kutti.ClusterNotFoundError):
        await kutti.attach(NAME)


async def _pods(lab: kutti.Cluster) -> list[dict[str, dict[str, str]]]:
    """The pods of the deployment that are not on their way out."""
    answer = await lab.kubectl("get pods -l app=web -o json", check=True)
    return [
        pod
        for pod in json.loads(answer.stdout)["items"]
        if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("podIP")
    ]


async def _page(lab: kutti.Cluster) -> str:
    """Fetch a page through the forwarded NodePort."""
    forwards = await lab["node1"].forwards()
    port = next(forward.host_port for forward in forwards if forward.vm_port == 30080)
    with anyio.fail_after(120):
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    return (await client.get(f"http://127.0.0.1:{port}/")).text.strip()
                except httpx.TransportError:
                    await anyio.sleep(0.1)
