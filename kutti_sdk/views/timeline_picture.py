"""A timeline as a picture, and as a table for who cannot see it."""

from __future__ import annotations

import math

from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.picture import (
    ACCENT,
    LINE,
    clipped,
    label,
    picture,
)
from kutti_sdk.views.tables import face_of, table
from kutti_sdk.views.timeline_record import Lane, Phase, Timeline
from kutti_sdk.views.words import duration_words

_NAMES = 110  # pixels for the names of the lanes
_CHART = 560  # pixels for the time
_NOTES = 250  # pixels for what goes on now
_ROW = 24
_MARGIN = 8
_CHARACTER = 6.6  # pixels, about, of a letter in the font size of these pictures

# Light fills with black text on them (10 to 1 and more) look alike in light and dark.
_FILLS = {
    "plan": "#d9d9d9",
    "image": "#f4c7a1",
    "download": "#f4c7a1",
    "network": "#d7c4ea",
    "create": "#c5cae9",
    "forward": "#e1e1e1",
    "start": "#ffe08a",
    "boot": "#a9d6f5",
    "ssh": "#b5e3b0",
}
_OTHER_FILLS = ("#f2b8c6", "#cfe8a9", "#b8e6e1", "#e6d3b3", "#d0d7ff")
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


def timeline_face(timeline: Timeline, now: float) -> Element:
    """Show a timeline: the picture, and below it a table to be unfolded.

    Args:
        timeline: The timeline.
        now: Until when phases go on that have not ended, in seconds since the epoch.

    Returns:
        The face.
    """
    rows = [
        (lane.name, phase.name, _length(phase, now), _first_line(phase.message))
        for lane in timeline.lanes
        for phase in lane.phases
    ]
    columns = ("node", "phase", "took", "last message")
    return face_of(
        timeline_picture(timeline, now),
        element(
            "details", element("summary", "As a table"), table(_caption(timeline), columns, rows)
        ),
    )


def timeline_picture(timeline: Timeline, now: float) -> Element:
    """Draw a timeline.

    Args:
        timeline: The timeline.
        now: Until when phases go on that have not ended, in seconds since the epoch.

    Returns:
        An SVG.
    """
    lanes = timeline.lanes
    now = timeline.end or now
    start = min((lane.phases[0].start for lane in lanes), default=now)
    span = max(now - start, 1.0)
    height = (len(lanes) + 2) * _ROW + 2 * _MARGIN
    drawn = [
        _lane(lane, _MARGIN + _ROW * (number + 1), start, span, now)
        for number, lane in enumerate(lanes)
    ]
    heading = label(_MARGIN, _MARGIN + 14, _caption(timeline), font_weight="600")
    axis = _axis(span, _MARGIN + _ROW, height - _ROW - _MARGIN)
    return picture(
        _NAMES + _CHART + _NOTES, height, _description(timeline, now), heading, axis, *drawn
    )


def _caption(timeline: Timeline) -> str:
    if timeline.failure:
        return f"Timeline: {timeline.failure}"
    return "Timeline" if timeline.end else "Timeline, still going on"


def _description(timeline: Timeline, now: float) -> str:
    lanes = "; ".join(
        f"{lane.name}: " + ", ".join(f"{it.name} {_length(it, now)}" for it in lane.phases)
        for lane in timeline.lanes
    )
    return f"{_caption(timeline)}. {lanes}"


def _lane(lane: Lane, top: float, start: float, span: float, now: float) -> Element:
    scale = _CHART / span
    name = label(_MARGIN, top + 16, clipped(lane.name, (_NAMES - _MARGIN) / _CHARACTER))
    bars = [_bar(phase, top, start, scale, now) for phase in lane.phases]
    note = clipped(_note(lane), _NOTES / _CHARACTER - 3)
    return element(
        "g",
        name,
        *bars,
        label(_NAMES + _CHART + 8, top + 16, note),
    )


def _note(lane: Lane) -> str:
    last = lane.phases[-1]
    if lane.ready:
        return "✔ ready"
    return "" if last.end else f"{last.name}: {_first_line(last.message)}"


def _bar(phase: Phase, top: float, start: float, scale: float, now: float) -> Element:
    left = _NAMES + (phase.start - start) * scale
    width = max(2.0, ((phase.end or now) - phase.start) * scale)
    fits = len(phase.name) * _CHARACTER + 6 <= width
    return element(
        "g",
        element("title", f"{phase.name}: {_length(phase, now)}"),
        element(
            "rect",
            x=round(left, 1),
            y=top + 3,
            width=round(width, 1),
            height=_ROW - 6,
            fill=_fill(phase.name),
            style=None if phase.end else f"stroke:{ACCENT};stroke-dasharray:3 2",
        ),
        label(left + 4, top + 16, phase.name, style="fill:#111") if fits else None,
    )


def _axis(span: float, top: float, bottom: float) -> Element:
    step = next((it for it in _STEPS if span / it <= 7), 86400)
    marks = []
    for number in range(math.floor(span / step) + 1):
        x = round(_NAMES + number * step / span * _CHART, 1)
        marks.append(element("line", x1=x, x2=x, y1=top, y2=bottom, style=f"stroke:{LINE}"))
        marks.append(label(x, bottom + 16, _tick(number * step)))
    return element("g", *marks)


def _tick(seconds: float) -> str:
    if seconds >= 60 or seconds == 0:
        return duration_words(seconds) if seconds else "0 s"
    return f"{seconds:g} s"


def _fill(phase: str) -> str:
    # Phases of Kubernetes and of drivers to come: the same colour for the same name,
    # in every process.
    return _FILLS.get(phase) or _OTHER_FILLS[sum(phase.encode()) % len(_OTHER_FILLS)]


def _first_line(message: str) -> str:
    return message.partition("\n")[0]


def _length(phase: Phase, now: float) -> str:
    return duration_words((phase.end or now) - phase.start)
