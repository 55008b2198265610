"""A pod network that somebody else made: its manifest, from a file, a URL or a text."""

from __future__ import annotations

import hashlib

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import InvalidSpecError
from kutti_sdk.core.events import report
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.kubectl import kubectl
from kutti_sdk.kubernetes.phases import POD_NETWORK
from kutti_sdk.runtime.http import DEFAULT_HTTP_SETTINGS, http_client

_APPLIED = f"{FOLDER}/pod-network.applied"
_LARGEST = 16 * 1024 * 1024


class PodManifest:
    """A manifest that is read when it is first needed.

    Args:
        source: Its text (of several lines), its URL, or its file on this machine.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._text: str | None = None

    @property
    def mark(self) -> str:
        """Tells one source from another."""
        return hashlib.sha256(self._source.encode()).hexdigest()

    async def text(self) -> str:
        """Read it, once.

        Returns:
            The text.

        Raises:
            InvalidSpecError: When it cannot be had.
        """
        if self._text is None:
            self._text = await self._read()
        return self._text

    async def _read(self) -> str:
        source = self._source
        if "\n" in source:
            return source
        try:
            if source.startswith(("http://", "https://")):
                return await _fetch(source)
            return await anyio.Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSpecError(
                f"the pod network's manifest cannot be read from {source}: {error}",
                hint="Give pod_network() a file, a URL, the text itself, or nothing.",
            ) from error


async def apply_manifest(control_plane: Guest, manifest: PodManifest) -> None:
    """Give a manifest to the API server, unless it was given already.

    Args:
        control_plane: The control plane.
        manifest: The manifest.

    Raises:
        InvalidSpecError: When it cannot be had.
        KubernetesError: When it is refused.
    """
    applied = await control_plane.run("applied manifest", f"cat {_APPLIED} 2>/dev/null\n")
    if applied.stdout.strip() == manifest.mark:
        return
    report(
        POD_NETWORK,
        "applying the pod network's manifest",
        cluster=control_plane.cluster,
        host=control_plane.name,
    )
    text = await manifest.text()
    await kubectl(control_plane, "apply -f -", stdin=text, phase=POD_NETWORK)
    await control_plane.write({_APPLIED: manifest.mark}, phase=POD_NETWORK)


async def _fetch(url: str) -> str:
    import httpx

    text = bytearray()
    try:
        async with (
            await anyio.to_thread.run_sync(http_client, DEFAULT_HTTP_SETTINGS) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                text += piece
                if len(text) > _LARGEST:
                    raise OSError(f"it is larger than {_LARGEST} bytes")
    except httpx.HTTPError as error:
        raise OSError(str(error) or type(error).__name__) from error
    return text.decode()
