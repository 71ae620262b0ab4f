"""Whatever a study file or an override holds, it is a study or a wrong request."""

import contextlib
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models import MODELS
from study.config.study_file import (
    check_study,
    load_study,
    parse_yaml,
)
from study.data import DATASETS
from study.errors import RequestError
from tests.study.config.test_study_file import LEAST, again

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from([*MODELS, *DATASETS, "auto", "paper", "adam", 2**70, -1, 0, 1e400])
)
key_names = st.sampled_from(
    [
        *("name", "dataset", "split", "model", "training", "search", "space", "metric", "stopping"),
        *("resources", "per_fold", "seed", "scores", "provenance", "length", "folds", "beta"),
        *("epochs", "optimizer", "betas", "model.beta", "model.latent_size", "choice", "int"),
        *("uniform", "composition", "latent_size", "svm_gamma", "path", "normal_labels", "limit"),
    ]
)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(key_names, inner, max_size=4),
    max_leaves=12,
)


def only_request_errors(action: Any) -> None:
    with contextlib.suppress(RequestError):
        study = action()
        assert again(study) == study


@given(st.dictionaries(key_names | st.text(max_size=5), junk, max_size=6))
def test_junk_content_is_only_ever_a_wrong_request(content: dict[str, Any]) -> None:
    only_request_errors(lambda: check_study({**LEAST, **content}, "junk"))


@given(st.text(max_size=60))
@example("a: 0x" + "f" * 4000)
def test_junk_text_is_only_ever_a_wrong_request(text: str) -> None:
    with contextlib.suppress(RequestError):
        parse_yaml(text, "junk")


overrides = st.one_of(
    st.text(max_size=20),
    st.tuples(
        st.lists(key_names, min_size=1, max_size=4).map(".".join),
        st.text(max_size=10) | junk.map(lambda v: yaml.safe_dump(v, default_flow_style=True)),
    ).map("=".join),
)


@given(st.lists(overrides, max_size=3))
@example(["seed=0x" + "f" * 4000])
@example(["model=3", "model.beta=1"])
@example(["search.space=3"])
@example(["dataset.name=!!bool maybe"])
def test_junk_overrides_are_only_ever_a_wrong_request(junk_overrides: list[str]) -> None:
    only_request_errors(lambda: load_study("quickstart", junk_overrides))


@given(st.text(max_size=300))
@example("x" * 300 + ".yaml")
@example("a\x00.yaml")
def test_junk_requests_are_only_ever_wrong_requests(request_: str) -> None:
    only_request_errors(lambda: load_study(request_))


@given(st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"\xff\xfe\x00")
def test_junk_files_are_only_ever_wrong_requests(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.yaml"
    path.write_bytes(content)
    only_request_errors(lambda: load_study(str(path)))
