"""A node image with Kubernetes: what kubeadm asks for is there, and containers start."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes_bundle import BUNDLE, CONTAINER_IMAGES, LAYERED, LEFT_OF_LAYERED, PACKAGES

import kutti_sdk as kutti
from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder import NodeImageRecipe, build_node_image
from kutti_sdk.images.store import LocalImage

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(not BUNDLE.is_dir(), reason=f"there is no Kubernetes in {BUNDLE}"),
]

KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
nodeRegistration: {criSocket: /run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
"""


async def test_the_manifest_tells_what_was_put_in(kubernetes_image: LocalImage) -> None:
    manifest = kubernetes_image.manifest
    assert manifest.k8s_version == "1.20.2"
    assert manifest.packages["kubelet"] == "1.20.2-1"
    assert set(manifest.package_files) == {
        "kubeadm_1.20.2-1_amd64.deb",
        "kubectl_1.20.2-1_amd64.deb",
        "kubelet_1.20.2-1_amd64.deb",
        "cri-tools_1.20.0-1standin_amd64.deb",
        "kubernetes-cni_0.9.0-1standin_amd64.deb",
    }
    assert {"pause-3.2.tar.xz", "layered.tar"} <= set(manifest.container_archives)
    assert manifest.container_images["k8s.gcr.io/pause:3.2"].startswith("sha256:")


async def test_missing_container_images_are_told_before_anything_is_installed(
    tmp_path: Path,
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "pause.tar.xz").symlink_to(CONTAINER_IMAGES / "pause-3.2.tar.xz")
    recipe = NodeImageRecipe(
        k8s_version="1.20", kubernetes_packages=PACKAGES, container_images=images
    )
    with pytest.raises(ImageBuildError, match=r"lack k8s\.gcr\.io/kube-apiserver:v1\.20\.2"):
        await build_node_image(recipe, tmp_path / "image", log=tmp_path / "log")
    assert "mmdebstrap" not in (tmp_path / "log").read_text()
    assert not (tmp_path / "image").exists()


# What is tested is inside the host: the same under asyncio and trio.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_node_is_ready_for_kubeadm(scratch: str, kubernetes_image: LocalImage) -> None:
    spec = kutti.cluster(scratch).kubernetes("1.20").nodes(1, cpus=2, memory="2GiB").bare()
    node = (await spec.ensure())["node1"]

    async def output(command: str) -> str:
        return (await node.run(command, check=True)).stdout.strip()

    # Programs and services are those of the packages; the kubelet waits for kubeadm.
    assert await output("kubeadm version -o short") == "v1.20.2"
    assert await output("kubectl version --client --short") == "Client Version: v1.20.2"
    assert await output("kubelet --version") == "Kubernetes v1.20.2"
    assert await output("systemctl is-enabled kubelet") == "enabled"
    assert (await node.run("systemctl is-active kubelet")).stdout == "inactive\n"
    assert await output("systemctl --failed --no-legend") == ""
    assert await output("swapon --show") == ""

    # All images that kubeadm wants are there, for containerd and for the kubelet.
    listed = await output("ctr -n k8s.io images list")
    digests = {line.split()[0]: line.split()[2] for line in listed.splitlines()[1:]}
    assert digests == kubernetes_image.manifest.container_images
    for line in listed.splitlines()[1:]:
        assert "io.cri-containerd.image=managed" in line
        assert "io.cri-containerd.pinned=pinned" in line
    needed = await output("kubeadm config images list --kubernetes-version v1.20.2")
    for name in needed.split():
        await output(f"crictl inspecti {name}")
    configuration = await output("containerd config dump")
    assert "SystemdCgroup = true" in configuration
    assert 'sandbox_image = "k8s.gcr.io/pause:3.2"' in configuration
    assert await output("ls /opt/cni/bin/bridge /opt/cni/bin/host-local")

    # kubeadm itself finds nothing to complain of, and pulls nothing.
    await node.run(f"cat > kubeadm.yaml <<'END'\n{KUBEADM}END", check=True)
    preflight = await node.run("kubeadm init phase preflight --config kubeadm.yaml", check=True)
    assert "WARNING" not in preflight.stdout + preflight.stderr

    # A container starts from what was unpacked at build time.
    run = "ctr -n k8s.io run --rm kutti.local/busybox:1.35 one echo hello"
    assert await output(run) == "hello"

    # What a layer deletes or replaces stays deleted, though it was unpacked elsewhere.
    await output(f"ctr -n k8s.io images mount {LAYERED} /mnt")
    found = await output("cd /mnt && find . -type f | sort")
    assert found.split() == [f"./{name}" for name in LEFT_OF_LAYERED]
