"""A gate in the training of a real study, so that a test meets the study where it needs it.

A process that has trained as many epochs as the gate allows waits until it may train more, or
until the gate is opened. Processes learn of the gate as they start, from their environment:
Python imports `site/sitecustomize.py`, which puts a beta-VAEGAN that waits into the table of
models. All else, the results too, is that of a study without a gate.
"""

import os
from pathlib import Path

GATE = "STUDY_TEST_GATE"
SICK = "STUDY_TEST_SICK"
"""Names the illness of a node: what training raises there, or "mount"; see `illnesses`."""
SICK_FILE = "STUDY_TEST_SICK_FILE"
"""A file that names it, while there is one."""
SICK_TRIALS = "STUDY_TEST_SICK_TRIALS"
"""Names the illness of the trials whose beta is `SICK_BETA`, wherever they are trained."""
SICK_BETA = 1e-3
STORE_SECONDS = "STUDY_TEST_STORE_SECONDS"
"""How long a request to a store may take; see `storage_faults`."""
ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"


class Gate:
    """Lets every process of a study train so many epochs, until it is opened.

    Attributes:
        epochs: how many.
        environment: what the processes of the study need to know of it.
        pace_seconds: how long each epoch takes longer, at no cost, as long as it is not open.
    """

    def __init__(self, folder: Path, epochs: int, pace_seconds: float = 0.0) -> None:
        self._file, self.pace_seconds = folder / "gate", pace_seconds
        self.allow(epochs)
        paths = (str(SITE), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep))
        self.environment = {
            GATE: str(self._file),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }

    def allow(self, epochs: int) -> None:
        """Let each process train so many epochs, those that it has trained counted in."""
        self.epochs = epochs
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{epochs} {self.pace_seconds}")
        draft.replace(self._file)

    def open(self) -> None:
        """Hold nobody any more."""
        self._file.unlink(missing_ok=True)
