"""A server of images in a local network, and the ways in which tests talk to it."""

from __future__ import annotations

import anyio
import httpx
from image_samples import VERSION, nobody

from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry, parse_catalogue
from kutti_sdk.images.image import StoredImage, stored_images
from kutti_sdk.images.serving import ImageServer


async def unlisted() -> list[StoredImage]:
    return await stored_images(Catalogue({}), nobody)


class Lab:
    """A server and a client of it."""

    def __init__(self, server: ImageServer, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client

    async def entry(self) -> CatalogueEntry:
        return (await self.entries())[VERSION]

    async def entries(self) -> dict[str, CatalogueEntry]:
        catalogue = parse_catalogue((await self.client.get(self.server.list_url)).content)
        assert catalogue.problems == ()
        return catalogue.entries

    async def get(self, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get((await self.entry()).source_url, headers=named)


async def raw_answer(server: ImageServer, request: bytes) -> bytes:
    port = int(server.url.rpartition(":")[2])
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request)
        try:
            while True:
                answer += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return answer
