from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.config.schema import Study
from study.data.samples import Samples
from tests.study.training.bench import Bench


@pytest.fixture
def bench(
    tiny_samples: Callable[..., Samples], tiny_study: Callable[..., Study], tmp_path: Path
) -> Callable[..., Bench]:
    def bench(name: str = "a", samples: Samples | None = None, **kept: Any) -> Bench:
        rungs = kept.pop("rungs", ())
        return Bench(tiny_study(**kept), samples or tiny_samples(), tmp_path / name, rungs)

    return bench


@pytest.fixture(scope="session")
def whole(
    tiny_samples: Callable[..., Samples],
    tiny_study: Callable[..., Study],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bench:
    """A fold that was trained at one go, to be read only."""
    bench = Bench(tiny_study(), tiny_samples(), tmp_path_factory.mktemp("whole"))
    bench.manifest = bench.run()
    return bench
