"""What can go wrong with an answer of the fault server, each a fault to be given to it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass
class Answer:
    """What the server is about to send; faults change it.

    Attributes:
        status: The status code.
        headers: The headers.
        content: What the body is cut from: bytes, or a file.
        start: First byte of the body in the content.
        end: Where the body ends in the content.
        rate: Bytes per second; None for as fast as it goes.
        stop_after: Bytes of the body after which `stop` happens; None for never.
        stop: ``close``, ``reset`` or ``hang``.
        silent: Whether nothing at all is said.
        endless: Whether the body is repeated for ever.
        flip: Offset in the content of a byte that is sent inverted.
    """

    status: int
    headers: dict[str, str]
    content: bytes | Path = b""
    start: int = 0
    end: int = 0
    rate: float | None = None
    stop_after: int | None = None
    stop: str = "close"
    silent: bool = False
    endless: bool = False
    flip: int | None = None

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer something else altogether."""
        self.status, self.content, self.start, self.end = status, body, 0, len(body)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.headers["Content-Length"] = str(len(body))


class Fault(Protocol):
    """Something that goes wrong with an answer."""

    def spoil(self, answer: Answer) -> None: ...


@dataclass(frozen=True)
class Fine:
    """Nothing goes wrong."""

    def spoil(self, answer: Answer) -> None:
        pass


@dataclass(frozen=True)
class Truncate:
    """The connection ends after some bytes of the body."""

    after: int

    def spoil(self, answer: Answer) -> None:
        answer.stop_after, answer.stop = self.after, "close"


@dataclass(frozen=True)
class Reset:
    """The connection is reset after some bytes of the body."""

    after: int

    def spoil(self, answer: Answer) -> None:
        answer.stop_after, answer.stop = self.after, "reset"


@dataclass(frozen=True)
class Stall:
    """Nothing more comes after some bytes of the body, and the connection stays."""

    after: int

    def spoil(self, answer: Answer) -> None:
        answer.stop_after, answer.stop = self.after, "hang"


@dataclass(frozen=True)
class Silent:
    """The connection is accepted, and nothing is ever said."""

    def spoil(self, answer: Answer) -> None:
        answer.silent = True


@dataclass(frozen=True)
class Slow:
    """The body comes at a low rate."""

    bytes_per_second: float

    def spoil(self, answer: Answer) -> None:
        answer.rate = self.bytes_per_second


@dataclass(frozen=True)
class Corrupt:
    """One byte of the file is another."""

    at: int

    def spoil(self, answer: Answer) -> None:
        answer.flip = self.at


@dataclass(frozen=True)
class WrongLength:
    """Content-Length promises more bytes than come, or with a negative number fewer."""

    by: int

    def spoil(self, answer: Answer) -> None:
        answer.headers["Content-Length"] = str(answer.end - answer.start + self.by)


@dataclass(frozen=True)
class NoLength:
    """No length is told: the body ends where the connection ends."""

    def spoil(self, answer: Answer) -> None:
        answer.headers.pop("Content-Length", None)


@dataclass(frozen=True)
class IgnoreRange:
    """All of the file is sent, whatever was asked for."""

    def spoil(self, answer: Answer) -> None:
        if answer.status == 206:
            answer.status = 200
            answer.headers.pop("Content-Range")
            answer.start = 0
            answer.headers["Content-Length"] = str(answer.end)


@dataclass(frozen=True)
class Unsatisfiable:
    """A range is refused with 416."""

    def spoil(self, answer: Answer) -> None:
        if answer.status == 206:
            answer.say(416, Content_Range=f"bytes */{answer.end}")


@dataclass(frozen=True)
class WrongContentRange:
    """Content-Range names another part than was asked for, or is nonsense."""

    text: str

    def spoil(self, answer: Answer) -> None:
        if answer.status == 206:
            answer.headers["Content-Range"] = self.text


@dataclass(frozen=True)
class Header:
    """A header is another, or missing when it is None."""

    name: str
    value: str | None

    def spoil(self, answer: Answer) -> None:
        answer.headers.pop(self.name, None)
        if self.value is not None:
            answer.headers[self.name] = self.value


@dataclass(frozen=True)
class NoValidators:
    """There is neither ETag nor Last-Modified."""

    def spoil(self, answer: Answer) -> None:
        answer.headers.pop("ETag", None)
        answer.headers.pop("Last-Modified", None)


@dataclass(frozen=True)
class Endless:
    """The body never ends, and no length is told."""

    def spoil(self, answer: Answer) -> None:
        answer.headers.pop("Content-Length", None)
        answer.endless = True


@dataclass(frozen=True)
class GzipBomb:
    """A small packed body, which nobody asked for, that unpacks to a large one."""

    def spoil(self, answer: Answer) -> None:
        answer.say(200, gzip.compress(bytes(16 * 1024 * 1024)), Content_Encoding="gzip")


@dataclass(frozen=True)
class WebPage:
    """A page is sent in place of everything, as networks do that want a login."""

    def spoil(self, answer: Answer) -> None:
        answer.say(200, b"<html>Please log in</html>", Content_Type="text/html; charset=utf-8")


@dataclass(frozen=True)
class Status:
    """Another status, with no body."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)

    def spoil(self, answer: Answer) -> None:
        answer.say(self.code, **self.headers)


@dataclass(frozen=True)
class Redirect:
    """The file is somewhere else."""

    to: str

    def spoil(self, answer: Answer) -> None:
        answer.say(302, Location=self.to)


@dataclass(frozen=True)
class Both:
    """Two things go wrong."""

    one: Fault
    other: Fault

    def spoil(self, answer: Answer) -> None:
        self.one.spoil(answer)
        self.other.spoil(answer)
