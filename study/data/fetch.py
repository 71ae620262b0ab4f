"""Downloads that continue where they stopped and are verified before they take a name."""

import errno
import http.client
import lzma
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from study.data.digests import source_sha256
from study.errors import RequestError, StudyFailedError
from study.storage.durable import replace_all

Progress = Callable[[str, int, int], None]
"""Called with a file's name, how many files are done and how many there are."""

_CHUNK = 2**18
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 60
_LARGEST_DEFAULT = 64 * 2**20
# A head that names an encryption or an unknown compression is a RuntimeError of zipfile's.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
# An offset before the file's start, and bzip2's own: those of a disk have other numbers.
_DAMAGE_NUMBERS = (errno.EINVAL, None)


@dataclass(frozen=True)
class Download:
    """A file to fetch.

    Attributes:
        url: where it is.
        path: where it goes.
        sha256: its published digest (hex), None if none is published.
        largest: bytes after which the download is refused.
    """

    url: str
    path: Path
    sha256: str | None = None
    largest: int = _LARGEST_DEFAULT


@dataclass(frozen=True)
class Member:
    """A file to take out of a zip.

    Attributes:
        stem: its name without extension.
        extensions: the extensions it may have, the best first.
        largest: bytes it may have unpacked.
        verify: raises RequestError if the file at a path is not right.
    """

    stem: str
    extensions: Sequence[str]
    largest: int
    verify: Callable[[Path], object]


def fetch_files(downloads: Sequence[Download], progress: Progress) -> int:
    """Fetch what is not on disk and verified; return how many files were fetched.

    A file without a published digest counts as not there. What was downloaded before
    an interruption stays in `<name>.part`, and the next call continues it.

    Raises:
        RequestError: a folder cannot be written, or a file is not the published one.
        StudyFailedError: the server could not be reached or broke off.
    """
    fetched = 0
    for done, item in enumerate(downloads):
        progress(item.path.name, done, len(downloads))
        if _is_verified(item.path, item.sha256):
            continue
        try:
            item.path.parent.mkdir(parents=True, exist_ok=True)
            _fetch_file(item)
        # HTTP errors are OSErrors too, but are handled in `_download`.
        except OSError as error:
            raise RequestError(
                f"{item.path}: expected a folder that can be written, found "
                f"{error.strerror or error}: choose another with --data"
            ) from error
        fetched += 1
    progress("", len(downloads), len(downloads))
    return fetched


def _is_verified(path: Path, sha256: str | None) -> bool:
    return sha256 is not None and path.is_file() and source_sha256(path) == sha256


def _fetch_file(item: Download) -> None:
    """Download one file to `<name>.part`, verify it and give it its name."""
    part = item.path.with_name(item.path.name + ".part")
    if not _is_verified(part, item.sha256):
        _download(item, part)
    if item.sha256 is not None and not _is_verified(part, item.sha256):
        digest = source_sha256(part)
        size = part.stat().st_size
        part.unlink()
        raise RequestError(
            f"{item.path}: expected the published sha256 {item.sha256[:12]}... from {item.url}, "
            f"found {digest[:12]}... ({size} bytes): run the same command again or check the URL"
        )
    replace_all({part: item.path})


def _download(item: Download, part: Path) -> None:
    """Append to `part` until the server has no more, in a few attempts."""
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            if _receive(item, part):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            reason = f"HTTP status {error.code}"
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The part is no beginning of what the server has.
                part.unlink(missing_ok=True)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        except ConnectionError as error:
            reason = error.strerror or type(error).__name__
        except ValueError as error:
            raise RequestError(
                f"--url: expected a URL, found {item.url!r} ({error}): correct it"
            ) from error
    raise StudyFailedError(
        f"{item.url}: could not be fetched ({reason}): the same command continues the download"
    )


def _receive(item: Download, part: Path) -> bool:
    """Receive what `part` lacks; return whether it is complete now."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(item.url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        continued = response.status == http.client.PARTIAL_CONTENT and (
            response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        )
        have = have if continued else 0
        announced = response.headers.get("Content-Length")
        with part.open("ab" if continued else "wb") as file:
            received = 0
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                if have + received > item.largest:
                    break
                file.write(chunk)
    if have + received > item.largest:
        part.unlink()
        raise RequestError(
            f"{item.url}: expected at most {item.largest} bytes, found more: check the URL"
        )
    return announced is None or received == int(announced)


def extract_members(archive: Path, folder: Path, members: Sequence[Member]) -> list[Path]:
    """Take `members` out of a zip into `folder`, each verified before it takes its name.

    Only file names are compared, so no entry decides where it is written.

    Raises:
        RequestError: the zip is damaged (it is removed, so that it is fetched anew), lacks
            a member, or a member is too large or not right.
    """
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as temporary,
        ):
            unpacked = [_unpack(opened, member, Path(temporary)) for member in members]
            # All or none: a half right archive leaves the folder as it was.
            targets = {path: folder / path.name for path in unpacked}
            replace_all(targets)
            return list(targets.values())
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _DAMAGE_NUMBERS:
            raise
        archive.unlink(missing_ok=True)
        raise RequestError(
            f"{archive}: expected a zip, found a damaged file ({error}): run the same command "
            "again, it fetches the file anew"
        ) from error
    except RequestError:
        archive.unlink(missing_ok=True)
        raise


def _unpack(opened: zipfile.ZipFile, member: Member, folder: Path) -> Path:
    """Unpack and verify one member in `folder`; return its path there."""
    entries = {PurePosixPath(entry.filename).name: entry for entry in opened.infolist()}
    names = [f"{member.stem}{extension}" for extension in member.extensions]
    name = next((name for name in names if name in entries), None)
    if name is None:
        raise RequestError(
            f"{opened.filename}: expected {' or '.join(names)} in the zip, found "
            f"{', '.join(sorted(entries)[:10]) or 'nothing'}: check the URL"
        )
    if entries[name].file_size > member.largest:
        raise RequestError(
            f"{opened.filename}: expected {name} of at most {member.largest} bytes, found "
            f"{entries[name].file_size}: check the URL"
        )
    target = folder / name
    # A zip reader stops at the announced size, so the bound holds for a lying header too.
    with opened.open(entries[name]) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    member.verify(target)
    return target
