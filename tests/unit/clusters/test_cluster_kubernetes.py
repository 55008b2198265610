"""Kubernetes on a cluster: brought up, continued, changed, and refused in time."""

from __future__ import annotations

import stat
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from kutti_sdk.clusters.attachment import attach
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.core.errors import (
    CertificatesExpiredError,
    ClusterDriftError,
    CommandFailedError,
    HostNotRunningError,
    HypervisorError,
    InvalidSpecError,
    KubeadmError,
    KubernetesError,
    KubernetesStalledError,
    WaitTimeoutError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.drivers.simulated import (
    Answer,
    CommandCall,
    SimulatedClock,
    SimulatedDriver,
    SimulatedTimings,
)
from kutti_sdk.drivers.simulated.kubernetes import _AUTHORITY

pytestmark = pytest.mark.anyio

INIT = "# kutti: job kubeadm-init*"
JOIN = "# kutti: job kubeadm-join*"


@pytest.fixture
def kube(driver: SimulatedDriver, workspace: object) -> ClusterSpec:
    """A cluster of a control plane and a worker that nothing was done for yet."""
    return cluster("lab").using(driver).kubernetes("1.35").workers(1)


def titles(driver: SimulatedDriver, host: str | None = None) -> list[str]:
    """The titles of the scripts that were run, in order."""
    return [
        call.command.removeprefix("# kutti: ").partition("\n")[0]
        for call in driver.commands.calls
        if call.command.startswith("# kutti: ") and host in (None, call.host)
    ]


async def conditions(made: Cluster) -> dict[str, str]:
    return {node.name: str(node.condition) for node in (await made.status()).nodes}


async def test_every_node_is_ready(kube: ClusterSpec) -> None:
    made = await kube.ensure()
    assert await conditions(made) == {"node1": "Ready", "node2": "Ready"}
    assert (await made.status()).summary == "2 of 2 running, 2 Ready"


async def test_the_plan_says_what_kubeadm_will_do(kube: ClusterSpec) -> None:
    steps = [str(step) for step in await kube.plan()]
    assert steps[-2:] == [
        "kubeadm init node1 Kubernetes 1.35.0",
        "kubeadm join node2 to node1",
    ]
    await kube.ensure()
    assert not await kube.plan()


async def test_each_phase_is_told_in_order(kube: ClusterSpec) -> None:
    events: list[ProgressEvent] = []
    with observe(events.append):
        await kube.ensure()
    phases = list(dict.fromkeys(it.phase for it in events if it.host == "node1"))
    ours = ["preflight", "certs", "control-plane", "addons", "pod-network", "nodes"]
    assert [phase for phase in phases if phase in ours] == ours
    assert "join" in [it.phase for it in events if it.host == "node2"]
    assert events[-1].message == "cluster lab is ready"


async def test_twice_initialises_nothing(kube: ClusterSpec, driver: SimulatedDriver) -> None:
    await kube.ensure()
    driver.commands.clear()
    await kube.ensure()
    done = titles(driver)
    assert not [it for it in done if it.startswith(("job", "reset", "write", "watch"))]


async def test_bare_nodes_are_left_alone(kube: ClusterSpec, driver: SimulatedDriver) -> None:
    made = await kube.bare().ensure()
    assert not titles(driver)
    assert "bare" in repr(made)
    # Later they may be brought up after all.
    made = await kube.ensure()
    assert (await made.status()).summary == "2 of 2 running, 2 Ready"


async def test_what_init_was_interrupted_in_is_reset_and_done_again(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.commands.answer("# kutti: facts*", host="node1", stdout=facts("init killed"), times=1)
    await kube.ensure()
    done = titles(driver, "node1")
    assert done.index("reset") < done.index("job kubeadm-init")


async def test_a_running_init_is_followed_and_not_begun_again(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.commands.answer("# kutti: facts*", host="node1", stdout=facts("init running"), times=1)
    await kube.ensure()
    done = titles(driver, "node1")
    assert "job kubeadm-init" in done
    assert "reset" not in done
    assert "write /var/lib/kutti/kubeadm-init.yaml" not in done


async def test_what_kubeadm_said_is_in_the_error(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    output = "[preflight] Running\n[certs] Making\nerror execution phase certs: disk full\n"
    driver.commands.answer(INIT, stdout=output, exit_status=1)
    driver.commands.answer("# kutti: last words*", stdout="kubelet: no space left\n")
    with pytest.raises(KubeadmError) as raised:
        await kube.ensure()
    error = raised.value
    assert (error.host, error.cluster, error.phase) == ("node1", "lab", "certs")
    assert "disk full" in error.log
    assert "kubelet: no space left" in str(error)


async def test_after_a_failure_the_node_is_tried_anew(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.commands.answer(INIT, exit_status=1, times=1)
    with pytest.raises(KubeadmError):
        await kube.ensure()
    assert (await (await kube.ensure()).status()).summary == "2 of 2 running, 2 Ready"


async def test_an_image_without_kubeadm_is_told(kube: ClusterSpec, driver: SimulatedDriver) -> None:
    driver.commands.answer("# kutti: facts*", host="node2", stdout=facts(kubeadm=""))
    with pytest.raises(KubernetesError, match="no kubeadm") as raised:
        await kube.ensure()
    assert raised.value.host == "node2"


async def test_another_kubeadm_than_the_image_promised_is_told(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.commands.answer("# kutti: facts*", stdout=facts(kubeadm="v1.30.0"))
    with pytest.raises(KubernetesError, match=r"1\.30\.0, not 1\.35"):
        await kube.ensure()


async def test_certificates_that_ran_out_are_told_with_the_mend(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await kube.ensure()
    await made.stop()
    # Simulated certificates are good until 2120; by this clock that is over.
    late = facts("admin yes", "kubelet yes", "init 0", f"api-server {_certificate()}", clock=2**33)
    driver.commands.answer("# kutti: facts*", host="node1", stdout=late)
    with pytest.raises(CertificatesExpiredError, match="api-server") as raised:
        await made.start()
    assert "kubeadm certs renew all" in str(raised.value.hint)


async def test_a_node_that_dies_while_it_joins_is_told(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    def joining(_: CommandCall) -> Answer:
        driver.faults.crash("node2", after=5)
        return Answer(stdout="[preflight] Running\n", seconds=1000)

    driver.commands.answer_with(JOIN, joining)
    with pytest.raises(HypervisorError, match="node2") as raised:
        await kube.ensure()
    assert raised.value.host == "node2"
    assert "join" in raised.value.message


async def test_a_silent_kubeadm_is_told_and_goes_on(workspace: object) -> None:
    driver = SimulatedDriver(
        clock=SimulatedClock(1), timings=SimulatedTimings(create_host=0, start=0, boot=0, command=0)
    )
    driver.commands.answer(INIT, stdout="[control-plane] Waiting\nnever\n", seconds=3000)
    driver.commands.answer("# kutti: last words*", stdout="etcd: slow disk\n")
    spec = cluster("lab").using(driver).kubernetes("1.35")
    with pytest.raises(KubernetesStalledError) as raised:
        await spec.ensure(stall_timeout=1)
    assert isinstance(raised.value, WaitTimeoutError)
    assert raised.value.phase == "preflight"
    assert raised.value.log == "etcd: slow disk"
    assert not [it for it in titles(driver) if it.startswith("forget")], "it was not stopped"


async def test_a_worker_of_another_control_plane_joins_anew(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    await kube.ensure()
    other = facts("kubelet yes", "join 0", "authority b3RoZXI=")
    driver.commands.answer("# kutti: facts*", host="node2", stdout=other, times=1)
    await kube.ensure()
    assert "reset" in titles(driver, "node2")


async def test_nodes_that_are_added_join(kube: ClusterSpec, driver: SimulatedDriver) -> None:
    made = await kube.ensure()
    await made.add_node("node3")
    assert await conditions(made) == dict.fromkeys(("node1", "node2", "node3"), "Ready")
    *_, earlier, last = (it.command for it in driver.commands.calls if "pod routes" in it.command)
    assert earlier != last, "the others learn the way to its pods"


async def test_nodes_that_are_removed_are_drained_and_forgotten(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await kube.workers(2).ensure()
    await made.remove_node("node3")
    done = [it for it in titles(driver) if it.startswith(("kubectl drain", "kubectl delete"))]
    assert [it.split()[1:4] for it in done] == [
        ["drain", "node3", "--ignore-daemonsets"],
        ["delete", "node", "node3"],
    ]
    assert "node3" not in (await made.kubectl("get nodes")).stdout
    # By a spec with fewer nodes as well.
    assert "drain node node2 and delete it from Kubernetes" in map(
        str, await kube.workers(0).plan()
    )
    await kube.workers(0).ensure()
    assert "node2" not in (await made.kubectl("get nodes")).stdout


async def test_a_node_can_be_removed_while_the_control_plane_is_down(kube: ClusterSpec) -> None:
    made = await kube.ensure()
    await made["node1"].force_stop()
    events: list[ProgressEvent] = []
    with observe(events.append):
        await made.remove_node("node2")
    assert [node.name for node in made] == ["node1"]
    assert any("could not be taken out" in event.message for event in events)


async def test_the_control_plane_cannot_be_removed(kube: ClusterSpec) -> None:
    made = await kube.ensure()
    with pytest.raises(InvalidSpecError, match="control plane"):
        await made.remove_node("node1")
    with pytest.raises(ClusterDriftError, match="control plane"):
        await kube.without_node("node1").ensure()
    assert (await made.status()).running


async def test_stopped_and_started_it_is_ready_again(kube: ClusterSpec) -> None:
    made = await kube.ensure()
    await made.stop()
    stopped = await made.status()
    assert stopped.kubernetes is not None
    assert "does not run" in str(stopped.kubernetes.problem)
    await made.start()
    assert await conditions(made) == {"node1": "Ready", "node2": "Ready"}


async def test_two_at_once_initialise_once(kube: ClusterSpec, driver: SimulatedDriver) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(kube.ensure)
        group.start_soon(kube.ensure)
    assert titles(driver).count("job kubeadm-init") == 1
    assert titles(driver).count("job kubeadm-join") == 1


@pytest.mark.parametrize(
    ("small", "named"),
    [
        (lambda spec: spec.control_plane(cpus=1), "1 CPU, and kubeadm"),
        (lambda spec: spec.control_plane(memory="1600MB"), "1700 MB"),
        (lambda spec: spec.network("10.244.0.0/24"), "overlap"),
        (lambda spec: spec.pod_network(services="192.168.0.0/16"), "overlap"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_touched(
    kube: ClusterSpec,
    driver: SimulatedDriver,
    small: Callable[[ClusterSpec], ClusterSpec],
    named: str,
) -> None:
    with pytest.raises(InvalidSpecError, match=named):
        await small(kube).ensure()
    assert not await driver.list_networks()
    await small(kube).bare().plan()  # kubeadm is the user's business then


async def test_workers_may_be_small(kube: ClusterSpec) -> None:
    await kube.workers(1, cpus=1, memory="512MiB").plan()


async def test_ranges_of_a_cluster_that_exists_cannot_change(kube: ClusterSpec) -> None:
    await kube.ensure()
    with pytest.raises(ClusterDriftError, match="its pods are in"):
        await kube.pod_network(cidr="10.200.0.0/16").plan()


async def test_a_manifest_is_applied_once(
    kube: ClusterSpec, driver: SimulatedDriver, tmp_path: Path
) -> None:
    manifest = tmp_path / "network.yaml"
    manifest.write_text("kind: DaemonSet\n")
    made = await kube.pod_network(manifest).ensure()
    assert (await made.status()).summary == "2 of 2 running, 2 Ready"
    assert "pod routes" not in titles(driver), "ours is not needed"
    (applied,) = [it for it in driver.commands.calls if "kubectl apply" in it.command]
    assert applied.stdin == "kind: DaemonSet\n"


async def test_a_manifest_that_cannot_be_had_is_told_before_anything_is_touched(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    with pytest.raises(InvalidSpecError, match="no-such-file"):
        await kube.pod_network("no-such-file.yaml").ensure()
    assert not await driver.list_networks()


async def test_kubectl_runs_on_the_control_plane(
    kube: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await kube.ensure()
    result = await made.kubectl("get nodes", check=True)
    assert "node2   Ready" in result.stdout
    assert (result.host, result.command) == ("node1", "kubectl get nodes")
    driver.commands.answer("# kutti: kubectl get pods*", stderr="refused\n", exit_status=1)
    with pytest.raises(CommandFailedError, match="refused"):
        await made.kubectl("get pods", check=True)


async def test_the_kubeconfig_goes_with_the_cluster(kube: ClusterSpec, tmp_path: Path) -> None:
    made = await kube.ensure()
    path = await made.kubeconfig()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (forward,) = [it for it in await made["node1"].forwards() if it.vm_port == 6443]
    assert f"server: https://127.0.0.1:{forward.host_port}" in path.read_text()
    mine = await made.merge_kubeconfig(tmp_path / "config")
    await made.delete()
    assert not path.exists()
    assert mine.exists(), "that one is the user's"


async def test_without_kubernetes_there_is_nothing_to_ask(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await lab.ensure()
    assert (await made.status()).kubernetes is None
    with pytest.raises(InvalidSpecError, match="no Kubernetes"):
        await made.kubectl("get nodes")


async def test_a_control_plane_that_does_not_run_is_told(kube: ClusterSpec) -> None:
    made = await kube.ensure()
    await made.force_stop()
    with pytest.raises(HostNotRunningError):
        await made.kubeconfig()


async def test_the_words_survive_in_the_record(kube: ClusterSpec) -> None:
    changes = {"ClusterConfiguration": {"clusterName": "lab"}}
    await kube.kubeadm(changes).pod_network(cidr="10.200.0.0/16").bare().ensure()
    found = (await attach("lab", driver=kube.find_driver())).spec
    assert found.kubernetes_options.kubeadm_changes == changes
    assert found.kubernetes_options.pod_cidr == "10.200.0.0/16"
    assert found.kubernetes_options.bare


def facts(*more: str, kubeadm: str = "v1.35.0", clock: int = 0) -> str:
    lines = [f"kubeadm {kubeadm}", "virtualization kvm", "boot boot-1", f"clock {clock}", *more]
    return "".join(f"{line}\n" for line in lines)


def _certificate() -> str:
    """Some certificate, as a node sends it."""
    return b64encode(_AUTHORITY).decode()
