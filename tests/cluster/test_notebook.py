from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.cluster
NOTEBOOK = Path(__file__).parents[2] / "docs" / "first_study.ipynb"
COMMAND = "!{sys.executable} -m study.run quickstart"
SMALLER = " --set search.trials=1 --set training.epochs=4 --set model.width=4"
"""All else is that of the study that ships."""


def test_the_notebook_runs_from_data_to_pictures(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without
    (training,) = (cell for cell in notebook.cells if cell["source"] == COMMAND)
    training["source"] += SMALLER
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output.get("data", {}) for output in outputs]
    assert sum("image/png" in data for data in shown) == 3
    assert sum("text/html" in data for data in shown) == 4
    printed = "".join(output.get("text", "") for output in outputs)
    assert "trial-00000: epoch 4 of 4" in printed
    # Lines, as in a log file; importing Ray on a terminal resets its colours.
    assert "\x1b" not in printed.replace("\x1b[0m", "")
    assert (tmp_path / "results/quickstart/report/index.html").is_file()
