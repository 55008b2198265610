"""Building a node image into the store."""

from __future__ import annotations

from kutti_sdk.images.builder import NodeImageRecipe, build_node_image
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.store import LocalImage, keep
from kutti_sdk.runtime.directories import cache_dir

_BUILD_LOG = "image-build.log"


async def build_into_store(recipe: NodeImageRecipe) -> LocalImage:
    """Build a node image and keep it.

    Args:
        recipe: What goes into it.

    Returns:
        The image.

    Raises:
        ImageBuildError: When it could not be built.
    """
    async with incoming() as place:
        await build_node_image(recipe, place / "image", log=cache_dir() / _BUILD_LOG)
        return await keep(place / "image")
