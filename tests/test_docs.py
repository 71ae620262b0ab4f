"""What the documentation tells people to run is run, as it stands there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent
NOT_CODE = shutil.ignore_patterns("__pycache__")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)\s]*)?\)")
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ["new_dataset", "new_model", "new_composition"])
def test_what_a_page_tells_to_write_works(page: str, tmp_path: Path) -> None:
    for package in ("models", "study", "search_spaces"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=NOT_CODE)
    blocks = re.findall(r"```(\w+)\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    *written, (language, tried) = blocks
    assert language == "python"
    for language, code in written:
        head, body = code.split("\n", 1)
        target = tmp_path / head.removeprefix("# ")
        if language == "diff":
            target.write_text(applied(body, target.read_text()))
        else:
            assert not target.exists()
            target.write_text(body)
    done = subprocess.run(
        [sys.executable, "-c", tried], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_notebook_runs_from_data_to_pictures(tmp_path: Path) -> None:
    notebook = nbformat.read(DOCS / "first_study.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output.get("data", {}) for output in outputs]
    assert sum("image/png" in data for data in shown) == 3
    assert sum("text/html" in data for data in shown) == 4
    printed = "".join(output.get("text", "") for output in outputs)
    assert "trial-00002: epoch 12 of 12" in printed or "trial-00002 pruned" in printed
    # Lines, as in a log file; importing Ray on a terminal resets its colours.
    assert "\x1b" not in printed.replace("\x1b[0m", "")
    assert (tmp_path / "results/quickstart/report/index.html").is_file()


def applied(diff: str, text: str) -> str:
    """Return a file's text after a change, whose surroundings must be there once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, before
    return text.replace(before, after)
