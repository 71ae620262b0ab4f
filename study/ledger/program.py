"""The program that writes results: its version, and the commit that its code is of."""

import json
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

NAME = "beta-vaegan-study"
ROOT = Path(__file__).parents[2]
GIT_SECONDS = 20


@cache
def program() -> dict[str, Any]:
    """Return `version`, `commit` and whether the working tree was `clean`; null if unknown.

    From the repository that the code lies in, if it does; else what the installer wrote down
    (PEP 610), which knows of no changes since.
    """
    return {"version": None, "commit": None, "clean": None, **_installed(), **_repository(ROOT)}


def _installed() -> dict[str, Any]:
    """Return `version` and `commit` of the installed package; nothing where there is none."""
    try:
        package = distribution(NAME)
    except PackageNotFoundError:  # the code alone, on Python's path
        return {}
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    return {"version": package.version, "commit": origin.get("vcs_info", {}).get("commit_id")}


def _repository(root: Path) -> dict[str, Any]:
    """Return `commit` and `clean` of a working tree; nothing where there is none, or no git."""
    if not (root / ".git").exists():
        return {}
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(root), *command],
                capture_output=True,
                text=True,
                check=True,
                timeout=GIT_SECONDS,
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "clean": not changes}
