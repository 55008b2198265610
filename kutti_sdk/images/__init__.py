"""Images: listed, downloaded, imported, built, and kept.

| module | its job |
|---|---|
| `manifest` | the format of an image folder |
| `store` | the images on this machine |
| `builder` | makes a node image from Debian packages |
| `disk_import`, `qcow2` | takes disks from elsewhere, after judging them |
| `catalogue`, `download` | image lists, and the files they name |
| `image` | what drivers hand out |
| `qemu_programs` | finds qemu-img and its like |
"""
