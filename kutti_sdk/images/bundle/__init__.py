"""Bundles: an image as one file, to carry it on a USB stick or over a network.

A bundle is an uncompressed tar archive; what is in it is compressed already:

```
image.json             the image's manifest, as it is in the store
image-list.json        its entry in the schema of image lists
disk.qcow2             the files that the manifest names, in its order
vmlinux, initrd.img
```

Everything in it follows from the image and its list entry alone: no times, no
owners, no order of a folder. So the same image always gives the same bytes, and
any part of a bundle can be served without there being a file of it.

| module | its job |
|---|---|
| `archive` | the headers of tar members, written and judged |
| `layout` | which bytes a bundle consists of |
| `export` | writes one |
| `member_reader` | reads its members one after the other |
| `contents` | judges one before anything of it is used |
| `unpacking` | takes the image out of one, into the store |
"""
