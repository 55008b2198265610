"""The types that users see, checked by mypy in its strict mode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_the_public_face_has_the_types_it_promises(tmp_path: Path) -> None:
    # --strict warns of ignores that are not needed, so the mistakes are checked as well.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "public_face.py"],
        cwd=HERE,
        env={"MYPY_CACHE_DIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
