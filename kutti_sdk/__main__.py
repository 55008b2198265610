"""``python -m kutti_sdk``."""

import sys

from kutti_sdk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
