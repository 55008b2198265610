"""Options that several image commands have."""

from __future__ import annotations

import argparse


def add_driver(action: argparse.ArgumentParser) -> None:
    """Let the user say which driver is meant.

    Args:
        action: A command.
    """
    action.add_argument("--driver", default="qemu", help="whose images (default: %(default)s)")


def add_version(action: argparse.ArgumentParser) -> None:
    """Let the user say which image is meant.

    Args:
        action: A command.
    """
    action.add_argument("version", help='Kubernetes version, or "none"')
