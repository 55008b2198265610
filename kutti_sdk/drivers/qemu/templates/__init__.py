"""Warm start: new hosts go on from a template of their image, in place of booting.

| module | its job |
|---|---|
| `files` | which file of a template lies where |
| `fit` | what a template must have been made of, to be used for a host |
| `store` | finds, keeps and removes templates; sweeps what interrupted work left |
| `making` | boots a host that belongs to nobody, and saves it |
| `using` | gives a new host a template's disk and state, and an identity of its own |

How it works, and why: docs/explanation/warm-start.md.
"""
