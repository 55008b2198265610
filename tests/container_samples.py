"""Archives of container images, made by hand in docker's and in the OCI's format."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence


def layer(files: Mapping[str, bytes]) -> bytes:
    """A layer: files by path; a path that ends in a slash is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.rstrip("/"))
            entry.mode = 0o755
            if path.endswith("/"):
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def docker_archive(*names: str, layers: Sequence[bytes] = (), architecture: str = "amd64") -> bytes:
    """What `docker save` of before version 25 writes."""
    config = _config(layers, architecture)
    config_name = f"{digest(config)}.json"
    layer_files = {f"{digest(content)}/layer.tar": content for content in layers}
    manifest = [{"Config": config_name, "RepoTags": list(names), "Layers": list(layer_files)}]
    return tar_of({config_name: config} | layer_files | {"manifest.json": encoded(manifest)})


def oci_archive(
    *names: str, layers: Sequence[bytes] = (), key: str = "io.containerd.image.name"
) -> bytes:
    """What `ctr images export --skip-manifest-json` writes."""
    config = _config(layers, "amd64")
    described = [_descriptor(content, "layer.v1.tar") for content in layers]
    manifest = encoded(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor(config, "config.v1+json"),
            "layers": described,
        }
    )
    entry = _descriptor(manifest, "manifest.v1+json")
    entries = [entry | {"annotations": {key: name}} for name in names]
    blobs = {f"blobs/sha256/{digest(one)}": one for one in (config, manifest, *layers)}
    index = {"schemaVersion": 2, "manifests": entries}
    layout = {"oci-layout": encoded({"imageLayoutVersion": "1.0.0"}), "index.json": encoded(index)}
    return tar_of(blobs | layout)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files."""
    return layer(files)


def encoded(value: object) -> bytes:
    """JSON, as bytes."""
    return json.dumps(value).encode()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _config(layers: Sequence[bytes], architecture: str) -> bytes:
    ids = [f"sha256:{digest(content)}" for content in layers]
    return encoded(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": ids},
        }
    )


def _descriptor(content: bytes, kind: str) -> dict[str, object]:
    return {
        "mediaType": f"application/vnd.oci.image.{kind}",
        "digest": f"sha256:{digest(content)}",
        "size": len(content),
    }
