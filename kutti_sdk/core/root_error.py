"""The root of all errors: what each of them carries; `errors` has the tree below it."""

from __future__ import annotations

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.plain_text import plain_text


class KuttiError(Displayed, Exception):
    """The root of all errors raised by kutti_sdk.

    Args:
        message: What went wrong, in one sentence.
        hint: What to do about it, or None where nothing sensible can be said.
        driver: Name of the driver it is about.
        network: Name of the network it is about.
        cluster: Name of the cluster it is about.
        host: Name of the host it is about.
        image: Kubernetes version of the image it is about.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        driver: str | None = None,
        network: str | None = None,
        cluster: str | None = None,
        host: str | None = None,
        image: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.driver = driver
        self.network = network
        self.cluster = cluster
        self.host = host
        self.image = image

    def __str__(self) -> str:
        """The message, and below it the hint."""
        text = self.message if self.hint is None else f"{self.message}\nHint: {self.hint}"
        return plain_text(text)

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses take other arguments than the message that Exception keeps.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[KuttiError], args: tuple[object, ...], attributes: dict[str, object]
) -> KuttiError:
    """Make an error anew that was copied or came from another process."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
