"""Builds all packages so that whoever builds them again gets the same bytes, and writes down their SHA-256.

python supply_chain/wheels.py [--out dist] [--uv uv]

What decides the bytes: the sources, the version of hatchling (the build's own requirement, pinned by `BUILD`), and the
time that `SOURCE_DATE_EPOCH` gives, by default that of the last commit.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = "hatchling==1.27.0"
"""Another version writes its own number into the wheels, and so gives other bytes."""
SUMS = "SHA256SUMS"


def build(out: Path, uv: str = "uv", root: Path = ROOT) -> dict[str, str]:
    """Builds the wheel and the source distribution of every package; SHA-256 by name of the file."""
    out.mkdir(parents=True, exist_ok=True)
    constraints = out / "build-constraints.txt"
    constraints.write_text(f"{BUILD}\n")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch(root)}
    for package in sorted(root.glob("packages/*/pyproject.toml")):
        command = [uv, "build", "--quiet", "--out-dir", str(out), "--build-constraints", str(constraints)]
        subprocess.run([*command, str(package.parent)], check=True, env=environment, cwd=root)
    constraints.unlink()
    (out / ".gitignore").unlink(missing_ok=True)  # uv's own
    built = sorted(path for path in out.iterdir() if path.name.endswith((".whl", ".tar.gz")))
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built}
    (out / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    return sums


def epoch(root: Path = ROOT) -> str:
    """Seconds since 1970: those of the environment, else of the last commit, else of 2020-02-02."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return given
    asked = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    try:
        ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    except OSError:
        return "1580601600"
    return ran.stdout.strip() if ran.returncode == 0 and ran.stdout.strip() else "1580601600"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--uv", default="uv")
    given = parser.parse_args()
    for name, digest in build(given.out.resolve(), given.uv).items():
        print(f"{digest}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
