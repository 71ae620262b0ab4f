import pytest
from pydantic import ValidationError

from study.config.schema import SearchSettings, SplitSettings, Study
from study.config.study_file import check_study, dump_study
from study.errors import RequestError

LEAST = {"name": "a", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}


@pytest.mark.parametrize("name", ["a", "0", "a-b_c9", "x" * 64])
def test_names_that_are_folders_are_taken(name: str) -> None:
    assert check_study({**LEAST, "name": name}, "f").name == name


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "_a", "a/b", "..", "a b", "ä", "x" * 65, "a\n", "a.b", 3, None]
)
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(RequestError, match="name"):
        check_study({**LEAST, "name": name}, "f")


def test_the_least_study_has_the_documented_defaults() -> None:
    study = check_study(LEAST, "f")
    assert (study.split.protocol, study.split.folds) == ("paper", 5)
    assert (study.training.epochs, study.training.batch_size) == (500, 256)
    assert study.search.trials == 1
    assert study.search.space == {}
    assert study.search.stopping is None
    assert study.search.metric.composition == "svm_lambda"
    assert study.search.metric.score == "f1_weighted"
    assert study.resources.per_fold.cpu == study.resources.per_fold.gpu == "auto"
    assert study.seed == 0


def test_a_study_cannot_be_changed() -> None:
    study = check_study(LEAST, "f")
    for part, field in ((study, "seed"), (study.split, "folds"), (study.model, "beta")):
        with pytest.raises(ValidationError):
            setattr(part, field, 1)


def test_kfold_needs_two_folds_and_the_others_do_not() -> None:
    with pytest.raises(ValidationError, match="folds >= 2"):
        SplitSettings(protocol="kfold", folds=1)
    assert SplitSettings(protocol="paper", folds=1).folds == 1


@pytest.mark.parametrize(
    "field", ["name", "dataset", "split", "model", "training", "scores", "search", "seed"]
)
def test_every_part_of_the_design_is_a_part_of_the_file(field: str) -> None:
    assert field in dump_study(check_study(LEAST, "f"))
    assert field in Study.model_fields


@pytest.mark.parametrize("model", [Study, SearchSettings, SplitSettings])
def test_every_setting_is_described_or_is_a_part(model: type) -> None:
    for name, field in model.model_fields.items():
        is_part = hasattr(field.annotation, "model_fields") or name in ("dataset", "model")
        assert field.description or is_part, name
