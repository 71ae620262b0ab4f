import errno
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from study.data import mitbih, wafer
from study.data.fetch import Download, Member, extract_members, fetch_files
from study.data.mitbih_records import published_digests
from study.errors import RequestError, StudyFailedError

CONTENT = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def quiet(*_: object) -> None:
    pass


@pytest.fixture
def wanted(server, tmp_path):
    server.files["/a.dat"] = CONTENT
    return Download(url=f"{server.url}/a.dat", path=tmp_path / "in" / "a.dat", sha256=DIGEST)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_file_is_fetched_once(wanted, server):
    told = []
    assert fetch_files([wanted], lambda *step: told.append(step)) == 1
    assert wanted.path.read_bytes() == CONTENT
    assert fetch_files([wanted], quiet) == 0
    assert server.requests == [("/a.dat", "")]
    assert told == [("a.dat", 0, 1), ("", 1, 1)]
    assert [path.name for path in wanted.path.parent.iterdir()] == ["a.dat"]


def test_a_wrong_file_on_disk_is_replaced(wanted):
    wanted.path.parent.mkdir()
    wanted.path.write_bytes(CONTENT[:-1])
    assert fetch_files([wanted], quiet) == 1
    assert wanted.path.read_bytes() == CONTENT


def test_an_interrupted_download_continues_where_it_stopped(wanted, server):
    server.break_after["/a.dat"] = 100_000
    with pytest.raises(StudyFailedError, match=r"a\.dat: .*ended early.*same command continues"):
        fetch_files([wanted], quiet)
    assert not wanted.path.exists()
    part = wanted.path.with_name("a.dat.part")
    assert part.read_bytes() == CONTENT[:300_000]
    server.break_after.clear()
    assert fetch_files([wanted], quiet) == 1
    assert wanted.path.read_bytes() == CONTENT
    asked = [range_ for _, range_ in server.requests]
    assert asked == ["", "bytes=100000-", "bytes=200000-", "bytes=300000-"]


@pytest.mark.parametrize(
    ("part", "ranges", "asked"),
    [
        (CONTENT[:1000], False, ["bytes=1000-"]),
        (CONTENT, True, []),
        (CONTENT + b"more", True, ["bytes=512004-", ""]),
    ],
    ids=["a server without ranges", "a complete part", "a part longer than the file"],
)
def test_a_part_that_cannot_be_continued_ends_as_the_file(wanted, server, part, ranges, asked):
    server.ranges = ranges
    wanted.path.parent.mkdir()
    wanted.path.with_name("a.dat.part").write_bytes(part)
    fetch_files([wanted], quiet)
    assert wanted.path.read_bytes() == CONTENT
    assert [range_ for _, range_ in server.requests] == asked


def test_a_wrong_checksum_is_refused(wanted, server):
    server.files["/a.dat"] = CONTENT[:-1] + b"?"
    with pytest.raises(RequestError, match=r"a\.dat: expected the published sha256 .* found"):
        fetch_files([wanted], quiet)
    assert list(wanted.path.parent.iterdir()) == []


def test_too_much_is_refused(wanted, server):
    bounded = Download(url=wanted.url, path=wanted.path, largest=1000)
    with pytest.raises(RequestError, match="at most 1000 bytes"):
        fetch_files([bounded], quiet)
    assert list(wanted.path.parent.iterdir()) == []


def test_a_missing_address_is_named(server, tmp_path):
    missing = Download(url=f"{server.url}/none", path=tmp_path / "none")
    with pytest.raises(StudyFailedError, match=r"/none: could not be fetched \(HTTP status 404\)"):
        fetch_files([missing], quiet)


def test_a_server_that_is_not_there_is_named(tmp_path):
    missing = Download(url="http://127.0.0.1:9/a", path=tmp_path / "a")
    with pytest.raises(StudyFailedError, match=r"127\.0\.0\.1:9/a: could not be fetched"):
        fetch_files([missing], quiet)


def test_a_folder_that_cannot_be_written_is_named(wanted, tmp_path):
    (tmp_path / "in").write_text("a file")
    with pytest.raises(RequestError, match=r"expected a folder that can be written"):
        fetch_files([wanted], quiet)


def test_mitbih_fetches_what_is_missing_and_nothing_else(server, real_mitdb, tmp_path):
    folder = tmp_path / "mitdb"
    folder.mkdir()
    for name in published_digests():
        (folder / name).symlink_to(real_mitdb / name)
    (folder / "100.hea").unlink()
    (folder / "234.atr").unlink()
    for name in ("100.hea", "234.atr"):
        server.files[f"/{name}"] = (real_mitdb / name).read_bytes()
    lines = mitbih.fetch(tmp_path, server.url + "/", quiet)
    assert lines == [f"{folder}: 2 files fetched, 142 were there and right"]
    assert [path for path, _ in server.requests] == ["/100.hea", "/234.atr"]
    assert (folder / "100.hea").read_bytes() == (real_mitdb / "100.hea").read_bytes()


@pytest.mark.slow
def test_wafer_is_unpacked_verified_and_then_left_alone(server, real_wafer, tmp_path):
    data = tmp_path / "deep" / "data"
    files = {"README.md": b"text", "../evil.tsv": b"1\t2\n"}
    for stem in wafer.COUNTS:
        files[f"{stem}.tsv"] = (real_wafer / "wafer" / f"{stem}.tsv").read_bytes()
    server.files["/Wafer.zip"] = zipped(files)
    url = f"{server.url}/Wafer.zip"
    assert len(wafer.fetch(data, url, quiet)) == 2
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"deep/data/wafer/Wafer_TRAIN.tsv", "deep/data/wafer/Wafer_TEST.tsv"}
    assert "nothing to fetch" in wafer.fetch(data, url, quiet)[0]
    assert len(server.requests) == 1


def test_a_zip_with_wrong_content_changes_nothing(server, real_wafer, tmp_path):
    training = (real_wafer / "wafer" / "Wafer_TRAIN.tsv").read_bytes()
    server.files["/Wafer.zip"] = zipped({"Wafer_TRAIN.tsv": training, "Wafer_TEST.tsv": training})
    with pytest.raises(RequestError, match=r"Wafer_TEST\.tsv: expected 5499 rows"):
        wafer.fetch(tmp_path, f"{server.url}/Wafer.zip", quiet)
    assert list((tmp_path / "wafer").iterdir()) == []


@pytest.mark.parametrize("prefix", ["", "Wafer/", "../../"])
def test_members_are_taken_out_of_any_folder_of_a_zip_and_written_to_one(tmp_path, prefix):
    archive, folder = tmp_path / "deep" / "a.zip", tmp_path / "deep" / "data"
    folder.mkdir(parents=True)
    archive.write_bytes(zipped({f"{prefix}README.md": b"text", f"{prefix}a.tsv": CONTENT}))
    members = [Member(stem="a", extensions=(".tsv",), largest=10**7, verify=lambda path: None)]
    assert extract_members(archive, folder, members) == [folder / "a.tsv"]
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert written - {archive.relative_to(tmp_path)} == {Path("deep/data/a.tsv")}


def test_an_answer_that_is_no_zip_is_refused_and_forgotten(server, tmp_path):
    server.files["/Wafer.zip"] = b"<html>not here</html>"
    with pytest.raises(RequestError, match=r"Wafer\.zip: expected a zip"):
        wafer.fetch(tmp_path, f"{server.url}/Wafer.zip", quiet)
    assert list((tmp_path / "wafer").iterdir()) == []


COMPRESSION_IN_HEAD, COMPRESSION_IN_DIRECTORY = 8, 10
"""Where an entry's two heads in a zip say how it is compressed."""


@pytest.mark.parametrize("damage", ["one byte", "unknown compression"])
def test_a_damaged_zip_is_refused(tmp_path, damage):
    content = bytearray(zipped({"a.tsv": CONTENT}))
    if damage == "one byte":
        content[200] ^= 255
    else:
        content[COMPRESSION_IN_HEAD] = 99
        content[content.index(b"PK\x01\x02") + COMPRESSION_IN_DIRECTORY] = 99
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    members = [Member(stem="a", extensions=(".tsv",), largest=10**7, verify=lambda path: None)]
    with pytest.raises(RequestError, match=r"a\.zip: expected a zip, found a damaged file"):
        extract_members(archive, tmp_path, members)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_zip_with_a_bit_turned_is_right_or_refused(tmp_path):
    content, archive = zipped({"a.tsv": CONTENT[:300]}), tmp_path / "a.zip"

    def verify(path):
        if path.read_bytes() != CONTENT[:300]:
            raise RequestError("other bytes")

    members = [Member(stem="a", extensions=(".tsv",), largest=1000, verify=verify)]
    refused = 0
    for position in range(0, 8 * len(content), 3):  # each byte, and each bit of some
        turned = bytearray(content)
        turned[position // 8] ^= 1 << position % 8
        archive.write_bytes(turned)
        try:
            (found,) = extract_members(archive, tmp_path, members)
            assert found.read_bytes() == CONTENT[:300]
        except RequestError:
            refused += 1
            assert not archive.exists()
    assert refused > len(content)


def test_a_full_disk_is_no_damaged_zip(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"a.tsv": CONTENT}))

    def verify(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    members = [Member(stem="a", extensions=(".tsv",), largest=10**7, verify=verify)]
    with pytest.raises(OSError, match="No space"):
        extract_members(archive, tmp_path, members)
    assert archive.exists()


@pytest.mark.parametrize(("stem", "largest"), [("b", 10**7), ("a", 1000)])
def test_a_missing_or_too_large_member_is_refused(tmp_path, stem, largest):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"a.tsv": CONTENT}))
    members = [Member(stem=stem, extensions=(".tsv",), largest=largest, verify=lambda path: None)]
    with pytest.raises(RequestError, match=r"a\.zip: expected"):
        extract_members(archive, tmp_path, members)
