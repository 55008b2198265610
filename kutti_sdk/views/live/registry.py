"""One live view for one thing, however often it is shown."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.core.display import Listing
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import KuttiError
from kutti_sdk.core.image import VMImage
from kutti_sdk.views.live.cluster_view import ClusterView
from kutti_sdk.views.live.images_view import ImagesView

_clusters: dict[tuple[VMDriver, str], ClusterView] = {}
_images: list[ImagesView] = []


@singledispatch
def live_widget(_: object) -> Any:
    """Give the widget that shows a thing live.

    Returns:
        The widget, or None when the thing has no live view.
    """
    return None


@live_widget.register
def _(cluster: Cluster) -> Any:
    try:
        key = cluster.spec.find_driver(), cluster.name
    except KuttiError:  # a driver that is not installed here has nothing to say
        return None
    view = _clusters.get(key)
    if view is None or view.closed:
        _clusters[key] = view = ClusterView(cluster)
    else:
        view.show(cluster)
    return view.widget


@live_widget.register
def _(things: Listing) -> Any:  # type: ignore[type-arg]  # read at run time
    if not things or not all(isinstance(thing, VMImage) for thing in things):
        return None
    # A cell that is run again leaves its former view, which nobody will see any more.
    for view in _images:
        if not view.viewed:
            view.close()
    _images[:] = [view for view in _images if not view.closed]
    _images.append(ImagesView(things))
    return _images[-1].widget
