"""What a notebook gets to show a thing: one text for each kind of front end."""

from __future__ import annotations

import time
from typing import Any

from kutti_sdk.core.errors import KuttiError
from kutti_sdk.views.faces import face
from kutti_sdk.views.timeline_picture import timeline_picture
from kutti_sdk.views.timeline_record import Timeline


def mime_bundle(thing: object) -> dict[str, Any]:
    """Show a thing in as many ways as there are.

    A front end takes the best that it can show; the others stay in the notebook's file.

    Args:
        thing: What to show.

    Returns:
        Texts by MIME type: plain text always, HTML where the thing has a face, SVG where
        that is a picture.
    """
    bundle: dict[str, Any] = {"text/plain": _plain(thing)}
    shown = face(thing)
    if shown is not None:
        bundle["text/html"] = str(shown)
    if isinstance(thing, Timeline):
        bundle["image/svg+xml"] = str(timeline_picture(thing, time.time()))
    return bundle


def _plain(thing: object) -> str:
    if isinstance(thing, KuttiError):
        return f"{type(thing).__name__}: {thing}"
    return repr(thing)
