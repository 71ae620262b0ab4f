"""What the documentation tells people to run is run, as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)\s]*)?\)")
ADDING = ("new_dataset", "new_model", "new_composition", "new_sampler")
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(
        path
        for part in ("docs", "tests", "benchmarks")
        for path in sorted(ROOT.glob(f"{part}/**/*.md"))
    ),
]


def test_the_readme_is_a_door() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


def test_links_between_pages_lead_somewhere() -> None:
    targets = [page.parent / target for page in PAGES for target in LINK.findall(page.read_text())]
    assert len(targets) > len(PAGES)
    assert [target for target in targets if not target.exists()] == []


@pytest.mark.slow
def test_what_the_pages_add_works_and_everything_runs_with_it(tmp_path: Path) -> None:
    """Each page adds its own, in one copy of the code; one process runs all."""
    for folder in ("models", "study", "search_spaces", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for page in ADDING:
        example = followed(page, tmp_path)
        (tmp_path / f"{page}_example.py").write_text(example)
    for module in ("added.py", "serial_study.py"):
        shutil.copy(ROOT / "tests" / module, tmp_path)
    python(tmp_path, "added.py")


def followed(page: str, folder: Path) -> str:
    """Do in a copy of the code what a page says; return the example that the page ends with."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    *steps, (language, example) = blocks
    assert language == "python"
    for language, code in steps:
        if language == "bash":
            command = code.replace("python", sys.executable)
            environment = {**os.environ, "PYTHONPATH": str(folder)}
            subprocess.run(command, shell=True, cwd=folder, env=environment, check=True)
            continue
        head, body = code.split("\n", 1)
        target = folder / head.removeprefix("# ")
        if language == "diff":
            target.write_text(applied(body, target.read_text()))
        else:
            assert not target.exists()
            target.parent.mkdir(exist_ok=True)
            target.write_text(body)
    return example


def python(folder: Path, *arguments: str) -> None:
    """Run Python in a copy of the code, which it imports."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def applied(diff: str, text: str) -> str:
    """Return a file's text after a change, whose surroundings must be there once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, before
    return text.replace(before, after)
