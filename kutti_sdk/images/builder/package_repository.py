"""Kubernetes packages from the Kubernetes project's package repository, or a copy of it.

The repository is asked before a build starts: one that cannot be reached, or has
not got the version, is told within seconds. What is read here only chooses
versions; that packages are genuine is proven by apt, which verifies the signed
checksums of all that it downloads with the repository's key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder.kubernetes_packages import (
    DEBIAN_ARCHITECTURE,
    BinaryPackage,
    KubernetesPackages,
    choose_packages,
    parse_control,
)
from kutti_sdk.runtime.http import http_client

if TYPE_CHECKING:
    import httpx

DEADLINE = 20.0
"""Seconds that a repository has to hand out its key and its index, some 100 kB."""

_LARGEST = 32 * 1024 * 1024  # bytes of a key or an index
_NOT_FOUND = 404
_KEY = "Release.key"
_OFFLINE = (
    "Without it, give a folder of .deb files (--packages DIR) and one of container image "
    "archives (--container-images DIR)."
)


async def packages_in_repository(
    repository: str, wanted: K8sVersion, *, key: Path | None = None, deadline: float = DEADLINE
) -> KubernetesPackages:
    """Choose the Kubernetes packages of a repository.

    Args:
        repository: Its URL, below which there is ``core:/stable:/v1.34/deb/``.
        wanted: The Kubernetes version that was asked for.
        key: File with the public key that it is signed with; None to read it from
            the repository, which must then be reached over HTTPS.
        deadline: Seconds that it may take in all.

    Returns:
        The packages.

    Raises:
        ImageBuildError: When the repository cannot be reached, or has not got the
            packages of that version.
    """
    url = f"{repository.rstrip('/')}/core:/stable:/v{wanted.minor_version}/deb"
    signed_by = None if key is None else await _read_key(key)
    index = ""
    with anyio.move_on_after(deadline) as scope:
        async with http_client(stall_timeout=deadline) as client:
            index = (await _get(client, f"{url}/Packages", wanted)).decode(errors="replace")
            if signed_by is None:
                signed_by = await _get(client, f"{url}/{_KEY}", wanted, only_https=True)
    if scope.cancelled_caught or signed_by is None:
        raise ImageBuildError(f"{repository} did not answer within {deadline:g} s", hint=_OFFLINE)
    chosen = await anyio.to_thread.run_sync(
        lambda: choose_packages(wanted, _offered(index), place=url)
    )
    return KubernetesPackages(
        version=str(chosen[0].upstream_version),
        packages=chosen,
        source=f"deb [signed-by={{folder}}/{_key_name(signed_by)}] {url}/ /",
        files={_key_name(signed_by): signed_by},
    )


def _offered(index: str) -> list[BinaryPackage]:
    stanzas = (parse_control(text) for text in index.strip().split("\n\n") if text.strip())
    # One index for all architectures.
    return [one for one in stanzas if one.architecture in (DEBIAN_ARCHITECTURE, "all")]


def _key_name(key: bytes) -> str:
    # apt tells the two forms of a key apart by the name of the file: apt-secure(8).
    return "Release.asc" if key.lstrip().startswith(b"-----BEGIN PGP") else "Release.gpg"


async def _read_key(path: Path) -> bytes:
    try:
        return await anyio.Path(path).read_bytes()
    except OSError as error:
        raise ImageBuildError(
            f"the key of the package repository cannot be read: {error.strerror}: {path}"
        ) from error


async def _get(
    client: httpx.AsyncClient, url: str, wanted: K8sVersion, *, only_https: bool = False
) -> bytes:
    import httpx

    content = bytearray()
    try:
        async with client.stream("GET", url) as response:
            if response.status_code == _NOT_FOUND:
                raise ImageBuildError(
                    f"there is no {url}",
                    hint=f"Is {wanted} a version of Kubernetes? {_OFFLINE}",
                )
            response.raise_for_status()
            steps = [*response.history, response]
            if only_https and any(step.url.scheme != "https" for step in steps):
                raise ImageBuildError(
                    f"the key at {url} was not sent over HTTPS",
                    hint="Give the file of the key (--kubernetes-key FILE).",
                )
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > _LARGEST:
                    raise ImageBuildError(f"{url} is too long to be what it should be")
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ImageBuildError(
            f"the package repository of Kubernetes cannot be reached: {reason} ({url})",
            hint=_OFFLINE,
        ) from error
    return bytes(content)
