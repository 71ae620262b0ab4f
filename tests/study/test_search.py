from collections.abc import Callable
from pathlib import Path

from study.definition import Study
from study.search import SearchState
from study.storage import LocalFolder


def test_what_goes_wrong_while_a_trial_is_written_down_is_kept_for_the_end(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    results = LocalFolder(tmp_path)
    results.write("ledger", b"a file where the ledger's folder should be")
    ended: list[object] = []
    state = SearchState(tiny_study(), results, {}, {}, lambda *_: None, ended.append)
    state.parameters[0] = {}
    state.conclude(0)
    assert state.lost == {0}
    assert [type(error) for error in state.errors] == [NotADirectoryError]
    assert not ended
    assert not state.ended
