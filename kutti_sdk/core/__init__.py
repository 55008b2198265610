"""The contract: what a driver, a network, a host, an image and an SSH client are.

Nothing here does input or output. Every other package leans on this one and
this one leans on none of them.
"""
