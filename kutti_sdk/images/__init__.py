"""Images: listed, downloaded, imported, built, and kept.

| module | its job |
|---|---|
| `manifest` | the format of an image folder |
| `store`, `incoming` | the images on this machine, and those on their way in |
| `builder`, `building` | makes a node image from Debian packages |
| `file_import`, `folder_import`, `qcow2` | takes images from elsewhere, after judging them |
| `catalogue`, `download` | image lists, and the files they name |
| `image` | what drivers hand out |
| `qemu_programs` | finds qemu-img and its like |
"""
