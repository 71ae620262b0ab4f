from typing import Any

import pytest

from study.config.study_file import check_study
from study.errors import RequestError

SYSTEMS = {
    "name": "s",
    "dataset": {"name": "synthetic"},
    "systems": {
        "gan": {"model": {"name": "beta_vaegan"}},
        "vae": {"model": {"name": "vae"}, "metric": {"composition": "latent"}},
    },
}


@pytest.mark.parametrize(
    ("comparisons", "message"),
    [
        ({"named": {"mine": [["gan", "vea"]]}}, "comparisons.named.mine: 'vea' is no system"),
        ({"named": {"best_simple": [["gan", "vae"]]}}, "best_simple is one of families"),
        ({"named": {"mine": []}}, "comparisons.named.mine"),
        ({"families": ["best"]}, "comparisons.families"),
    ],
)
def test_comparisons_of_what_a_study_does_not_have_are_refused(
    comparisons: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as raised:
        check_study({**SYSTEMS, "comparisons": comparisons}, "s.yaml")
    assert "\n" not in str(raised.value)


def test_comparisons_are_of_systems_and_a_search_has_none() -> None:
    named = {"mine": [["gan", "vae"]]}
    study = check_study({**SYSTEMS, "comparisons": {"named": named}}, "s.yaml")
    assert study.comparisons.named == {"mine": (("gan", "vae"),)}
    search = {"name": "s", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}
    with pytest.raises(RequestError, match="a search has none"):
        check_study({**search, "comparisons": {"named": named}}, "s.yaml")
