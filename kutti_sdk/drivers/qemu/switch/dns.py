"""DNS messages: the little that a forwarder with a few names of its own must read and write.

The message format of RFC 1035; the OPT record of RFC 6891 is recognised and answered.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from .errors import PacketError

__all__ = [
    "CLASS_IN",
    "DnsQuery",
    "Rcode",
    "Rtype",
    "answers",
    "build_answer",
    "encode_name",
    "truncated",
    "with_id",
]

CLASS_IN: Final = 1
"""The Internet class (RFC 1035, section 3.2.4)."""

_HEADER: Final = struct.Struct("!HHHHHH")
_QR: Final = 0x8000
_AUTHORITATIVE: Final = 0x0400
_TRUNCATED: Final = 0x0200
_RECURSION_DESIRED: Final = 0x0100
_RECURSION_AVAILABLE: Final = 0x0080
_OPCODE: Final = 0x7800
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 255
_NAME_OF_THE_QUESTION: Final = 0xC000 | _HEADER.size  # a compression pointer (section 4.1.4)
_SECONDS_TO_LIVE: Final = 30
_OPT_START: Final = b"\0\0\x29"  # root name, type 41 (RFC 6891, section 6.1.2)
_OPT: Final = _OPT_START + struct.pack("!HIH", 1232, 0, 0)


class Rtype(IntEnum):
    """The record types that are answered here (RFC 1035, section 3.2)."""

    A = 1
    PTR = 12
    ANY = 255


class Rcode(IntEnum):
    """The response codes that are sent (RFC 1035, section 4.1.1)."""

    NOERROR = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4


@dataclass(frozen=True, slots=True)
class DnsQuery:
    """One question.

    Attributes:
        ident: The asker's message id.
        flags: The header's second word.
        name: The name in lower case, without the dot at the end.
        rtype: The record type asked for.
        rclass: The class, nearly always `CLASS_IN`.
        question: The question section as it was sent.
        extended: The query carries an OPT record.
    """

    ident: int
    flags: int
    name: str
    rtype: int
    rclass: int
    question: bytes
    extended: bool

    @classmethod
    def parse(cls, data: bytes) -> DnsQuery:
        """Read a query.

        Raises:
            PacketError: It is damaged, not a query, or does not have exactly one question.
        """
        if len(data) < _HEADER.size:
            raise PacketError("DNS message is too short")
        ident, flags, *counts = _HEADER.unpack_from(data)
        if flags & _QR or counts[:3] != [1, 0, 0]:
            raise PacketError("not a DNS query with one question")
        name, end = _parse_name(data, _HEADER.size)
        if end + 4 > len(data):
            raise PacketError("DNS question is cut off")
        rtype, rclass = struct.unpack_from("!HH", data, end)
        question, rest = data[_HEADER.size : end + 4], data[end + 4 :]
        extended = counts[3] > 0 and rest.startswith(_OPT_START)
        return cls(ident, flags, name, rtype, rclass, question, extended)

    @property
    def is_standard(self) -> bool:
        """Whether this is a plain question (opcode QUERY) and not an update or a notification."""
        return not self.flags & _OPCODE


def build_answer(query: DnsQuery, rcode: Rcode, rtype: int = 0, *records: bytes) -> bytes:
    """Return an authoritative answer, or an error, to a query.

    Args:
        query: The query that is answered.
        rcode: The response code.
        rtype: The type of the records.
        records: The data of each record; their name is the name asked for.
    """
    flags = _QR | _RECURSION_AVAILABLE | query.flags & (_OPCODE | _RECURSION_DESIRED) | rcode
    if rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
        flags |= _AUTHORITATIVE
    header = _HEADER.pack(query.ident, flags, 1, len(records), 0, int(query.extended))
    kind = struct.pack("!HHHI", _NAME_OF_THE_QUESTION, rtype, CLASS_IN, _SECONDS_TO_LIVE)
    body = b"".join(kind + struct.pack("!H", len(data)) + data for data in records)
    return header + query.question + body + (_OPT if query.extended else b"")


def truncated(query: DnsQuery, answer: bytes) -> bytes:
    """Return an answer's header and question alone, marked as cut off (RFC 1035, TC bit)."""
    (flags,) = struct.unpack_from("!H", answer, 2)
    return _HEADER.pack(query.ident, flags | _TRUNCATED, 1, 0, 0, 0) + query.question


def with_id(message: bytes, ident: int) -> bytes:
    """Return a message under another id."""
    return struct.pack("!H", ident) + message[2:]


def answers(query: DnsQuery, ident: int, message: bytes) -> bool:
    """Tell whether a message answers a query that was sent on under an id (RFC 5452, section 9)."""
    if len(message) < _HEADER.size + len(query.question):
        return False
    got_ident, flags, questions, *_ = _HEADER.unpack_from(message)
    if got_ident != ident or not flags & _QR or questions != 1:
        return False
    question = message[_HEADER.size : _HEADER.size + len(query.question)]
    return question.lower() == query.question.lower()


def encode_name(name: str) -> bytes:
    """Return a name of plain labels in wire format, uncompressed (RFC 1035, section 3.1)."""
    labels = [label.encode("ascii") for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _parse_name(data: bytes, position: int) -> tuple[str, int]:
    labels: list[str] = []
    start = position
    while True:
        if position >= len(data):
            raise PacketError("DNS name is cut off")
        length = data[position]
        position += 1
        if length == 0:
            return ".".join(labels), position
        # A compression pointer is longer than any label: a question has nothing to point back to.
        if length > _LONGEST_LABEL or position + length - start >= _LONGEST_NAME:
            raise PacketError("DNS name has a wrong length")
        # One character per byte; a dot inside a label is written as in RFC 1035, section 5.1.
        label = data[position : position + length].decode("latin-1").lower()
        labels.append(label.replace(".", "\\046"))
        position += length
