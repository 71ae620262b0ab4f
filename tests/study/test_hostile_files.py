"""Files that somebody hands over run no code, and name nothing outside their folder."""

import hashlib
import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from study.data.assembly import build_samples
from study.data.cache import read_entry, write_entry
from study.errors import RequestError
from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.ledger.ledger import DamagedError, FoldManifest, Ledger
from study.ledger.study_folder import read_study
from study.report.cache import ScoreCache
from study.report.fold_scores import SCHEMA
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from tests.study.ledger.older_form import sealed

TRIAL = "trial-00000"


class Canary:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(path)))  # it sings where it can
    path.rmdir()
    return path


def fold(**changed: Any) -> dict[str, Any]:
    manifest = FoldManifest(TRIAL, 0, "completed", "", 1, 1, {"a.json": "0" * 64})
    return vars(manifest) | changed


@pytest.mark.parametrize("form", ["pickle", "torch", "torch zip"])
def test_a_pickle_in_a_checkpoints_place_is_no_checkpoint(
    form: str, canary: Path, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path / "checkpoints")
    save_checkpoint(folder, FoldProgress(2, best_weights={"w": torch.ones(3)}))
    path = tmp_path / "hostile"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Canary(canary)))
    else:
        torch.save(Canary(canary), path, _use_new_zipfile_serialization="zip" in form)
    content = path.read_bytes()
    for body in (content, len(content).to_bytes(8, "big") + content):
        folder.write("checkpoint-000004.state", hashlib.sha256(body).digest() + body)
        loaded = load_checkpoint(folder)
        assert loaded is not None
        assert loaded.epoch == 2
    assert not canary.exists()


@pytest.mark.parametrize(
    "tree",
    ["[" * 100_000, '{"dict": [["epoch"]]}', '{"object": "os.system"}', '{"tensor": "9"}', "3"],
)
def test_other_trees_in_a_checkpoint_are_none(tree: str, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, FoldProgress(2))
    tensors = folder.read("checkpoint-000002.state")[-16:]
    body = len(tree).to_bytes(8, "big") + tree.encode() + tensors
    folder.write("checkpoint-000004.state", hashlib.sha256(body).digest() + body)
    loaded = load_checkpoint(folder)
    assert loaded is not None
    assert loaded.epoch == 2


ELSEWHERE = ["../../study.yaml", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "a\\..\\b", "a\0"]


@pytest.mark.parametrize(
    "changed",
    [
        *({"files": {name: "0" * 64}} for name in ELSEWHERE),
        {"trial": "../../elsewhere"},
        {"trial": "trial-00001"},
        {"fold": 1},
        {"files": None},
        {"files": 3},
        {"extra": 1},
    ],
)
def test_a_manifest_of_another_form_or_place_or_of_files_elsewhere_is_refused(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    folder.write(f"{TRIAL}/fold-0/manifest.json", sealed(fold(**changed)))
    with pytest.raises(DamagedError, match=r"manifest\.json is no manifest of this fold"):
        Ledger(folder).fold(FoldAddress(TRIAL, 0))


def test_a_link_to_another_file_is_not_what_was_committed(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "ledger")
    committed = Ledger(folder).commit_fold(FoldManifest(**fold()), {"a.json": b"{}"})
    secret = tmp_path / "secret"
    secret.write_text("token")
    linked = tmp_path / "ledger" / TRIAL / "fold-0" / "a.json"
    linked.unlink()
    linked.symlink_to(secret)
    with pytest.raises(DamagedError, match="not what was committed") as raised:
        Ledger(folder).read(committed, "a.json")
    assert "token" not in str(raised.value)


def test_deleting_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("1")
    folder = LocalFolder(tmp_path / "results")
    folder.write("checkpoints/f", b"1")
    for link in ("tune", ".x.0.tmp", "checkpoints/link"):
        (tmp_path / "results" / link).symlink_to(outside)
    folder.remove("tune")
    folder.sweep()
    folder.remove("checkpoints")
    assert (outside / "kept").read_text() == "1"
    assert folder.names() == []


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"9" * 9999])
def test_a_bomb_is_no_manifest(content: bytes, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write(f"{TRIAL}/fold-0/manifest.json", content)
    with pytest.raises(DamagedError):
        Ledger(folder).fold(FoldAddress(TRIAL, 0))


def test_prepared_samples_that_hold_a_pickle_are_not_read(canary: Path, tmp_path: Path) -> None:
    folder, key = tmp_path / "prepared", "k" * 64
    values = np.random.default_rng(0).random((4, 32))
    write_entry(folder, key, build_samples(values, [0, 1] * 2, ["a", "b"] * 2, ["a", "b"] * 2))
    path = folder / key / "label.npy"
    np.save(path, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    manifest = json.loads((folder / key / "manifest.json").read_text())
    manifest["body"]["arrays"]["label"] = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps(manifest["body"], sort_keys=True)
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / key / "manifest.json").write_text(json.dumps(manifest))
    assert read_entry(folder, key) is None
    assert not canary.exists()


def test_kept_scores_that_are_a_pickle_are_not_read(canary: Path, tmp_path: Path) -> None:
    body = pickle.dumps(Canary(canary))
    seal = hashlib.sha256(body).hexdigest().encode()
    LocalFolder(tmp_path).write(f"score_cache/scores/{TRIAL}", seal + body)
    assert ScoreCache(LocalFolder(tmp_path), "scores", SCHEMA).read(TRIAL, {0: "key"}) == {}
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [CANARY]",
        "name: !!python/object/apply:os.mkdir [CANARY]",
        "? !!python/object/apply:os.mkdir [CANARY]\n: 1",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "name: !!binary aGVsbG8=",
    ],
)
def test_a_stored_study_with_tags_or_aliases_is_refused(
    text: str, canary: Path, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path / "study")
    folder.write("study.yaml", text.replace("CANARY", str(canary)).encode())
    with pytest.raises(RequestError, match=r"study\.yaml: not valid YAML"):
        read_study(folder)
    assert not canary.exists()


def test_nothing_of_the_program_unpickles() -> None:
    root = Path(__file__).parents[2]
    told = re.compile(r"pickle\.load|(?<!safetensors\.)torch\.load|joblib\.load|allow_pickle=True")
    paths = [*(root / "study").rglob("*.py"), *(root / "models").rglob("*.py")]
    assert not {path: found for path in paths if (found := told.findall(path.read_text()))}
