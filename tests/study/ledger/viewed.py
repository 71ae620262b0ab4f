"""A study whose ledger is read while others write to it."""

from study.config.study_file import check_study, dump_study, to_yaml
from study.ledger.ledger import Ledger
from study.ledger.study_folder import STUDY
from study.search.trial import Trial
from study.storage.folder import Folder
from tests.study.trials import trial_of

SEARCH = {
    "name": "viewed",
    "dataset": {"name": "synthetic"},
    "split": {"folds": 2},
    "model": {"name": "beta_vaegan"},
    "search": {"trials": 4, "space": {"model.beta": {"loguniform": [1e-6, 0.1]}}},
}


def write_study(results: Folder, content: dict[str, object] = SEARCH) -> Ledger:
    """Write a study file into a results folder; return the folder's ledger."""
    study = check_study(content, "viewed.yaml")
    results.write(STUDY, to_yaml(dump_study(study)).encode())
    return Ledger(results.folder("ledger"))


def proposed(number: int) -> Trial:
    return trial_of(check_study(SEARCH, "viewed.yaml"), number, {"model.beta": 0.01 * (number + 1)})
