"""What happened to each node while a cluster was brought up, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.events import ProgressEvent
from kutti_sdk.views.words import duration_words

_THE_END = "ready"

_Key = tuple[str, str]
_MACHINE = ("", "")
"""Key of the lane for what is about no cluster, such as the probe of an accelerator."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of one lane.

    Attributes:
        name: Name of the phase, as in `ProgressEvent`.
        start: When it began, in seconds since the epoch.
        end: When it ended; None while it goes on.
        message: The last that was told of it.
    """

    name: str
    start: float
    end: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one node, one image or the cluster itself went through.

    Attributes:
        name: Whose lane it is.
        phases: Its phases, in order.
        ready: Whether it got to the end.
    """

    name: str
    phases: tuple[Phase, ...] = ()
    ready: bool = False


class Timeline(Displayed):
    """The phases of a bring-up, as `timeline` follows them; shows itself as a picture.

    May be added to and looked at from several threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._lanes: dict[_Key, Lane] = {}
        self._latest: _Key | None = None  # the node that something was told of last
        self._waiting: _Key | None = None  # the one that the machine was looked at for
        self._end: float | None = None
        self._failure = ""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """What each node, each image and the cluster itself went through."""
        with self._lock:
            return tuple(lane for lane in self._lanes.values() if lane.phases)

    @property
    def end(self) -> float | None:
        """When it ended, in seconds since the epoch; None while it goes on."""
        return self._end

    @property
    def failure(self) -> str:
        """Why it ended early; empty when it did not."""
        return self._failure

    def add(self, event: ProgressEvent) -> None:
        """Take in what happened.

        Args:
            event: What was reported.
        """
        key, name = _lane_of(event)
        with self._lock:
            lane = self._lanes.get(key, Lane(name))
            self._lanes[key] = _continued(lane, event)
            if key == _MACHINE:
                self._waiting = self._latest
            elif key == self._waiting and len(self._lanes[key].phases) > len(lane.phases):
                # The node that the machine was looked at for goes on.
                self._lanes[_MACHINE] = _closed(self._lanes[_MACHINE], event.time)
                self._waiting = None
            if event.host is not None:
                self._latest = key
            cluster = (event.cluster or "", "")
            if event.host is not None and cluster in self._lanes:
                # Now its nodes are worked at, and not the cluster itself.
                self._lanes[cluster] = _closed(self._lanes[cluster], event.time)
            elif event.phase == _THE_END:
                self._close_lanes(event.time)

    def finish(self, time: float, failure: str = "") -> None:
        """End what still goes on.

        Args:
            time: When that was, in seconds since the epoch.
            failure: Why it ended early; empty when it did not.
        """
        with self._lock:
            self._end = time
            self._failure = failure
            self._close_lanes(time)

    def __repr__(self) -> str:
        lines = [
            f"  {lane.name}: " + ", ".join(_phase_words(phase) for phase in lane.phases)
            for lane in self.lanes
        ]
        heading = f"Timeline: {self.failure}" if self.failure else "Timeline"
        return "\n".join([heading, *lines])

    def _close_lanes(self, time: float) -> None:
        for key, lane in self._lanes.items():
            self._lanes[key] = _closed(lane, time)


def _lane_of(event: ProgressEvent) -> tuple[_Key, str]:
    if event.host is not None:
        return (event.cluster or "", event.host), event.host
    if event.cluster is None and event.image is not None:
        return ("", f"image {event.image}"), f"image {event.image}"
    return (event.cluster or "", ""), event.cluster or "this machine"


def _continued(lane: Lane, event: ProgressEvent) -> Lane:
    if event.phase == _THE_END:
        return replace(_closed(lane, event.time), ready=True)
    last = lane.phases[-1] if lane.phases else None
    if last is not None and last.name == event.phase and last.end is None:
        return replace(lane, phases=(*lane.phases[:-1], replace(last, message=event.message)))
    begun = Phase(event.phase, event.time, message=event.message)
    return replace(_closed(lane, event.time), phases=(*_closed(lane, event.time).phases, begun))


def _closed(lane: Lane, time: float) -> Lane:
    if not lane.phases or lane.phases[-1].end is not None:
        return lane
    return replace(lane, phases=(*lane.phases[:-1], replace(lane.phases[-1], end=time)))


def _phase_words(phase: Phase) -> str:
    if phase.end is None:
        return f"{phase.name} ..."
    return f"{phase.name} {duration_words(phase.end - phase.start)}"
