"""Downloading the files that image lists name.

Start reading at `fetching`.

| module | its job |
|---|---|
| `fetching` | one file, over as many attempts as it takes, to its checksum |
| `transfer` | one request, and what the server makes of it |
| `answers` | judges what servers answer |
| `writing` | hashes and writes the bytes beside the loop |
| `partial` | what came of files that are not complete, on the disk |
| `sharing` | one download for everybody who wants the same file |
| `meter` | bytes, rate and estimate as events |
| `space` | room on the disk |
"""

from kutti_sdk.images.download.fetching import download
from kutti_sdk.images.download.partial import (
    PartialDownload,
    bytes_here,
    forget,
    partial_downloads,
    remove_partial,
)
from kutti_sdk.images.download.sharing import taking_turns

__all__ = [
    "PartialDownload",
    "bytes_here",
    "download",
    "forget",
    "partial_downloads",
    "remove_partial",
    "taking_turns",
]
