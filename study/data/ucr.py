"""Data sets in the form of the UCR archive: a row per sample, its label first.

Source: Dau et al., The UCR time series archive (2019).
"""

from typing import Literal

from pydantic import Field

from study.data import table
from study.data.entry import DatasetEntry
from study.data.table import DataPaths, FilesSettings, LabelNames
from study.settings import Texts, added_field


class UcrSettings(FilesSettings):
    """Files in the form of the UCR archive: a row per sample, its label first."""

    name: Literal["ucr"] = "ucr"
    path: DataPaths = Field(min_length=1)
    normal_labels: LabelNames = Field(min_length=1)
    test_path: Texts = added_field(
        (),
        description="the archive's test file, if `path` is its training file: protocol given "
        "tests on it, others take all rows together",
    )


ENTRY = DatasetEntry(
    settings=UcrSettings,
    description="files of your own in the UCR archive's form, by path",
    sources=table.sources,
    prepare=table.prepare,
    check=table.check,
    fetch=table.ENTRY.fetch,
)
