import io
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from study.ledger.fold_files import RECONSTRUCTIONS
from study.ledger.ledger import DamagedError
from study.report.paper import build
from study.report.paper.build import write_paper_report
from study.report.paper.inputs import Tables
from study.search.trial import FoldAddress
from tests.study.report.paper.conftest import MadeStudy

pytestmark = pytest.mark.slow

Made = Callable[..., MadeStudy]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without pictures, for tests of which pages there are and what data they have."""
    monkeypatch.setattr(build, "rendered", lambda figure: {"png": b"", "svg": b""})


def write(made: MadeStudy) -> list[str]:
    """Write a study's report and return the names of its pages, in order."""
    return names_of(write_paper_report(made.study, made.results, made.tables))


def names_of(paths: list[str]) -> list[str]:
    """Return names of pages, of which each must have its three files."""
    names = [path.removeprefix("report/").removesuffix(".parquet") for path in paths[::3]]
    endings = ("parquet", "png", "svg")
    assert paths == [f"report/{name}.{ending}" for name in names for ending in endings]
    return names


def read(made: MadeStudy, name: str) -> pa.Table:
    return pq.read_table(io.BytesIO(made.results.read(f"report/{name}.parquet")))


def files(made: MadeStudy) -> dict[str, bytes]:
    folder = made.results.folder("report")
    return {name: folder.read(name) for name in folder.names()}


@pytest.mark.usefixtures("undrawn")
def test_a_whole_study_has_all_tables_and_figures(made: Made) -> None:
    """What each draws is tested beside it."""
    study = made(folds=2, epochs=8)
    names = write(study)
    figures = [f"figure_{number}" for number in (1, 3, 10, 4, 5, 6, 7, 8, 11)]
    assert names == ["table_1", "table_2", "table_3", *figures]
    before = files(study)
    assert set(before) == {f"{n}.{end}" for n in names for end in ("parquet", "png", "svg")}
    for name in names:
        data = read(study, name)
        assert set(data["dataset"].to_pylist()) == {"mitbih"}
        assert set(data["protocol"].to_pylist()) == {"paper"}


@pytest.mark.usefixtures("undrawn")
def test_the_same_study_has_the_same_bytes_again(made: Made) -> None:
    """The same picture has them too: see the tests of pictures."""
    study = made(systems=["beatgan"], folds=1, epochs=4)
    names = write(study)
    before = files(study)
    assert {"table_1", "figure_7", "figure_10", "figure_11"} <= set(names)
    assert write(study) == names
    assert files(study) == before


@pytest.mark.usefixtures("undrawn")
def test_norms_of_figure_4_are_drawn_from_the_posterior_after_the_last_epoch(made: Made) -> None:
    study = made(systems=["ae", "vaegan_beta_1e-1"], folds=1, epochs=4)
    assert "figure_4" in write(study)
    data = read(study, "figure_4").to_pandas()
    assert data["system"].unique().tolist() == ["vaegan_beta_1e-1"]
    manifest = study.ledger.fold(FoldAddress("trial-00001", 0))
    assert manifest is not None
    content = study.ledger.read(manifest, "training_components.parquet")
    norms = pq.read_table(io.BytesIO(content)).to_pandas()
    norms = norms[norms["epoch_rule"] == "last"]["drawn_latent_norm"]
    assert data["norms"].iloc[0] == len(norms)
    assert data["low"].min() == pytest.approx(norms.min())
    assert data["high"].max() == pytest.approx(norms.max())


@pytest.mark.usefixtures("undrawn")
def test_norms_of_figure_11_are_of_validation_at_the_best_epoch(made: Made) -> None:
    study = made(systems=["beatgan"], folds=1, epochs=4)
    write(study)
    manifest = study.ledger.fold(FoldAddress("trial-00000", 0))
    assert manifest is not None
    scored = pq.read_table(io.BytesIO(study.ledger.read(manifest, "components.parquet")))
    frame = scored.to_pandas().query("epoch_rule == 'best_validation' and split == 'validation'")
    counts = read(study, "figure_11").to_pandas().groupby("part")["count"].sum()
    assert counts["validation, normal"] == (frame["label"] == 0).sum()
    assert counts["validation, abnormal"] == (frame["label"] == 1).sum()
    assert counts["training"] == 300


def test_what_a_study_has_no_system_for_is_left_out_and_what_is_there_is_drawn(made: Made) -> None:
    study = made(systems=["pca"], folds=1)
    assert write(study) == ["table_3"]
    written = files(study)
    assert Image.open(io.BytesIO(written["table_3.png"])).size[0] > 400
    assert written["table_3.svg"].startswith(b"<?xml")


@pytest.mark.usefixtures("undrawn")
def test_wafer_has_its_own_numbers(made: Made) -> None:
    study = made(dataset="wafer", systems=["vaegan_2", "beatgan"], folds=1, epochs=4)
    names = write(study)
    assert names[:3] == ["table_4", "table_2", "table_3"]
    assert {"figure_8", "figure_9", "figure_10"} <= set(names)
    assert "figure_3" not in names


@pytest.mark.usefixtures("undrawn")
def test_tables_that_are_not_there_leave_out_what_needs_them(made: Made) -> None:
    study = made(systems=["vaegan_2", "beatgan"], folds=1, epochs=4)
    bare = replace(study.tables, epochs=pa.table({}), measures=pa.table({}))
    names = names_of(write_paper_report(study.study, study.results, bare))
    assert names == ["table_2", "table_3", *(f"figure_{n}" for n in (1, 3, 10, 4, 8, 11))]


@pytest.mark.usefixtures("undrawn")
def test_a_protocol_beside_the_papers_has_files_of_its_own(made: Made) -> None:
    study = made(systems=["beatgan"], protocols=("paper", "inter_patient"), folds=1, epochs=4)
    names = write(study)
    own = [name for name in names if name.endswith("_inter_patient")]
    assert [f"{n}_inter_patient" for n in names if n not in own] == own
    one, other = (read(study, name) for name in ("figure_10", "figure_10_inter_patient"))
    assert set(other["protocol"].to_pylist()) == {"inter_patient"}
    assert one["real"] != other["real"]
    assert set(read(study, "table_2_inter_patient")["protocol"].to_pylist()) == {"inter_patient"}


def test_a_study_that_searches_has_no_paper_report(made: Made) -> None:
    study = made(systems=["vaegan_2"], folds=1, epochs=4)
    unnamed = {
        name: table.set_column(
            table.column_names.index("system"), "system", pa.array([""] * table.num_rows)
        )
        for name, table in vars(study.tables).items()
    }
    without = {name: table.drop_columns(["system"]) for name, table in unnamed.items()}
    for tables in (unnamed, without):
        assert write_paper_report(study.study, study.results, Tables(**tables)) == []
    assert files(study) == {}


@pytest.mark.usefixtures("undrawn")
def test_damage_to_the_ledger_is_named(made: Made) -> None:
    study = made(systems=["vaegan_2"], folds=1, epochs=4)
    study.results.write(f"ledger/trial-00000/fold-0/{RECONSTRUCTIONS}", b"other")
    with pytest.raises(DamagedError, match=RECONSTRUCTIONS):
        write(study)
