"""What a study compares: families of contrasts, named before anything is trained."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from study.settings import Settings

FamilyName = Literal["best_simple", "generator_alone", "reconstruction", "all_systems"]
Pair = tuple[str, str]

FAMILY_NAMES: tuple[FamilyName, ...] = get_args(FamilyName)


class ComparisonSettings(Settings):
    """Which differences are tested; p is corrected within a family (Holm 1979)."""

    families: tuple[FamilyName, ...] = Field(
        FAMILY_NAMES,
        description="each system and the best simple one; each adversarial system and its "
        "generator alone, where the study has it with the same settings; each composition of a "
        "system and reconstruction; all pairs of systems, from which groups follow",
    )
    named: dict[str, Annotated[tuple[Pair, ...], Field(min_length=1)]] = Field(
        {}, description="families of the study's own: pairs of its systems, by name"
    )

    @model_validator(mode="after")
    def _names_are_new(self) -> Self:
        for name in self.named:
            if name in FAMILY_NAMES:
                raise ValueError(f"named: {name} is one of families; give it another name")
        return self
