import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import study
from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.ledger.ledger import FoldManifest
from study.report import cache
from study.report.cache import ScoreCache, fold_key
from study.report.fold_scores import SCHEMA
from study.report.strata import LeftOut
from study.storage.folder import Folder, LocalFolder

NAN = float("nan")
MANIFEST = FoldManifest("trial-00000", 0, "completed", "", 3, 6, {"components.parquet": "ab"})
PROVIDED_BY = {"sklearn": "scikit-learn"}
WITHOUT_NUMBERS = {"models", "pydantic", "study", "threadpoolctl"}
"""Of `models` the code takes components alone, which the key has."""


def scores(fold: int, rows: int) -> pa.Table:
    values = {pa.string(): "x", pa.int64(): fold, pa.float64(): NAN if fold else 0.1}
    return pa.table({f.name: pa.array([values[f.type]] * rows, f.type) for f in SCHEMA}, SCHEMA)


def bits(table: pa.Table) -> list[list[str]]:
    return [[repr(value) for value in column.to_pylist()] for column in table.columns]


def test_kept_scores_are_read_as_they_were(folder: Folder) -> None:
    kept = ScoreCache(folder, "scores", SCHEMA)
    tables = {0: scores(0, 3), 1: scores(1, 2), 2: scores(2, 0)}
    keys = {0: "a", 1: "b", 2: "c"}
    kept.write("trial-00000", keys, tables)
    read = kept.read("trial-00000", keys)
    assert {fold: bits(table) for fold, table in read.items()} == {
        fold: bits(table) for fold, table in tables.items()
    }
    assert all(table.schema.equals(SCHEMA) for table in read.values())


def test_scores_under_another_key_are_not_found(folder: Folder) -> None:
    kept = ScoreCache(folder, "scores", SCHEMA)
    kept.write("trial-00000", {0: "a", 1: "b"}, {0: scores(0, 3), 1: scores(1, 2)})
    read = kept.read("trial-00000", {0: "other", 1: "b"})
    assert list(read) == [1]
    assert bits(read[1]) == bits(scores(1, 2))
    assert kept.read("trial-00000", {2: "a"}) == {}
    assert kept.read("trial-00001", {0: "a", 1: "b"}) == {}


def test_what_is_written_replaces_all_that_was_kept(folder: Folder) -> None:
    kept = ScoreCache(folder, "scores", SCHEMA)
    kept.write("trial-00000", {0: "a", 1: "b"}, {0: scores(0, 3), 1: scores(1, 2)})
    kept.write("trial-00000", {0: "z"}, {0: scores(0, 1)})
    assert list(kept.read("trial-00000", {0: "z", 1: "b"})) == [0]
    assert folder.names(f"{cache.FOLDER}/scores") == ["trial-00000"]


def test_every_byte_of_a_seal_and_of_what_it_seals_counts(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    kept = ScoreCache(folder, "scores", SCHEMA)
    kept.write("trial-00000", {0: "a"}, {0: scores(0, 1)})
    path = tmp_path / cache.FOLDER / "scores" / "trial-00000"
    sound = path.read_bytes()
    seal = range(len(cache._seal(b"")))
    for place in (*seal, *range(len(seal), len(sound), 11)):
        changed = bytearray(sound)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert kept.read("trial-00000", {0: "a"}) == {}, place
    for length in range(0, len(sound), 97):
        path.write_bytes(sound[:length])
        assert kept.read("trial-00000", {0: "a"}) == {}, length


def test_a_sound_file_of_another_form_is_not_used(folder: Folder) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_table(scores(0, 2))
    for body in (b"", b"not a table", sink.getvalue().to_pybytes()):
        folder.write(f"{cache.FOLDER}/scores/trial-00000", cache._seal(body) + body)
        assert ScoreCache(folder, "scores", SCHEMA).read("trial-00000", {0: "a"}) == {}


def other_inputs(
    config: TrialConfig,
) -> Iterator[tuple[FoldManifest, TrialConfig, LeftOut]]:
    yield MANIFEST, config, LeftOut()
    yield replace(MANIFEST, fold=1), config, LeftOut()
    yield replace(MANIFEST, trial="trial-00001"), config, LeftOut()
    yield replace(MANIFEST, files={"components.parquet": "ac"}), config, LeftOut()
    yield MANIFEST, config, LeftOut(kinds=("Q",))
    yield MANIFEST, config, LeftOut(records=())
    yield MANIFEST, config, LeftOut(records=("232",))
    for changed in (
        {"model.beta": 0.5},
        {"scores.quantile": 0.9},
        {"scores.lambda_steps": 99},
        {"scores.svm_gamma": "auto"},
        {"scores.latent_distance": "signed"},
        {"scores.chi_norm": "scored"},
    ):
        yield MANIFEST, config.with_parameters(changed), LeftOut()


def test_a_key_stands_for_all_that_decides_scores(tiny_study: Callable[..., Study]) -> None:
    config = TrialConfig.of(tiny_study())
    keys = [fold_key(*inputs) for inputs in other_inputs(config)]
    assert len(set(keys)) == len(keys)
    assert keys == [fold_key(*inputs) for inputs in other_inputs(config)]


def test_other_components_of_a_model_are_another_key(
    monkeypatch: pytest.MonkeyPatch, tiny_study: Callable[..., Study]
) -> None:
    config = TrialConfig.of(tiny_study())
    before = fold_key(MANIFEST, config, LeftOut())
    monkeypatch.setattr(cache, "available_components", lambda model, dataset: ("outlier_score",))
    assert fold_key(MANIFEST, config, LeftOut()) != before


def test_other_code_is_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_study: Callable[..., Study]
) -> None:
    config = TrialConfig.of(tiny_study())
    monkeypatch.setattr(cache, "_STUDY", tmp_path)
    found = set()
    for name in ("ledger/fold_files.py", "report/fold_scores.py", "scores/new.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        for text in ("1", "2"):
            (tmp_path / name).write_text(text)
            cache.scoring.cache_clear()
            found.add(fold_key(MANIFEST, config, LeftOut()))
    cache.scoring.cache_clear()
    assert len(found) == 6


def test_every_library_that_scores_is_in_the_key() -> None:
    """What the code in the key imports, without Python's own."""
    root = Path(study.__file__).parent
    files = [path for pattern in cache._CODE for path in root.glob(pattern)]
    assert len(files) > len(cache._CODE)
    used = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                used.add((node.module or "").split(".")[0])
    used -= sys.stdlib_module_names | WITHOUT_NUMBERS
    assert {PROVIDED_BY.get(name, name) for name in used} <= set(cache.LIBRARIES)
    assert set(cache.LIBRARIES) <= cache.scoring().keys()
