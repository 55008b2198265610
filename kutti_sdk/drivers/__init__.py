"""The drivers that come with kutti_sdk, one folder each.

`qemu` runs real virtual machines; `simulated` keeps everything in memory, for
tests of programs that use kutti_sdk.
"""
