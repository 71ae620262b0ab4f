"""`study.run --plan --cluster FILE`: a plan for a cluster that is not there."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from study import run
from study.config.study_file import check_study
from study.ledger.ledger import FoldManifest, Ledger
from study.storage.folder import LocalFolder
from tests.commands import Answer, call
from tests.study.trials import record_of, trial_of

ROOT = Path(__file__).parents[3]
STUDY: dict[str, Any] = {
    "name": "mine",
    "dataset": {"name": "synthetic"},
    "model": {"name": "beta_vaegan"},
    "split": {"folds": 5},
    "search": {"trials": 10},
}
CLUSTER: dict[str, Any] = {
    "cluster_name": "c",
    "max_workers": 3,
    "provider": {"type": "aws"},
    "available_node_types": {
        "head": {"resources": {"CPU": 0}, "node_config": {}},
        "gpu": {"resources": {"CPU": 8, "GPU": 1}, "node_config": {}, "max_workers": 3},
    },
    "head_node_type": "head",
}
LAST = object()


def ask(folder: Path, *arguments: str, cluster: Any = CLUSTER) -> Answer:
    (folder / "mine.yaml").write_text(yaml.safe_dump(STUDY))
    text = cluster if isinstance(cluster, str) else yaml.safe_dump(cluster)
    (folder / "cluster.yaml").write_text(text)
    before = sorted(folder.rglob("*"))
    answer = call(
        run.app,
        *(str(folder / "mine.yaml"), "--plan", "--output", str(folder / "results")),
        *("--cluster", str(folder / "cluster.yaml"), *arguments),
    )
    assert sorted(folder.rglob("*")) == before
    return answer


def lines(answer: Answer) -> dict[str, str]:
    assert answer.code == 0, answer.errors
    split = (line.strip().split("  ", 1) for line in answer.output.splitlines())
    return {name: text.strip() for name, text in split}


def changed(*path: Any) -> dict[str, Any]:
    """Return the cluster with the last of `path` at the place that the others name."""
    content: dict[str, Any] = json.loads(json.dumps(CLUSTER))
    inner = content
    *keys, last, value = path
    for key in keys:
        inner = inner[key]
    if value is LAST:
        del inner[last]
    else:
        inner[last] = value
    return content


def end_trials(folder: Path, *seconds: tuple[float, float], state: Any = "completed") -> None:
    """Write trials that ended, of five measured folds each."""
    ledger = Ledger(LocalFolder(folder / "results" / "mine" / "ledger"))
    study = check_study(STUDY, "mine.yaml")
    for number, each in enumerate(seconds):
        record = record_of(trial_of(study, number), state, [(1, 0.5)], number)
        for fold in range(5):
            timings = {
                "train_seconds": each[0] if fold == 3 else 1.0,
                "evaluate_seconds": each[1],
                "host": "h",
                "device": "NVIDIA L4",
                "threads": 1,
            }
            manifest = FoldManifest(record.name, fold, state, "", 1, 1, {})
            ledger.commit_fold(manifest, {"timings.json": json.dumps(timings).encode()})
        ledger.record_trial(record)


def test_folds_trials_and_nodes_are_shown_before_anything_is_there(tmp_path: Path) -> None:
    plan = lines(ask(tmp_path))
    assert plan["each fold"] == "1 CPU, 0.2 GPU, 1 thread(s)"
    assert plan["per GPU"] == "5 folds on a gpu"
    assert plan["at a time"].startswith("3 trial(s)")
    assert plan["waiting"].startswith("7 trial(s)")
    assert plan["nodes"].startswith("3 of 3 gpu (8 CPU, 1 GPU) and the head")
    assert plan["hours"] == "known when a trial has ended"
    assert "--price" in plan["cost"]


def test_cost_is_hours_of_the_ledger_times_nodes_times_price(tmp_path: Path) -> None:
    """Trials take as long as their slowest fold: 1.5 h and 0.5 h, an hour on average.

    Eight are left, three run at a time: three hours of three nodes.
    """
    end_trials(tmp_path, (5000.0, 400.0), (1700.0, 100.0))
    plan = lines(ask(tmp_path, "--price", "0.5"))
    assert plan["trials"].endswith("8 trials to run, 2 ended before")
    assert plan["hours"].startswith("about 3, if trials take 1 as the 2 that ended")
    assert "NVIDIA L4" in plan["hours"]
    assert plan["cost"].startswith("about 4.50 (3 h x 3 node(s) x 0.5)")


def test_a_trial_whose_folds_wait_their_turn_takes_as_many_times_as_long(tmp_path: Path) -> None:
    """Two workers train five folds in three turns; seven trials run at a time on 15 shares."""
    end_trials(tmp_path, (3500.0, 100.0))
    plan = lines(ask(tmp_path, "--set", "resources.workers_per_trial=2"))
    assert plan["at a time"].startswith("7 trial(s)")
    assert plan["hours"].startswith("about 6, if trials take 3 as the 1 that ended")


def test_without_an_ended_trial_an_hour_costs_what_its_nodes_do(tmp_path: Path) -> None:
    plan = lines(ask(tmp_path, "--price", "0.5"))
    assert plan["cost"].startswith("1.5 an hour")
    assert plan["hours"] == "known when a trial has ended"


def test_failed_trials_say_nothing_of_time(tmp_path: Path) -> None:
    end_trials(tmp_path, (5000.0, 400.0), state="failed")
    assert lines(ask(tmp_path, "--price", "1"))["hours"] == "known when a trial has ended"


def test_fewer_trials_than_fit_take_fewer_nodes(tmp_path: Path) -> None:
    plan = lines(ask(tmp_path, "--set", "search.trials=2"))
    assert plan["nodes"].startswith("2 of 3 gpu")
    assert plan["waiting"].startswith("0 trial(s)")


def test_folds_with_whole_gpus_are_shown_so(tmp_path: Path) -> None:
    arguments = ["--set", "resources.per_fold.gpu=1", "--set", "split.folds=3"]
    plan = lines(ask(tmp_path, *arguments))
    assert plan["per GPU"] == "a fold has 1 of a gpu"
    assert plan["at a time"].startswith("1 trial(s)")


def test_folds_that_wait_their_turn_take_no_nodes(tmp_path: Path) -> None:
    few = ["--set", "resources.workers_per_trial=2", "--set", "search.trials=1"]
    plan = lines(ask(tmp_path, "--set", "resources.per_fold.gpu=1", *few))
    assert plan["nodes"].startswith("2 of 3 gpu")
    assert plan["at a time"] == "1 trial(s), each with 2 of its 5 folds; the others wait their turn"


@pytest.mark.parametrize(
    ("setting", "fitting"),
    [
        ("resources.per_fold.cpu=9", "cpu: 8 would fit"),
        ("resources.per_fold.gpu=2", "gpu: 1 would fit"),
    ],
)
def test_what_can_never_fit_is_refused_with_what_would(
    tmp_path: Path, setting: str, fitting: str
) -> None:
    refused = ask(tmp_path, "--set", setting)
    assert (refused.code, refused.output) == (2, "")
    assert refused.errors.count("\n") == 1
    assert fitting in refused.errors
    key, _, amount = fitting.removesuffix(" would fit").partition(": ")
    lines(ask(tmp_path, "--set", f"resources.per_fold.{key}={amount}"))


GPU = ("available_node_types", "gpu")
WRONG: list[tuple[Any, list[str], str]] = [
    ((ROOT / "clusters" / "local.yaml").read_text(), [], "a local provider"),
    ((ROOT / "clusters" / "kuberay.yaml").read_text(), [], "one YAML document"),
    ("a: [", [], "one YAML document"),
    ("[]", [], "one YAML document"),
    ("\x00", [], "one YAML document"),
    ("a: !!python/object/apply:os.system ['true']", [], "one YAML document"),
    ("[" * 100_000, [], "one YAML document"),
    (changed("available_node_types", LAST), [], "available_node_types"),
    (changed("available_node_types", "gpu"), [], "available_node_types"),
    (changed("head_node_type", "other"), [], "head_node_type"),
    (changed("head_node_type", []), [], "head_node_type"),
    (changed("max_workers", -1), [], "max_workers must be a whole number"),
    (changed("max_workers", "many"), [], "max_workers must be a whole number"),
    (changed(*GPU, []), [], "gpu must say what it has"),
    (changed(*GPU, "resources", LAST), [], "gpu must say what it has"),
    (changed(*GPU, "resources", {"GPU": 1}), [], "gpu must say what it has"),
    (changed(*GPU, "resources", "CPU", "8"), [], "gpu.resources.CPU must be a number"),
    (changed(*GPU, "resources", "GPU", True), [], "gpu.resources.GPU must be a number"),
    (changed(*GPU, "max_workers", 1.5), [], "gpu.max_workers must be a whole number"),
    (changed("max_workers", 0), [], "does not fit"),
    (CLUSTER, ["--price", "-1"], "--price"),
    (CLUSTER, ["--price", "nan"], "--price"),
    (CLUSTER, ["--price", "inf"], "--price"),
    (CLUSTER, ["--price", "cheap"], "--price"),
    (CLUSTER, ["--address", "auto"], "--address"),
]


@pytest.mark.parametrize(("cluster", "arguments", "problem"), WRONG)
def test_a_wrong_request_is_answered_in_one_line(
    tmp_path: Path, cluster: Any, arguments: list[str], problem: str
) -> None:
    refused = ask(tmp_path, *arguments, cluster=cluster)
    assert (refused.code, refused.output) == (2, "")
    assert refused.errors.count("\n") == 1, refused.errors
    assert problem in refused.errors


@pytest.mark.parametrize(
    "arguments",
    [["--price", "1"], ["--plan", "--price", "1"], ["--cluster", str(ROOT / "cluster.yaml")]],
)
def test_the_options_of_a_cluster_that_is_not_there_go_with_its_plan(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = call(run.app, *arguments)
    assert refused.code == 2
    assert "--cluster FILE plans" in refused.errors
    assert refused.errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["quickstart", "mitbih", "paper_wafer"])
def test_the_shipped_cluster_is_planned_for_a_shipped_study(name: str) -> None:
    cluster = str(ROOT / "cluster.yaml")
    planned = call(run.app, name, "--plan", "--cluster", cluster, "--output", "/nonexistent")
    assert planned.code == 0, planned.errors
    assert "of 4 gpu_worker" in planned.output
