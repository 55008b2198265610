"""One request for a file, or for the rest of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kutti_sdk.core.sizes import format_size
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download.answers import Body, Interrupted, Refused, judge
from kutti_sdk.images.download.meter import Meter
from kutti_sdk.images.download.partial import Origin, save_origin
from kutti_sdk.images.download.space import room_for
from kutti_sdk.images.download.writing import PartWriter
from kutti_sdk.runtime.http import body_of

if TYPE_CHECKING:
    import httpx

# Not valid yet, and not any more. Source: X509_verify_cert_error_string(3) of OpenSSL.
_AT_ANOTHER_TIME = frozenset({9, 10})


class Transfer:
    """The transfers of one file from one server, of which several may be needed.

    Args:
        entry: Which file.
        known: What is known of it from before.
        writer: Where the bytes go.
        meter: Who is told how many came.
    """

    def __init__(
        self, entry: CatalogueEntry, known: Origin, writer: PartWriter, meter: Meter
    ) -> None:
        self._entry = entry
        self._known = known
        self._writer = writer
        self._meter = meter
        self.continued = False
        """Whether a transfer went on where an earlier one had ended."""

    async def receive(self, client: httpx.AsyncClient) -> None:
        """Ask for what is missing and take it; what came before a fault stays.

        Args:
            client: Makes the request.

        Raises:
            Interrupted: When it broke off and may go on.
            RangeUnusable: When the whole file has to be asked for.
            Refused: When the server will not give it.
            NotEnoughDiskError: When there is no room for it.
        """
        import httpx

        position = self._writer.size
        request = client.stream("GET", self._entry.source_url, headers=self._headers(position))
        try:
            async with request as response:
                await self._take(response, judge(response, position, self._known))
        except httpx.TransportError as error:
            raise _judge_failure(error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Refused(_words(error), "Look at the address in the image list.") from error

    def _headers(self, position: int) -> dict[str, str]:
        if not position:
            return {}
        headers = {"Range": f"bytes={position}-"}
        if self._known.validator:
            headers["If-Range"] = self._known.validator
        return headers

    async def _take(self, response: httpx.Response, body: Body) -> None:
        most = await room_for(self._entry, body.start, body.length)
        if body.start < self._writer.size:  # all of it is sent, asked for or not
            await self._writer.begin_again()
        self.continued = body.start > 0
        if body.origin != self._known or body.start == 0:
            await save_origin(self._entry.checksum, body.origin)
            self._known = body.origin
        self._meter.begin(body.start, body.origin.total)
        came = 0
        async with body_of(response) as blocks:
            async for block in blocks:
                came += len(block)
                if came > most:
                    raise Refused(
                        f"the server has sent {format_size(most)}, and does not stop",
                        "Tell whoever runs the server.",
                    )
                await self._writer.put(block)


def _judge_failure(error: httpx.TransportError) -> Interrupted | Refused:
    import httpx

    if isinstance(error, httpx.UnsupportedProtocol):
        return Refused(_words(error), "Only http and https are used, and never http after https.")
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Refused(_words(error), _advice_on_trust(cause))
    if isinstance(error, httpx.ProxyError) and not _words(error).startswith("5"):
        return Refused(f"the proxy says: {_words(error)}", "Look at the proxy's URL.")
    if isinstance(error, httpx.TimeoutException):
        return Interrupted("nothing came any more")
    return Interrupted(_words(error))


def _advice_on_trust(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _AT_ANOTHER_TIME:
        return "Look at this machine's clock; if it is right, tell whoever runs the server."
    return (
        "If your network has a certificate authority of its own, name its file: "
        "ca_file, --ca-file or SSL_CERT_FILE."
    )


def _words(error: Exception) -> str:
    # What happened is said by the innermost error only, under trio above all.
    return next((str(cause) for cause in _causes(error) if str(cause)), type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
