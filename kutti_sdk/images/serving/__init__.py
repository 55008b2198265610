"""Sharing the images on this machine with a local network, over HTTP and read-only.

| path | what is there |
|---|---|
| `/images.json` | the image list, in kutti's schema |
| `/images/SHA-256.kutti` | the bundle with that checksum; made while it is sent |

There are no files of the bundles: their bytes follow from the store (see
`kutti_sdk.images.bundle`), so any range of them can be sent at once.

| module | its job |
|---|---|
| `server` | listens, and gives each connection a task |
| `address` | where it listens, as users write it and clients are told it |
| `connection` | HTTP/1.1 on one socket |
| `answers` | what is answered to a request |
| `ranges` | the part of a bundle that a request asks for |
| `offers` | the images that are offered, and the checksums of their bundles |
"""

from kutti_sdk.images.serving.server import ImageServer, serve_images

__all__ = ["ImageServer", "serve_images"]
