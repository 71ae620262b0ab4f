from collections.abc import Callable

import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from study.report.paper.basis import Basis
from study.report.paper.table_pictures import draw_table
from study.report.paper.tables import SCHEMA, composition_table, system_table, tstr_table
from tests.study.report.paper.conftest import MadeStudy
from tests.study.report.paper.overlap import overlapping

pytestmark = pytest.mark.slow

SYSTEMS = ("ae", "vae", "beatgan_plus", "vaegan_2", "pca")
BASIS = Basis("mitbih", "paper", (40, 40), (0, 1, 2), 3)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def shaded(figure: Figure) -> int:
    return sum(isinstance(patch, Rectangle) for patch in figure.axes[0].patches)


def cell(**kept: object) -> pa.Table:
    row: dict[str, object] = {"table": "II", "dataset": "mitbih", "protocol": "paper"}
    row |= {"system": "vaegan_2", "composition": "svm_lambda", "latent_form": "", "variant": ""}
    row |= {"metric": "f1_weighted", **kept}
    return pa.Table.from_pylist([row], schema=SCHEMA)


def test_a_cell_shows_ours_the_papers_and_the_difference() -> None:
    numbers = {"ours": 0.9111, "ours_std": 0.0049, "published": 0.92, "published_std": 0.003}
    table = cell(**numbers, difference=-0.0089, beyond_two_deviations=True)
    figure = draw_table(table, BASIS)
    assert texts(figure) == [
        "β-VAEGAN₂",
        "SVM λ (R, D)",
        "0.911 ± 0.005",
        "0.920 ± 0.003",
        "▼ −0.009",
    ]
    assert shaded(figure) == 1


def test_what_is_not_known_is_left_out() -> None:
    alone = draw_table(cell(ours=0.9), BASIS)
    assert texts(alone)[2:] == ["0.900"]
    papers = draw_table(cell(published=0.92, published_std=0.003), BASIS)
    assert texts(papers)[2:] == ["–", "0.920 ± 0.003"]
    near = {"ours": 0.921, "published": 0.92, "published_std": 0.003, "difference": 0.001}
    within = draw_table(cell(**near, beyond_two_deviations=False), BASIS)
    assert texts(within)[2:] == ["0.921", "0.920 ± 0.003", "+0.001"]
    assert shaded(within) == 0


@pytest.mark.parametrize("dataset", ["mitbih", "wafer", "synthetic"])
def test_tables_of_a_study_are_drawn_whole(made: Callable[..., MadeStudy], dataset: str) -> None:
    tables = made(dataset=dataset, systems=SYSTEMS).tables
    for table in (
        tstr_table(tables.measures, dataset),
        composition_table(tables.scores, tables.summary),
        system_table(tables.scores, tables.summary),
    ):
        figure = draw_table(table, BASIS)
        found = texts(figure)
        assert sum("±" in text for text in found) == table.num_rows + sum(
            value is not None for value in table["published"].to_pylist()
        )
        beyond = sum(bool(value) for value in table["beyond_two_deviations"].to_pylist())
        assert shaded(figure) == beyond
        assert sum(text[0] in "▲▼" for text in found) == beyond
        assert "40 of the paper's 500 epochs" in figure.get_supxlabel().replace("\n", " ")
        assert overlapping(figure) == []


def test_another_protocol_than_the_papers_is_said() -> None:
    basis = Basis("mitbih", "inter_patient", (40, 40), (0,), 1)
    said = draw_table(cell(ours=0.9), basis).get_supxlabel().replace("\n", " ")
    assert "the paper's numbers are of protocol paper" in said


def test_few_measurements_of_tstr_are_said() -> None:
    row = {"table": "I", "system": "ae", "metric": "tstr", "ours": 0.9, "measurements": 2}
    said = draw_table(cell(**row), BASIS).get_supxlabel().replace("\n", " ")
    assert "at least 2 measurements (the paper: 5)" in said
