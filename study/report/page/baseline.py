"""What the answer says where no simple model stands beside the networks, and how to add one."""

import json
import shlex

from markupsafe import Markup

from models import MODELS
from study.config.components import available_components
from study.config.schema import Study
from study.data.settings import DatasetSettings
from study.report.page.inputs import PageInputs, ranked

SIMPLE_MODELS = [name for name, entry in MODELS.items() if entry.fitted_once]


def missing_simple_model(inputs: PageInputs) -> Markup | str:
    """Return a sentence that no simple model stands beside the networks; "" if one does."""
    if any(entry.fitted_once for entry in inputs.entries):
        return ""
    best = ranked(inputs.entries)[0].config.dataset
    train, compare = simple_model_commands(inputs.study, best)
    return Markup(
        "Whether a network is needed is open: no simple model ({}) stands beside it. With the "
        "study file at the end of this page, these train nearest neighbours on the same folds and "
        "compare them:<br><code>{}</code><br><code>{}</code>"
    ).format(", ".join(SIMPLE_MODELS), train, compare)


def simple_model_commands(study: Study, dataset: DatasetSettings) -> tuple[str, str]:
    """Return what trains nearest neighbours on a study's folds, and what compares both.

    Args:
        study: the study.
        dataset: that of its best trial, where settings of it are searched.
    """
    name = f"{study.name}_knn"
    metric = f"{{composition: outlier_score, score: {study.search.metric.score}}}"
    settings = [f"name={name}", "model={name: knn}", "training={}"]
    settings += ["systems={}"] * bool(study.systems)
    settings += ["comparisons.named={}"] * bool(study.comparisons.named)
    if dataset != study.dataset:
        settings.append(f"dataset={json.dumps(dataset.model_dump(mode='json'))}")
    own = study.scores.compositions
    components = available_components(MODELS["knn"].settings(), dataset)
    kept = {name: each for name, each in own.items() if {*each.components} <= {*components}}
    if kept != own:
        content = {name: each.model_dump(mode="json") for name, each in kept.items()}
        settings.append(f"scores.compositions={json.dumps(content)}")
        tracked = [name for name in study.measures.tracked if name not in own.keys() - kept.keys()]
        settings.append(f"measures.tracked={json.dumps(tracked)}")
    settings.append(f"search={{trials: 1, metric: {metric}}}")
    overrides = [part for setting in settings for part in ("--set", setting)]
    train = ["python", "-m", "study.run", f"{study.name}.yaml", *overrides]
    compare = ["python", "-m", "study.compare", f"results/{study.name}", f"results/{name}"]
    return shlex.join(train), shlex.join(compare)
