"""Writes what an installation consists of: a software bill of materials in CycloneDX's JSON.

python supply_chain/sbom.py PYTHON [--out dist/sbom.cdx.json]

PYTHON is the interpreter of an environment that holds what is to be listed and nothing else (`make sbom` makes one).
Needs the package cyclonedx-bom. The same environment gives the same file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_CORE = ROOT / "packages" / "core" / "pyproject.toml"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", help="the interpreter of the environment")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "sbom.cdx.json")
    given = parser.parse_args()
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
    command += ["--pyproject", str(_CORE), "--mc-type", "library", given.python]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(
            ran.stderr.strip() or "cyclonedx-bom is not installed: pip install cyclonedx-bom", file=sys.stderr
        )
        return ran.returncode
    bill = without_places(json.loads(ran.stdout))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    named = [component["name"] for component in bill.get("components", [])]
    print(f"{given.out.name}: {len(named)} packages beside {bill['metadata']['component']['name']}")
    return 0


def without_places(bill: dict[str, object]) -> dict[str, object]:
    """Without the folders and index addresses of the machine that wrote it: they are nobody's business."""

    def clean(value: object) -> object:
        if isinstance(value, dict):
            kept = {key: clean(each) for key, each in value.items()}
            references = kept.get("externalReferences")
            if isinstance(references, list):
                kept["externalReferences"] = [
                    each
                    for each in references
                    if isinstance(each, dict)
                    and str(each.get("type")) not in ("distribution", "build-system")
                ]
            return kept
        return [clean(each) for each in value] if isinstance(value, list) else value

    cleaned = clean(bill)
    assert isinstance(cleaned, dict)
    return cleaned


if __name__ == "__main__":
    sys.exit(main())
