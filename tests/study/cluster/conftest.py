from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from study.config.schema import Study
from tests.study.cluster.driver_process import driver_process
from tests.study.cluster.scheduling import Run
from tests.study.cluster.searches import state_of


@pytest.fixture
def run(tmp_path: Path, tiny_study: Callable[..., Study]) -> Run:
    study = tiny_study(search={"trials": 4})
    return Run(state_of(study, tmp_path), study)


@pytest.fixture(scope="package")
def on_cluster() -> Iterator[Callable[..., Any]]:
    """What calls a function in the driver's process of a private cluster."""
    with driver_process() as call:
        yield call
