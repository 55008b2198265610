"""OVA files: virtual machines as VirtualBox and VMware export them (DMTF DSP0243)."""

from __future__ import annotations

from kutti_sdk.images.ova.package import OvaPackage, open_ova

__all__ = ["OvaPackage", "open_ova"]
