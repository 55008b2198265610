"""Runs the fuzzer, which looks for inputs that reach new code, on each target for a while.

`make fuzz` calls it. What it finds is written to the folder that is named at the end; the smallest
input that shows a mistake belongs into `corpus/TARGET`, where `make test` tries it for good.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LONGEST = 10  # seconds for one input
MOST_MEMORY = 1024  # MB, with the libraries that are loaded
LARGEST = 16 * 1024  # bytes of an input

_INSIDE = "--inside"  # said to the process of one target, since the fuzzer never returns


def main() -> int:
    """Run the targets that are named one after the other; tell which have mistakes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("targets", nargs="*", help="names of targets; all unless named")
    options = parser.parse_args()
    names = options.targets or sorted(path.name for path in (HERE / "corpus").iterdir())
    found = Path(tempfile.mkdtemp(prefix="kutti-fuzz-"))
    failed = [name for name in names if not _run(name, options.seconds, found)]
    if failed:
        print(f"mistakes were found in {', '.join(failed)}; inputs are in {found}")
        return 1
    shutil.rmtree(found)
    return 0


def _run(name: str, seconds: int, found: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="kutti-fuzz-") as new:
        command = [sys.executable, __file__, _INSIDE, name]
        command += [f"-max_total_time={seconds}", f"-timeout={LONGEST}", f"-max_len={LARGEST}"]
        command += [f"-rss_limit_mb={MOST_MEMORY}", f"-artifact_prefix={found}/{name}-"]
        command += [new, str(HERE / "corpus" / name)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    text = done.stdout.decode(errors="replace")
    last = [line for line in text.splitlines() if "cov:" in line or line.startswith("Done")]
    print(f"{name}: {last[-1].strip() if last else 'did not begin'}", flush=True)
    if done.returncode:
        print(text[-4000:], flush=True)
    return done.returncode == 0


def _fuzz(name: str, *arguments: str) -> None:
    import atheris

    with atheris.instrument_imports(include=["kutti_sdk"]):
        sys.path.insert(0, str(HERE))
        from targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()  # never returns


if __name__ == "__main__":
    if sys.argv[1:2] == [_INSIDE]:
        _fuzz(*sys.argv[2:])
    sys.exit(main())
