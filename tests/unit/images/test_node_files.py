from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.container_archives import ContainerArchive
from kutti_sdk.images.builder.container_images import check_complete, pause_image
from kutti_sdk.images.builder.node_files import (
    containerd_configuration,
    kubernetes_files,
    packaged_files,
)
from kutti_sdk.images.builder.overlay_marks import opaque_commands

PAUSE = "registry.k8s.io/pause:3.10"
NEEDED = ("registry.k8s.io/kube-proxy:v1.34.2", "registry.k8s.io/etcd:3.6.4-0", PAUSE)


@pytest.mark.parametrize("version", ["1.6.20~ds1-1+deb12u3", "1.7.24~ds1-6"])
def test_containerd_1_is_configured_as_kubeadm_wants_it(version: str) -> None:
    configuration = tomllib.loads(containerd_configuration(version=version, pause=PAUSE))
    assert configuration["version"] == 2
    plugin = configuration["plugins"]["io.containerd.grpc.v1.cri"]
    assert plugin["sandbox_image"] == PAUSE
    assert plugin["cni"]["bin_dir"] == "/opt/cni/bin"
    assert plugin["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


@pytest.mark.parametrize("version", ["2.0.5-1", "1:2.1.4+ds-1", "10.0-1"])
def test_containerd_2_is_configured_in_the_words_that_it_knows(version: str) -> None:
    configuration = tomllib.loads(containerd_configuration(version=version, pause=PAUSE))
    assert configuration["version"] == 3
    plugins = configuration["plugins"]
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == PAUSE
    runc = plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]
    assert runc["options"]["SystemdCgroup"] is True


def test_the_kubelet_is_enabled_and_waits_for_kubeadm() -> None:
    node = kubernetes_files(containerd="1.6.20", pause=PAUSE)
    units = "etc/systemd/system"
    target = node.links[f"{units}/multi-user.target.wants/kubelet.service"]
    assert target == "/lib/systemd/system/kubelet.service"
    drop_in = node.files[f"{units}/kubelet.service.d/20-node.conf"]
    assert b"\nConditionPathExists=/var/lib/kubelet/config.yaml\n" in drop_in
    assert b"containerd.sock" in node.files["etc/crictl.yaml"]


def test_plain_nodes_get_nothing_of_it() -> None:
    assert not packaged_files("node_root").keys() & packaged_files("kubernetes_root").keys()


def test_missing_container_images_are_named() -> None:
    archive = ContainerArchive(Path("a.tar"), "0" * 64, ("cat",), NEEDED[:1])
    with pytest.raises(ImageBuildError) as refused:
        check_complete(NEEDED, [archive])
    assert f"lack {NEEDED[1]}, {PAUSE}" in refused.value.message
    check_complete(NEEDED[:1], [archive])


def test_the_pause_image_is_kubeadms() -> None:
    assert pause_image(NEEDED) == PAUSE
    with pytest.raises(ImageBuildError):
        pause_image(NEEDED[:2])


def test_a_folder_that_hides_lower_layers_is_marked_for_a_node() -> None:
    assert opaque_commands(["snapshots/2/fs/a b"]) == (
        'ea_set "/snapshots/2/fs/a b" trusted.overlay.opaque y\n'
        'ea_rm "/snapshots/2/fs/a b" user.overlay.opaque\n'
    )
    for name in ('a"b', "a\nb"):
        with pytest.raises(ImageBuildError):
            opaque_commands([name])
