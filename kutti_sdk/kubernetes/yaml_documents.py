"""YAML, read and written; comments, order and quotes of what is read stay."""

from __future__ import annotations

from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from kutti_sdk.core.errors import InvalidInputError

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import RoundTripConstructor

_BOOLEANS_OF_OLD = {"y", "n", "yes", "no", "on", "off"}


def read_documents(text: str, *, what: str) -> list[dict[str, Any]]:
    """Read YAML documents that are mappings; comments stay with them.

    Args:
        text: The documents; empty ones are left out.
        what: What it is, as the error should call it.

    Returns:
        The mappings, in order.

    Raises:
        InvalidInputError: When it is no YAML, or a document is no mapping.
    """
    from ruamel.yaml.error import YAMLError

    try:
        documents = [document for document in _yaml().load_all(text) if document is not None]
    except (YAMLError, ValueError, RecursionError) as error:  # of dates and depths that none are
        raise InvalidInputError(f"{what} is not YAML: {error}") from error
    if not all(isinstance(document, dict) for document in documents):
        raise InvalidInputError(f"{what} is YAML, but no mapping", hint="Write it as key: value.")
    return documents


def write_documents(*documents: dict[str, Any]) -> str:
    """Write mappings as YAML documents.

    Args:
        documents: The mappings, of plain data or as `read_documents` gave them.

    Returns:
        The text.
    """
    text = StringIO()
    seen: set[int] = set()
    _yaml().dump_all([_unambiguous(document, seen) for document in documents], text)
    return text.getvalue()


def _unambiguous(value: Any, seen: set[int]) -> Any:
    """Quote what is a text in YAML 1.2, which ruamel writes, and a boolean in Go's 1.1.

    Args:
        value: What is to be written.
        seen: The ids of mappings and lists that were looked through: with aliases, a short
            text names one of them countless times, or within itself.
    """
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, str) and value.lower() in _BOOLEANS_OF_OLD:
        return DoubleQuotedScalarString(value)
    if isinstance(value, dict | list) and id(value) not in seen:
        seen.add(id(value))
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            value[key] = _unambiguous(below, seen)
    return value


@cache
def _constructor() -> type[RoundTripConstructor]:
    from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor

    class Constructor(RoundTripConstructor):
        """Names no values in the error, as ruamel's does: aliases make countless ones of a few."""

        def check_mapping_key(
            self, node: Any, key_node: Any, mapping: Any, key: Any, _value: Any
        ) -> bool:
            if key in mapping:
                raise DuplicateKeyError(
                    *("while constructing a mapping", node.start_mark),
                    *("found a key for the second time", key_node.start_mark),
                )
            return True

    return Constructor


def _yaml() -> YAML:
    # A tenth of a second to import, and most programs never need it.
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.Constructor = _constructor()
    yaml.default_flow_style = False
    yaml.width = 4096  # long certificates stay on their line
    yaml.preserve_quotes = True
    return yaml
