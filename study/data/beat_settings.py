"""Settings of datasets whose samples are heartbeats, cut from records."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from study.data.entry import BaseDatasetSettings
from study.settings import Settings, added_field

PUBLISHED_RATE_HZ = 125
PUBLISHED_LENGTH = 187
_BLOCK = 32

Amplitude = Literal["beat", "record", "first_minutes"]
Reference = Literal["record", "first_minutes"]

PATIENT_COMPONENTS = ("prematurity", "pause", "template_distance")
"""Error components that come with a beat; see `study.data.patient_components`."""


class PublishedWindow(Settings):
    """From R over 1.2 R-R intervals at 125 Hz, zeros up to 187 values (Kachuee et al. 2018)."""

    name: Literal["published"] = "published"

    @property
    def rate_hz(self) -> int:
        """Values a second."""
        return PUBLISHED_RATE_HZ

    @property
    def values_before(self) -> int:
        """Values before that at R."""
        return 0

    @property
    def width(self) -> int:
        """Values of a window."""
        return PUBLISHED_LENGTH


class CentredWindow(Settings):
    """A fixed stretch around R, so that it shows the P wave and how early the beat came."""

    name: Literal["centred"] = "centred"
    before: float = Field(0.9, ge=0, le=10, description="seconds before R")
    after: float = Field(0.7, gt=0, le=10, description="seconds from R on")
    rate: int = Field(100, ge=25, le=1000, description="values a second, in Hz")

    @model_validator(mode="after")
    def _width_suits_networks(self) -> Self:
        if self.width < _BLOCK or self.width % _BLOCK:
            raise ValueError(
                f"before and after at rate must make a multiple of {_BLOCK} values, found"
                f" {self.values_before} + {self.width - self.values_before} = {self.width};"
                " change one of them"
            )
        return self

    @property
    def rate_hz(self) -> int:
        """Values a second."""
        return self.rate

    @property
    def values_before(self) -> int:
        """Values before that at R: `before` in the nearest whole number of values."""
        return round(self.before * self.rate)

    @property
    def width(self) -> int:
        """Values of a window, which is the length of a sample."""
        return self.values_before + round(self.after * self.rate)


def _named(value: object) -> object:
    """Take a name alone for a window of its defaults."""
    return {"name": value} if isinstance(value, str) else value


Window = Annotated[
    Annotated[PublishedWindow | CentredWindow, Field(discriminator="name")],
    BeforeValidator(_named),
]
_ANY_WINDOW: TypeAdapter[PublishedWindow | CentredWindow] = TypeAdapter(Window)

_AMPLITUDE_IN_WORDS = {"record": "record", "first_minutes": "record's first minutes"}


class BeatDatasetSettings(BaseDatasetSettings):
    """What datasets of heartbeats can be set to.

    The length of a sample is that of a centred window, and may be left out with it. A published
    window is brought to any length.
    """

    searchable: ClassVar[tuple[str, ...]] = (
        "length",
        "window.name",
        "window.before",
        "window.after",
        "window.rate",
        "amplitude",
        "components",
    )

    window: Window = added_field(
        PublishedWindow(),
        description="what of a record is a beat's sample: 'published' runs from R over 1.2 R-R "
        "intervals, so that it shows the next beat and not how early this one came; 'centred' "
        "from `before` seconds before R to `after` seconds after it, `rate` values a second; "
        "past the record's ends its first and its last value are repeated",
    )
    amplitude: Amplitude = added_field(
        "beat",
        description="what values in [0, 1] are relative to: each 'beat' its own minimum and "
        "maximum; the 'record', its baseline removed by a Butterworth high-pass of 0.5 Hz "
        "(order 2, forward and backward) and divided by the median height of its QRS complexes; "
        "or its 'first_minutes', the same with the filter forward only and the QRS complexes of "
        "the first five minutes, which is causal from then on",
    )
    clean: bool = added_field(
        False,
        description="leave normals out of training whose window holds the R peak of an abnormal "
        "beat; validation and test keep theirs",
    )
    components: Literal["none"] | Reference = added_field(
        "none",
        description="error components of every beat beside a model's: prematurity, pause and "
        "template_distance, relative to the patient's own beats of the whole 'record', or of "
        "its 'first_minutes', five, as AAMI EC57 lets a device learn; causal from then on, but "
        "for pause, which waits for the next beat",
    )

    @model_validator(mode="before")
    @classmethod
    def _length_of_a_centred_window(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "length" in values or "window" not in values:
            return values
        try:
            window = _ANY_WINDOW.validate_python(values["window"])
        except ValidationError:
            return values  # the window's own check names the error
        centred = isinstance(window, CentredWindow)
        return {**values, "length": window.width} if centred else values

    @model_validator(mode="after")
    def _length_is_that_of_a_centred_window(self) -> Self:
        if isinstance(self.window, CentredWindow) and self.length != self.window.width:
            raise ValueError(
                f"length must be {self.window.width}, as many values as the centred window has,"
                f" found {self.length}; leave it out"
            )
        return self

    def without_replaced(self, replaced: Mapping[str, Any]) -> dict[str, Any]:
        """See `BaseDatasetSettings`; another window has its own defaults, and its own length."""
        content = super().without_replaced(replaced)
        name = replaced.get("window.name", self.window.name)
        if name != self.window.name:
            content["window"] = {"name": name}
            del content["length"]
        elif name == CentredWindow().name and any(key.startswith("window.") for key in replaced):
            del content["length"]
        return content

    @property
    def unlike_published(self) -> str:
        """How samples differ from those of publications, in words; "" if they do not."""
        differences = []
        if isinstance(self.window, CentredWindow):
            before, after = self.window.before, self.window.after
            differences.append(f"from {before:g} s before R to {after:g} s after it")
        if self.amplitude != "beat":
            whose = _AMPLITUDE_IN_WORDS[self.amplitude]
            differences.append(f"relative to the QRS height of the {whose}")
        return ", ".join(differences)

    @property
    def leaves_out_neighbours(self) -> bool:
        """Whether normals with an abnormal neighbour in their window are left out of training."""
        return self.clean

    @property
    def component_names(self) -> tuple[str, ...]:
        """Names of the error components that come with the samples."""
        return () if self.components == "none" else PATIENT_COMPONENTS

    @property
    def row_width(self) -> int | None:
        """Width of a published window before it is brought to `length`; a centred one has that."""
        return None if isinstance(self.window, CentredWindow) else PUBLISHED_LENGTH
