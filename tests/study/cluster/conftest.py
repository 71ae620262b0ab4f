from collections.abc import Callable
from pathlib import Path

import pytest

from study.config.schema import Study
from tests.study.cluster.scheduling import Run
from tests.study.cluster.searches import state_of


@pytest.fixture
def run(tmp_path: Path, tiny_study: Callable[..., Study]) -> Run:
    study = tiny_study(search={"trials": 4})
    return Run(state_of(study, tmp_path), study)
