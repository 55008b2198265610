#!/bin/sh
# Load archives of container images into the containerd of a root file system, as
# root of a user namespace and in a mount namespace of its own:
#
#     import_images.sh TIMESTAMP < LIST
#
# LIST has a line for each archive: its file below `images`, and the program that
# unpacks it. Everything is relative to the folder this starts in, where `tree` is
# the root file system. Standard output tells each image's name and digest.
set -eu
timestamp=$1
base=/run/import-images
store=var/lib/containerd

# Private mounts, gone with the mount namespace. containerd looks at /proc to learn
# that it is in a user namespace, and writes into /dev/null.
mount --rbind /proc tree/proc
mkdir -p "tree$base"
[ -e tree/dev/null ] || : > tree/dev/null
mount --bind /dev/null tree/dev/null

# Content, snapshots and their metadata: nothing that runs containers.
cat > "tree$base/config.toml" <<CONFIG
version = 2
root = "/$store"
state = "$base/state"
required_plugins = ["io.containerd.snapshotter.v1.overlayfs"]
disabled_plugins = [
    "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
    "io.containerd.grpc.v1.tasks", "io.containerd.service.v1.tasks-service",
    "io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart",
    "io.containerd.monitor.v1.cgroups", "io.containerd.monitor.task.v1.cgroups",
    "io.containerd.nri.v1.nri", "io.containerd.runtime.v1.linux", "io.containerd.runtime.v2.task",
    "io.containerd.sandbox.controller.v1.shim", "io.containerd.shim.v1.manager",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.native",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"
]
[grpc]
address = "$base/socket"
[ttrpc]
address = "$base/socket.ttrpc"
CONFIG

ctr() { chroot tree ctr --address "$base/socket" --namespace k8s.io "$@"; }

chroot tree containerd --config "$base/config.toml" --log-level warn >&2 &
containerd=$!
# It tells nobody when it is ready, unless systemd runs it.
until ctr version > /dev/null 2>&1; do
    kill -0 "$containerd" || exit 1
    sleep 0.1
done

while read -r file unpack; do
    # The pipe's status is that of ctr; a broken archive was refused before.
    $unpack < "images/$file" | ctr images import --snapshotter overlayfs - >&2
done

ctr images list | while read -r name type digest _; do
    [ "$name" != REF ] || continue
    # The labels by which the kubelet's interface to containerd knows its images, and
    # keeps them when the disk fills: there may be nowhere to get them from again.
    ctr images label "$name" io.cri-containerd.image=managed io.cri-containerd.pinned=pinned \
        > /dev/null
    echo "image $name $digest $type"
done

# Layers are unpacked now, and their archives as large again. Manifests and
# configurations, which are JSON, stay. containerd does the same when it pulls with
# discard_unpacked_layers.
ctr content list --quiet | while read -r digest; do
    blob=tree/$store/io.containerd.content.v1.content/blobs/$(echo "$digest" | tr : /)
    [ "$(head -c 1 "$blob")" = "{" ] || ctr content delete "$digest" > /dev/null
done

kill "$containerd"
wait "$containerd" || true
umount tree/dev/null
rm -rf "tree$base" "tree/$store/tmpmounts"
rm -f tree/dev/null
# Every host's containerd gives itself an identity.
rm -rf "tree/$store/io.containerd.grpc.v1.introspection"
find tree/dev tree/run tree/var/lib -newermt "@$timestamp" \
    -exec touch --no-dereference --date "@$timestamp" {} +
