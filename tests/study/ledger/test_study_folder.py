from collections.abc import Callable

import pytest
import yaml

from study.config.schema import Study
from study.data.leakage import Leakage
from study.data.samples import Samples
from study.data.splits import splits_by_protocol
from study.ledger import study_folder
from study.ledger.study_folder import (
    STUDY,
    SplitFacts,
    read_study,
    stored_split_facts,
    write_study,
)
from study.storage.folder import Folder


def test_facts_of_splits_are_stored_with_the_study_and_may_lack_what_came_later(
    folder: Folder, tiny_study: Callable[..., Study], tiny_samples: Callable[..., Samples]
) -> None:
    study, samples = tiny_study(), tiny_samples()
    splits = splits_by_protocol(samples, study.split, study.seed)
    leakage = (Leakage(3, 2, 1), Leakage(0, 0, 0))
    facts = {"paper": SplitFacts(splits["paper"].split_hash, leakage, (5, 7))}
    write_study(folder, study, samples, splits, facts)
    assert stored_split_facts(folder, read_study(folder)) == facts
    content = yaml.safe_load(folder.read(STUDY))
    del content["provenance"]["abnormal_neighbours"]
    folder.write(STUDY, yaml.safe_dump(content).encode())
    older = stored_split_facts(folder, read_study(folder))
    assert older == {"paper": SplitFacts(splits["paper"].split_hash, leakage)}


def test_every_program_that_wrote_results_is_named_and_the_last_one_last(
    folder: Folder,
    tiny_study: Callable[..., Study],
    tiny_samples: Callable[..., Samples],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, samples = tiny_study(), tiny_samples()
    splits = splits_by_protocol(samples, study.split, study.seed)
    facts = {"paper": SplitFacts(splits["paper"].split_hash, ())}
    programs = [{"version": "1", "commit": c, "clean": True} for c in ("a", "b", "b", "a")]
    for each in programs:
        monkeypatch.setattr(study_folder, "program", lambda each=each: each)
        write_study(folder, study, samples, splits, facts)
    stored = read_study(folder).provenance
    assert stored is not None
    assert [each["commit"] for each in stored["programs"]] == ["b", "a"]
