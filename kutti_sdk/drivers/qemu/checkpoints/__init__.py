"""Checkpoints of the QEMU driver: running clusters saved whole, brought back, copied.

| module | its job |
|---|---|
| `files`, `records` | which file of a checkpoint lies where; what is written down, and finding it |
| `accounting` | what they take, and what of it others share |
| `store` | lets one at a time change checkpoints, deletes, sweeps what interrupted work left |
| `conditions` | under what hosts run, and whether saved ones can go on here |
| `disks` | freezes disks by putting new ones on top, links what was frozen |
| `receiver` | the QEMU that a host's memory and devices are moved into |
| `examination` | whether hosts can be saved, and whether there is room |
| `standstill` | lets hosts run on that were left standing still |
| `saving`, `rendezvous` | moves all hosts of a cluster, at one instant |
| `bundle_contents`, `exporting`, `importing` | carry checkpoints from machine to machine |
| `restoring`, `cloning` | let hosts go on from what was saved; see also `resume` |

How it works, and why: docs/explanation/checkpoints.md.
"""
