"""How things show themselves in a notebook.

What they look like is the business of `kutti_sdk.views`, which lies above all that
it shows. So the views are asked for by name, when the first thing is shown: nothing
below imports them, and who shows nothing does not load them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")

_VIEWS = "kutti_sdk.views"


class Displayed:
    """Something that has a face in notebooks."""

    __slots__ = ()

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        # IPython's protocol: a text for each MIME type, of which the front end takes
        # the best that it can show. What is to be included or excluded is a wish.
        bundle: dict[str, Any] = import_module(_VIEWS).mime_bundle(self)
        return bundle


class Listing(Displayed, list[T]):
    """A list that shows itself as a table."""

    __slots__ = ()
