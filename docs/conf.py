"""How Sphinx builds this documentation; warnings are errors (see the Makefile)."""

from importlib.metadata import version as installed_version

from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docstrings import prepare_docstring

project = "kutti_sdk"
author = "the kutti_sdk contributors"
copyright = author
release = version = installed_version("kutti_sdk")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"kutti_sdk {release}"
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A name in single backticks inside of a docstring links to what it names, if that is here.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def _properties_like_methods(app, what, *event):
    """Napoleon takes what is before a colon in a property's docstring for its type."""
    name, thing, options, lines = event
    if what == "property":
        text = prepare_docstring(thing.__doc__ or "")
        lines[:] = GoogleDocstring(text, app.config, app, "method", name, thing, options).lines()


def _fences_to_blocks(*event):
    """Docstrings may hold fenced Markdown code; autodoc reads reStructuredText."""
    lines = event[-1]
    inside = False
    for number, line in enumerate(lines):
        if line.strip().startswith("```"):
            language = line.strip().removeprefix("```") or "text"
            lines[number] = "" if inside else f".. code-block:: {language}\n"
            inside = not inside
        elif inside:
            lines[number] = f"   {line}"
    lines[:] = "\n".join(lines).split("\n")


def setup(app):
    app.connect("autodoc-process-docstring", _properties_like_methods)
    app.connect("autodoc-process-docstring", _fences_to_blocks)
    return {"parallel_read_safe": True}
