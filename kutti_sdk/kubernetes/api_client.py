"""A client of the Kubernetes API, by kr8s: we have none of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kutti_sdk.core.errors import KuttiError

if TYPE_CHECKING:
    from kr8s.asyncio import Api


async def connect(kubeconfig: Path) -> Api:
    """Make a client that has spoken to the API server.

    Args:
        kubeconfig: File with its address and our credentials.

    Returns:
        The client, as ``kr8s.asyncio.api`` gives it.

    Raises:
        KuttiError: When kr8s is not installed.
    """
    try:
        import kr8s.asyncio
    except ImportError as error:
        raise KuttiError(
            f"the Kubernetes client cannot be used: {error}",
            hint='Install it with: pip install "kutti_sdk[kubernetes]"',
        ) from error
    return await kr8s.asyncio.api(kubeconfig=str(kubeconfig))
