import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore

from study.errors import RequestError
from study.storage import object_store
from study.storage.arrow_folder import ArrowFolder
from study.storage.folder import Folder, LocalFolder, open_folder, reach_folder
from tests.s3_server import S3Server


def test_what_is_written_is_read(folder: Folder) -> None:
    for content in (b"", b"a", bytes(range(256)) * 5000):
        folder.write("f.bin", content)
        assert folder.read("f.bin") == content


def test_parents_appear_when_needed(folder: Folder) -> None:
    folder.write("a/b/c.txt", b"x")
    assert folder.read("a/b/c.txt") == b"x"
    assert folder.folder("a").folder("b").read("c.txt") == b"x"
    assert folder.folder("a/b").names() == ["c.txt"]


def test_a_missing_file_raises_and_is_no_error_to_remove(folder: Folder) -> None:
    for path in ("none", "no/such/file"):
        with pytest.raises(FileNotFoundError):
            folder.read(path)
        assert not folder.exists(path)
        assert folder.names(path) == []
        folder.remove(path)


def test_names_are_sorted_and_direct(folder: Folder) -> None:
    for name in ("b", "a", "c10", "c9", ".hidden"):
        folder.write(name, b"")
    assert folder.names() == sorted(["b", "a", "c10", "c9", ".hidden"])


def test_removing_takes_files_and_whole_folders(folder: Folder) -> None:
    for path in ("a/x", "a/b/y", "z"):
        folder.write(path, b"1")
    folder.remove("z")
    folder.remove("a")
    assert folder.names() == []
    assert not folder.exists("a/b/y")


def test_a_folder_removes_itself(folder: Folder) -> None:
    folder.write("a/x", b"1")
    inner = folder.folder("a")
    inner.remove("")
    assert not folder.exists("a")
    inner.remove("")


def test_moving_takes_everything_along(folder: Folder) -> None:
    folder.write("a/b/x", b"1")
    folder.move("a", "c")
    assert folder.read("c/b/x") == b"1"
    assert not folder.exists("a")
    assert folder.names() == ["c"]


def test_moving_a_file_takes_only_that_one(folder: Folder) -> None:
    for path in ("a/x", "a/xy"):
        folder.write(path, path.encode())
    folder.move("a/x", "b/c/z")
    assert folder.read("b/c/z") == b"a/x"
    assert folder.names("a") == ["xy"]


def test_sizes_are_of_all_files_below(folder: Folder) -> None:
    assert folder.size() == folder.size("none") == 0
    folder.write_all({"a": b"12", "b/c": b"345"})
    assert (folder.size(), folder.size("b")) == (5, 3)
    folder.check()
    folder.sweep()
    assert folder.names() == ["a", "b"]


def test_a_file_is_created_once_and_by_one(folder: Folder) -> None:
    """It is true for the same content too: the answer to a first try may have been lost."""
    if isinstance(folder, ArrowFolder):
        assert [folder.create("a/f", content) for content in (b"1", b"2")] == [True, False]
        return
    with ThreadPoolExecutor(8) as writers:
        contents = [str(number).encode() for number in range(8)]
        created = list(writers.map(lambda content: folder.create("a/f", content), contents))
    assert created.count(True) == 1
    kept = folder.read("a/f")
    assert kept == contents[created.index(True)]
    assert folder.create("a/f", kept)
    assert not folder.create("a/f", b"other")
    assert folder.names("a") == ["f"]


def test_a_store_tells_versions_apart_and_a_disk_does_not(store: S3Server, tmp_path: Path) -> None:
    assert LocalFolder(tmp_path).versions() is None
    folder = open_folder(store.uri("versions"))
    folder.write_all({f"{name}/{inner}": b"1" for name in "abc" for inner in "xy"})
    before = folder.versions()
    assert before is not None
    folder.write("b/x", b"2")
    after = folder.versions()
    assert after is not None
    assert list(after) == [f"{name}/{inner}" for name in "abc" for inner in "xy"]
    assert [path for path in after if after[path] != before[path]] == ["b/x"]
    assert list(folder.versions("", "a/x", "b/x") or ()) == ["a/y", "b/x"]
    assert list(folder.versions("b") or ()) == ["x", "y"]


def test_every_operation_of_a_store_is_a_request(store: S3Server) -> None:
    folder = open_folder(store.uri("counted"))
    operations: dict[str, tuple[Callable[[], object], int]] = {
        "write": (lambda: folder.write("a/f", b"1"), 1),
        "create": (lambda: folder.create("a/g", b"1"), 1),
        "read": (lambda: folder.read("a/f"), 1),
        "exists": (lambda: folder.exists("a/f"), 1),
        "names": (lambda: folder.names("a"), 1),
        "versions": (lambda: folder.versions("a"), 1),
        "size": (lambda: folder.size("a"), 1),
        "remove": (lambda: folder.remove("a"), 2),
    }
    for name, (operation, expected) in operations.items():
        before = len(store.requests)
        operation()
        assert len(store.requests) - before == expected, name


def test_a_store_reopens_in_another_process(store: S3Server) -> None:
    folder = open_folder(store.uri("pickled"))
    folder.write("f", b"1")
    assert pickle.loads(pickle.dumps(folder)).read("f") == b"1"


def test_locations_are_below_the_folders(folder: Folder) -> None:
    address, mark, query = folder.locate().partition("?")
    assert folder.locate("a/b") == f"{address}/a/b{mark}{query}"
    assert folder.folder("a").locate("b") == folder.locate("a/b")
    assert folder.folder("a").locate() == folder.locate("a")


def test_a_disk_holds_nothing_but_the_file_after_a_write(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for content in (b"first", b"second"):
        folder.write("f", content)
    assert os.listdir(tmp_path) == ["f"]  # noqa: PTH208 - hidden files must show


def test_a_failed_write_leaves_the_old_and_no_draft(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("f/inside", b"old")
    with pytest.raises(OSError, match="f"):
        folder.write("f", b"new")
    with pytest.raises(TypeError):
        folder.write("g", "text")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["f"]  # noqa: PTH208
    assert folder.read("f/inside") == b"old"


def test_a_draft_of_a_killed_writer_is_no_file(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("f", b"1")
    (tmp_path / ".f.0123.tmp").write_bytes(b"half")
    assert folder.names() == ["f"]


@pytest.mark.parametrize("location", [str, Path.as_uri])
def test_a_path_and_a_file_uri_open_the_same_folder(
    location: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = open_folder(location(tmp_path))
    folder.write("a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert folder.locate("a") == str(tmp_path / "a")


def test_a_file_uri_with_a_space_means_that_path(tmp_path: Path) -> None:
    spaced = tmp_path / "a b"
    open_folder(spaced.as_uri()).write("f", b"1")
    assert (spaced / "f").read_bytes() == b"1"


def test_other_schemes_go_through_pyarrow() -> None:
    folder = open_folder("mock:///some/place")
    assert isinstance(folder, ArrowFolder)
    assert folder.locate("x") == "mock:///some/place/x"


def test_a_location_opens_its_folder_again(store: S3Server) -> None:
    folder = open_folder(store.uri("located/a%20b"))
    folder.write("inner/f", b"1")
    assert open_folder(folder.locate("inner")).read("f") == b"1"
    assert store.below("located") == {"located/a b/inner/f": b"1"}


def test_a_store_is_reached_by_uri_or_environment(
    store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach_folder(store.uri("one")).write("f", b"1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    assert reach_folder(f"s3://{store.bucket}/one").read("f") == b"1"
    with pytest.raises(RequestError, match="there is no bucket other"):
        reach_folder(store.uri("one", bucket="other"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    with pytest.raises(RequestError, match="AccessDenied"):
        reach_folder(store.uri("one"))


def test_an_interrupted_move_keeps_what_the_rest_belongs_to(
    store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_folder(store.uri("moved"))
    paths = ("study/study.yaml", "study/ledger/t/trial.json", "study/ledger/t/fold/manifest.json")
    for path in paths:
        folder.write(path, path.encode())
    delete = folder._store.delete  # type: ignore[attr-defined]

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(store_of_bucket, name)

        def delete(self, paths: list[str]) -> None:
            if any(path.endswith("trial.json") for path in paths):
                raise KeyboardInterrupt
            delete(paths)

    store_of_bucket = folder._store  # type: ignore[attr-defined]
    monkeypatch.setattr(folder, "_store", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        folder.move("study", "aside")
    assert set(store.below("moved/study/")) == {f"moved/{path}" for path in paths[:2]}
    assert len(store.below("moved/aside/")) == 3


@pytest.mark.parametrize(
    "location",
    [
        "s3://AKIA:planted@bucket/x",
        "s3://AKIA:pla/planted@bucket/x",
        "s3://bucket/x?secret_key=planted",
        "s3://bucket/x?endpoint_override=somebody:planted%40host",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(location: str) -> None:
    with pytest.raises(RequestError, match="must hold no credentials") as refused:
        open_folder(location)
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize("location", ["nothing://a/b", "s3:///x", "s3://bucket/x?bogus=1"])
def test_a_uri_that_leads_nowhere_is_refused(location: str) -> None:
    with pytest.raises(RequestError):
        open_folder(location)


def test_opening_creates_nothing(tmp_path: Path) -> None:
    open_folder(str(tmp_path / "later"))
    assert not (tmp_path / "later").exists()


def test_markers_of_folders_that_others_leave_in_a_store_are_no_files(store: S3Server) -> None:
    """As pyarrow makes them: empty objects whose names end with a slash."""
    folder = open_folder(store.uri("marked"))
    folder.write("old/ledger/a.json", b"a")
    for marker in ("old", "old/tune", "alone"):
        store.buckets["bucket"][f"marked/{marker}/"] = b""
    assert not folder.exists("alone")
    assert "" not in (folder.versions("old") or {})
    folder.move("old", "new")
    assert folder.read("new/ledger/a.json") == b"a"
    assert not folder.exists("old/ledger")


def test_what_is_created_is_created_once_if_the_answer_is_lost(
    store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "REQUEST_SECONDS", 0.5)
    folder = open_folder(store.uri("lost"))
    store.lost_answers = 1
    assert folder.create("a.json", b"own")
    assert not folder.create("a.json", b"other")
    assert folder.read("a.json") == b"own"


def test_a_store_that_complains_of_missing_files_removes_the_others(tmp_path: Path) -> None:
    folder = object_store.StoreFolder(LocalStore(str(tmp_path)), "root", "gs://bucket/root")
    folder.remove("none")
    for name in ("a/x", "a/z"):
        folder.write(name, b"1")
    folder._delete(["x", "y", "z"], "a")
    assert folder.versions() == {}
