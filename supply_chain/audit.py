"""Asks whether the packages that this environment holds have known weaknesses.

python supply_chain/audit.py

It ends with 0 if none is known, 1 if there are some, and 3 if the data cannot be reached from here. pip-audit itself
says "No known vulnerabilities found" when its service knew none of the packages: what was not audited is counted here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

OWN = ("alknet-firewall",)
"""Packages whose names begin so are this project's: they need not be known to anybody."""
CLEAN, FOUND, NOT_AUDITED = 0, 1, 3
_HELP = (
    "Run this where pypi.org can be reached, or point pip-audit at a service of yours: "
    "python supply_chain/audit.py --vulnerability-service osv --osv-url URL"
)


def judged(report: dict[str, Any]) -> tuple[int, list[str]]:
    """What pip-audit's report in JSON comes to: the exit status, and what is to be said."""
    packages = [each for each in report["dependencies"] if not each["name"].startswith(OWN)]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    audited = len(packages) - len(skipped)
    weak = [
        f"{each['name']} {each['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no version yet'}"
        for each in packages
        for one in each.get("vulns", ())
    ]
    if weak:
        return FOUND, [*weak, f"{len(weak)} known weaknesses in {audited} packages"]
    if skipped:
        some = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        return NOT_AUDITED, [f"NOT AUDITED: {len(skipped)} of {len(packages)} packages ({some})", _HELP]
    return CLEAN, [f"no known weakness in {audited} packages"]


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--local", "--format", "json"]
    try:
        ran = subprocess.run(
            [*command, *sys.argv[1:]], capture_output=True, text=True, timeout=900, check=False
        )
        code, lines = judged(json.loads(ran.stdout))
    except subprocess.TimeoutExpired:
        code, lines = NOT_AUDITED, ["NOT AUDITED: no answer within 15 minutes", _HELP]
    except (ValueError, KeyError):  # it gave up before it had a report
        why = (ran.stderr.strip().splitlines() or ["no report"])[-1][:200]
        code, lines = NOT_AUDITED, [f"NOT AUDITED: {why}", _HELP]
    print("\n".join(lines), file=sys.stdout if code == CLEAN else sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
