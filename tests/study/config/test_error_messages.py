from typing import Any

import pytest

from study.config.error_messages import nearest, shown
from study.config.study_file import check_study, load_study
from study.errors import RequestError

LEAST = {"name": "a", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}


def changed(key: str, value: Any) -> dict[str, Any]:
    content: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in LEAST.items()}
    *path, last = key.split("/")
    inner = content
    for part in path:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return content


# key in the file, value, the key that the message names, what is said
WRONG = [
    ("nam", "a", "nam", ["unknown key", "'name'"]),
    ("datasets", {}, "datasets", ["unknown key", "'dataset'"]),
    ("seeds", 1, "seeds", ["'seed'", "allowed here"]),
    ("seed", -1, "seed", ["greater than or equal to 0", "-1"]),
    ("seed", 2**63, "seed", ["less than", str(2**63)]),
    ("seed", 1.5, "seed", ["integer", "1.5"]),
    ("seed", "x", "seed", ["integer", "'x'"]),
    ("seed", None, "seed", ["integer", "None"]),
    ("name", "A b", "name", ["'A b'", "a-z"]),
    ("name", 7, "name", ["string", "7"]),
    ("dataset", "mitbih", "dataset", ["'mitbih'"]),
    ("dataset/name", "mitbi", "dataset.name", ["'mitbi'", "did you mean 'mitbih'", "synthetic"]),
    ("dataset/length", 100, "dataset.length", ["multiple of 32", "100"]),
    ("dataset/length", 0, "dataset.length", ["greater than or equal to 32", "0"]),
    ("dataset/lenght", 96, "dataset.lenght", ["'length'"]),
    ("dataset/limit", 0, "dataset.limit", ["greater than or equal to 1"]),
    ("dataset/abnormal_fraction", 1.1, "dataset.abnormal_fraction", ["less than", "1.1"]),
    ("dataset/patients", "many", "dataset.patients", ["integer", "'many'"]),
    ("split/protocol", "papr", "split.protocol", ["'paper'", "kfold", "inter_patient"]),
    ("split/folds", 0, "split.folds", ["greater than or equal to 1"]),
    ("split/folds", 101, "split.folds", ["less than or equal to 100"]),
    ("split/fold", 3, "split.fold", ["'folds'"]),
    ("split", {"protocol": "kfold", "folds": 1}, "split", ["folds >= 2"]),
    ("split", [], "split", ["[]"]),
    ("model/name", "beatgn", "model.name", ["did you mean 'beatgan'", "beta_vaegan"]),
    ("model/beta", -1e-9, "model.beta", ["greater than or equal to 0"]),
    ("model/beta", float("nan"), "model.beta", ["finite", "nan"]),
    ("model/beta", float("inf"), "model.beta", ["finite", "inf"]),
    ("model/betta", 0.1, "model.betta", ["'beta'"]),
    ("model/latent_size", 0, "model.latent_size", ["greater than or equal to 1"]),
    ("model/latent_size", 1025, "model.latent_size", ["less than or equal to 1024"]),
    ("model/latent_size", 2.5, "model.latent_size", ["integer", "2.5"]),
    ("model/latent", "sample", "model.latent", ["mean or sampled", "did you mean 'sampled'"]),
    ("model/output_layer", "tanh", "model", ["bce", "sigmoid"]),
    ("model/output_layer", "relu", "model.output_layer", ["sigmoid", "tanh", "'relu'"]),
    ("training/epochs", 0, "training.epochs", ["greater than or equal to 1"]),
    ("training/epoch", 5, "training.epoch", ["'epochs'"]),
    ("training/batch_size", 1, "training.batch_size", ["greater than or equal to 2"]),
    ("training/precision", "float16", "training.precision", ["float32", "bfloat16"]),
    ("training/validation_interval", 0, "training.validation_interval", ["or equal to 1"]),
    ("training/optimizer", "adam", "training.optimizer", ["'adam'"]),
    ("training/optimizer/name", "adamw", "training.optimizer.name", ["adabelief", "'adam'"]),
    ("training/optimizer/learning_rate", 0, "training.optimizer.learning_rate", ["than 0"]),
    ("training/optimizer/lr", 0.1, "training.optimizer.lr", ["learning_rate"]),
    ("training/optimizer/betas", [0.5], "training.optimizer.betas", ["missing"]),
    ("training/optimizer/betas", [0.5, 1.0], "training.optimizer.betas", ["less than 1"]),
    ("scores/quantile", 1.0, "scores.quantile", ["less than 1"]),
    ("scores/lambda_steps", 1, "scores.lambda_steps", ["greater than or equal to 2"]),
    ("scores/latent_distance", "abs", "scores.latent_distance", ["absolute", "signed"]),
    ("search/trials", 0, "search.trials", ["greater than or equal to 1"]),
    ("search/metric/composition", "svm", "search.metric.composition", ["svm_lambda"]),
    ("search/metric/score", "f1", "search.metric.score", ["f1_weighted"]),
    ("search/metric/composition", "outlier_score", "search.metric.composition", ["outlier"]),
    ("search/stopping/reduction", 1, "search.stopping.reduction", ["greater than or equal to 2"]),
    ("search/budget", {"cost": 5}, "search.budget", ["cost and price"]),
    ("search/budget", {"hours": 0}, "search.budget.hours", ["greater than 0"]),
    ("search/stopping", {"folds": [2, 1]}, "search.stopping.folds", ["fall", "[2, 1]"]),
    ("search/stopping", {"paired": {"test": "t"}}, "search.stopping.paired.test", ["wilcoxon"]),
    ("search/stopping", {"folds": [0]}, "search.stopping.folds", ["greater than or equal to 1"]),
    ("search/stopping", {"folds": [99]}, "search.stopping.folds", ["split.folds", "[99]"]),
    ("search/space", [], "search.space", ["dict"]),
    (
        "search/space/beta",
        {"uniform": [0, 1]},
        "search.space.beta",
        ["model, training and dataset"],
    ),
    ("search/space/model.name", {"choice": ["a"]}, "search.space.model.name", ["beta_vaegan"]),
    ("search/space/training.epochs", {"int": [1, 2]}, "search.space.training.epochs", ["searched"]),
    ("search/space/model.betta", {"uniform": [0, 1]}, "model.betta", ["'model.beta'"]),
    ("search/space/model.beta", {"uniform": [1, 0]}, "search.space.model.beta", ["not exceed"]),
    ("search/space/model.beta", {"loguniform": [0, 1]}, "search.space.model.beta", ["positive"]),
    ("search/space/model.beta", {"uniform": [0]}, "search.space.model.beta", ["missing"]),
    ("search/space/model.beta", {"unifrm": [0, 1]}, "search.space.model.beta", ["'uniform'"]),
    ("search/space/model.beta", {}, "search.space.model.beta", ["uniform", "choice"]),
    ("search/space/model.beta", {"choice": []}, "search.space.model.beta", ["at least 1"]),
    ("search/space/model.beta", {"uniform": [-1, 1]}, "search.space.model.beta", ["-1"]),
    ("search/space/model.latent_size", {"int": [0, 8]}, "search.space.model.latent_size", ["0"]),
    ("search/space/model.latent", {"choice": ["mode"]}, "search.space.model.latent", ["'mode'"]),
    ("resources/per_fold/cpu", 0, "resources.per_fold.cpu", ["0"]),
    ("resources/per_fold/cpus", 1, "resources.per_fold.cpus", ["'cpu'"]),
    ("resources/per_fold/gpu", "all", "resources.per_fold.gpu", ["'all'"]),
    ("resources/max_concurrent_trials", 0, "resources.max_concurrent_trials", ["0"]),
]


@pytest.mark.parametrize(
    ("key", "value", "named", "said"), WRONG, ids=[f"{k}={v!r}"[:60] for k, v, _, _ in WRONG]
)
def test_a_wrong_file_gets_one_line_with_the_key_and_what_is_allowed(
    key: str, value: Any, named: str, said: list[str]
) -> None:
    with pytest.raises(RequestError) as raised:
        check_study(changed(key, value), "my.yaml")
    message = str(raised.value)
    assert message.startswith("my.yaml: ")
    assert "\n" not in message
    assert named in message
    for words in said:
        assert words in message


def test_an_unknown_setting_is_answered_with_those_of_the_model_that_is_named() -> None:
    content = {**LEAST, "model": {"name": "vae", "nu": 2.0, "latent_size": 4}}
    with pytest.raises(RequestError) as raised:
        check_study(content, "my.yaml")
    said = str(raised.value)
    assert "model.nu: unknown key" in said
    allowed = said.partition("allowed here: ")[2].split(", ")
    assert {"latent_size", "beta", "latent"} <= set(allowed)
    assert not {"nu", "spectral_norm", "starts", "neighbours"} & set(allowed)
    assert "did you mean 'nu'" not in said


@pytest.mark.parametrize(
    ("missing", "named", "allowed"),
    [
        (("name",), "name", ""),
        (("dataset",), "dataset", ""),
        (("model",), "model", ""),
        (("model", "name"), "model.name", "beatgan"),
        (("dataset", "name"), "dataset.name", "synthetic"),
    ],
)
def test_what_is_missing_is_named_with_what_it_may_be(
    missing: tuple[str, ...], named: str, allowed: str
) -> None:
    content: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in LEAST.items()}
    inner = content
    for part in missing[:-1]:
        inner = inner[part]
    del inner[missing[-1]]
    with pytest.raises(RequestError) as raised:
        check_study(content, "my.yaml")
    assert named in str(raised.value)
    assert allowed in str(raised.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.beta", "key.path=value"),
        ("=3", "key.path=value"),
        ("model..beta=3", "key.path=value"),
        ("model.=3", "key.path=value"),
        (".=3", "key.path=value"),
        ("seed=[1", "YAML"),
        ("seed=*a", "alias"),
        ("training.epochs=0", "--set training.epochs"),
        ("trainig.epochs=5", "'training'"),
        ("dataset.length=33", "--set dataset.length"),
        ("search.space.model.beta={uniform: [2, 1]}", "not exceed"),
        ("model.name=beatgan", "model.beta"),
        ("split=3", "--set split"),
    ],
)
def test_a_wrong_override_is_named(override: str, words: str) -> None:
    with pytest.raises(RequestError) as raised:
        load_study("quickstart", [override])
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("quikstart", "did you mean 'quickstart'"),
        ("nothing-like-it", "quickstart"),
        ("no/such/file.yaml", "does not exist"),
        ("", "quickstart"),
    ],
)
def test_an_unknown_study_is_answered_with_the_known_ones(request_: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_study(request_)


def test_every_problem_is_said_each_once() -> None:
    content = {
        **LEAST,
        "seed": -1,
        "split": {"folds": 0, "fold": 3},
        "dataset": {"name": "mitbih", "length": 33, "lenght": 3},
        "resources": {"per_fold": {"cpu": 0}},
    }
    with pytest.raises(RequestError) as raised:
        check_study(content, "f")
    keys = [problem.removeprefix("f: ").partition(":")[0] for problem in raised.value.args]
    assert sorted(keys) == [
        "dataset.lenght", "dataset.length", "resources.per_fold.cpu", "seed", "split.fold",
        "split.folds",
    ]  # fmt: skip


def test_every_contradiction_is_said() -> None:
    space = {"model.betta": {"uniform": [0, 1]}, "model.mu": {"uniform": [0, 1]}}
    content = {**LEAST, "search": {"space": space}, "scores": {"fit_on": "all_folds"}}
    with pytest.raises(RequestError) as raised:
        check_study(content, "f")
    assert [problem.split(":")[1].strip() for problem in raised.value.args] == [
        "scores.fit_on", "search.space", "search.space",
    ]  # fmt: skip


def test_a_key_with_a_line_break_stays_on_one_line() -> None:
    with pytest.raises(RequestError) as raised:
        check_study({**LEAST, "a\nb": 1}, "f")
    assert "\n" not in str(raised.value)


def test_near_names_are_asked_for_and_far_ones_are_not() -> None:
    assert nearest("epcohs", ["epochs", "batch_size"]) == "; did you mean 'epochs'?"
    assert nearest("zzz", ["epochs", "batch_size"]) == ""


def test_values_are_shown_short() -> None:
    assert shown("x") == "'x'"
    assert len(shown("x" * 1000)) == 60
    assert shown("x" * 1000).endswith("...")
