"""Progress: what long operations tell while they run.

An operation calls `report`; whoever wants to know wraps the call in `observe`.
The observers travel in a context variable, so that they reach every task an
operation starts, under asyncio and trio alike, and no signature carries them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

WARNING = "warning"
"""The phase of what is not as it should be, and does not stop the operation."""

Observer = Callable[["ProgressEvent"], None]
"""Takes each event, in the task that reports it; must return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """One thing that happened in a running operation.

    Attributes:
        phase: What is going on, in one or two words: ``download``, ``boot``, ``ssh``.
        message: The same for a person, as a sentence without a full stop.
        cluster: Name of the cluster it is about.
        host: Name of the host it is about.
        image: Kubernetes version of the image it is about.
        fraction: How much of the phase is done, 0.0 to 1.0, or None when unknown.
        bytes_done: Bytes moved so far, for downloads and copies.
        bytes_total: Bytes to move in all, or None when unknown.
        rate: Bytes per second, over the last seconds.
        remaining: Seconds that it will take yet at that rate, or None when unknown.
        time: When it happened, in seconds since the epoch.
    """

    phase: str
    message: str
    cluster: str | None = None
    host: str | None = None
    image: str | None = None
    fraction: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    rate: float | None = None
    remaining: float | None = None
    time: float = field(default_factory=time.time)


_observers: ContextVar[tuple[Observer, ...]] = ContextVar("kutti_observers", default=())


def report(
    phase: str,
    message: str,
    *,
    cluster: str | None = None,
    host: str | None = None,
    image: str | None = None,
    fraction: float | None = None,
    bytes_done: int | None = None,
    bytes_total: int | None = None,
    rate: float | None = None,
    remaining: float | None = None,
) -> None:
    """Tell every observer of the running operation what is going on.

    Args:
        phase: See `ProgressEvent`, as for all others.
        message: For a person.
        cluster: Name of the cluster.
        host: Name of the host.
        image: Kubernetes version of the image.
        fraction: 0.0 to 1.0.
        bytes_done: Bytes moved so far.
        bytes_total: Bytes in all.
        rate: Bytes per second.
        remaining: Seconds that it will take yet.
    """
    if not _observers.get():
        return
    relay(
        ProgressEvent(
            phase=phase,
            message=message,
            cluster=cluster,
            host=host,
            image=image,
            fraction=fraction,
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            rate=rate,
            remaining=remaining,
        )
    )


def relay(event: ProgressEvent) -> None:
    """Tell every observer of the running operation what was observed elsewhere.

    Args:
        event: The event, as it was observed in another thread or process.
    """
    for observer in _observers.get():
        observer(event)


@contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Send the progress of every operation inside the block to an observer.

    Blocks nest: inner operations are told to all observers around them.

    Args:
        observer: Called with each `ProgressEvent`.

    Yields:
        Nothing.
    """
    token = _observers.set((*_observers.get(), observer))
    try:
        yield
    finally:
        _observers.reset(token)
