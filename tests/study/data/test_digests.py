import hashlib
import json
import os

import pytest

from study.data.digests import source_digests, source_sha256
from study.errors import RequestError


def made(path, content: bytes):
    path.write_bytes(content)
    return path


# Files of a test are new: with this they count as at rest.
AT_ONCE = -10.0


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_digests_are_in_the_order_of_the_paths(tmp_path):
    paths = [made(tmp_path / name, name.encode()) for name in ("b", "a", "c")]
    assert source_digests(paths, None) == [sha256(name) for name in (b"b", b"a", b"c")]
    assert source_digests([], tmp_path) == []


def test_remembered_digests_are_used_while_the_file_is_unchanged(tmp_path):
    path = made(tmp_path / "a", b"one")
    source_digests([path], tmp_path, AT_ONCE)
    (memo,) = (tmp_path / "digests").iterdir()
    stored = json.loads(memo.read_text())
    (key,) = stored["files"]
    files = {key: "f" * 64}
    text = json.dumps(files, sort_keys=True).encode()
    memo.write_text(json.dumps({"files": files, "sha256": sha256(text)}))
    assert source_digests([path], tmp_path, AT_ONCE) == ["f" * 64]
    # Same size and, forged, the same time of modification: still seen.
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert source_digests([path], tmp_path, AT_ONCE) == [sha256(b"two")]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"files": {}, "sha256": "x"}'])
def test_a_damaged_memo_remembers_nothing(tmp_path, content):
    path = made(tmp_path / "a", b"one")
    source_digests([path], tmp_path, AT_ONCE)
    (memo,) = (tmp_path / "digests").iterdir()
    memo.write_text(content)
    assert source_digests([path], tmp_path, AT_ONCE) == [sha256(b"one")]


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path):
    path = made(tmp_path / "a", b"one")
    source_digests([path], tmp_path)
    (memo,) = (tmp_path / "digests").iterdir()
    assert json.loads(memo.read_text())["files"] == {}


def test_a_memo_that_cannot_be_written_is_done_without(tmp_path):
    path = made(tmp_path / "a", b"one")
    assert source_digests([path], path) == [sha256(b"one")]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RequestError, match="nothing: expected a readable file"):
        source_sha256(tmp_path / "nothing")
    with pytest.raises(RequestError, match="nothing: expected a readable file"):
        source_digests([tmp_path / "nothing"], None)
