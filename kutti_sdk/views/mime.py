"""What a notebook gets to show a thing: one text for each kind of front end."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import Any

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.core.errors import KuttiError
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.faces import face
from kutti_sdk.views.notebook import in_a_notebook
from kutti_sdk.views.timeline_picture import timeline_picture
from kutti_sdk.views.timeline_record import Timeline

_WIDGET = "application/vnd.jupyter.widget-view+json"

_hinted = False


def mime_bundle(thing: object) -> dict[str, Any]:
    """Show a thing in as many ways as there are.

    A front end takes the best that it can show; the others stay in the notebook's file.

    Args:
        thing: What to show.

    Returns:
        Texts by MIME type: plain text always, HTML where the thing has a face, SVG where
        that is a picture, and a live view in a notebook that has ipywidgets.
    """
    bundle: dict[str, Any] = {"text/plain": _plain(thing)}
    shown = face(thing)
    if shown is not None:
        bundle["text/html"] = "".join(map(str, (shown, *_hint(thing))))
    if isinstance(thing, Timeline):
        bundle["image/svg+xml"] = str(timeline_picture(thing, time.time()))
    return bundle | _live(thing)


def _plain(thing: object) -> str:
    if isinstance(thing, KuttiError):
        return f"{type(thing).__name__}: {thing}"
    return repr(thing)


def _live(thing: object) -> dict[str, Any]:
    if not in_a_notebook() or find_spec("ipywidgets") is None:
        return {}
    from kutti_sdk.views.live.registry import live_widget

    widget = live_widget(thing)
    return {} if widget is None else {_WIDGET: widget._repr_mimebundle_()[_WIDGET]}


def _hint(thing: object) -> list[Element]:
    global _hinted  # noqa: PLW0603 - once for the life of the kernel
    if _hinted or not isinstance(thing, Cluster) or not in_a_notebook():
        return []
    if find_spec("ipywidgets") is not None:
        return []
    _hinted = True
    install = element("code", "pip install 'kutti_sdk[notebook]'")
    return [element("p", "For a live view with buttons: ", install, ", then restart the kernel.")]
