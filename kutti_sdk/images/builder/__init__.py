"""The node-image builder: Debian packages in, an image folder out.

| module | job |
|---|---|
| `recipe` | what a node image is made of |
| `build` | the steps in order, from recipe to image folder |
| `programs` | which programs of this machine are needed |
| `namespace` | runs them as root of a user namespace that owns nothing |
| `bootstrap` | Debian packages to a root file system, by mmdebstrap |
| `root_filesystem` | what is left out of it, added to it and read from it |
| `kernel` | the ELF kernel out of the packaged one |
| `initrd` | the small initial RAM disk |
| `disk` | the root file system as a disk |
| `node_files` | files that are added: `node_root`, `kubernetes_root`, containerd's configuration |
| `scratch_files` | files of the caller, copied to where the namespace's root can read them |

For images with Kubernetes:

| module | job |
|---|---|
| `kubernetes` | the steps of a build that make a Kubernetes node of a node |
| `kubernetes_packages` | which packages are needed, and which versions fit together |
| `package_folder`, `package_repository` | where they come from |
| `container_archives` | what is in archives of container images |
| `container_images` | loads them by the image's own containerd; `import_images.sh` |
| `overlay_marks` | makes what was unpacked in a namespace right for a node |

Nothing is ever written into a tree of files with the rights of the caller: the
root file system passes through as a tar archive, which cannot name a path of
this machine.
"""

from kutti_sdk.images.builder.build import build_node_image
from kutti_sdk.images.builder.recipe import NodeImageRecipe

__all__ = ["NodeImageRecipe", "build_node_image"]
