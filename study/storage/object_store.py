"""A folder in an object store that writes conditionally: one request for each operation.

`obstore` reaches S3 and Google Cloud Storage. pyarrow, which reaches more kinds of stores, has no
conditional write, asks twice before it reads and three times to write, and its listings do not
tell versions apart.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from study.errors import RequestError
from study.storage.folder import total_bytes

AT_A_TIME = 32
"""Requests that are on their way at the same time."""
PAGE = 1000
SINGLE_BYTES = 2**26
"""What is larger is uploaded in parts."""
RETRY_SECONDS = 900
"""How long a store that throttles or does not answer is asked again."""
REQUEST_SECONDS = 120
CREATE_TRIES = 5
"""Conditional writes that no answer comes to in time."""
OPTIONS = ("endpoint_override", "region", "scheme")


class StoreFolder:
    """A folder in a bucket.

    Args:
        store: obstore's, of the whole bucket.
        root: the folder's key.
        uri: what opens it again.
    """

    def __init__(self, store: Any, root: str, uri: str) -> None:
        self._store, self._root = store, root.strip("/")
        address, mark, query = uri.partition("?")
        self._uri, self._query = address.rstrip("/"), mark + query

    def __reduce__(self) -> tuple[Any, ...]:
        """Credentials and connections are each process's own."""
        return open_store, (self.locate(),)

    def _key(self, *parts: str) -> str:
        return "/".join(part.strip("/") for part in (self._root, *parts) if part.strip("/"))

    def read(self, path: str) -> bytes:
        """See `Folder.read`."""
        with _translated_errors():
            return bytes(self._store.get(self._key(path)).bytes())

    def write(self, path: str, content: bytes) -> None:
        """See `Folder.write`."""
        with _translated_errors():
            self._store.put(self._key(path), content, use_multipart=len(content) > SINGLE_BYTES)

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """See `Folder.write_all`; a store has no step that replaces several files."""
        _each(lambda path: self.write(path, files[path]), files)

    def create(self, path: str, content: bytes) -> bool:
        """See `Folder.create`; the client itself does not ask again what may have been done."""
        until = time.monotonic() + RETRY_SECONDS
        for _ in range(CREATE_TRIES - 1):
            try:
                return self._create(path, content)
            except OSError:
                if time.monotonic() > until:
                    raise
        return self._create(path, content)

    def _create(self, path: str, content: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError

        try:
            with _translated_errors():
                self._store.put(self._key(path), content, mode="create")
        except AlreadyExistsError:
            with contextlib.suppress(FileNotFoundError):  # deleted again by now
                # Where the answer to the first try was lost, the second finds what that wrote.
                return self.read(path) == content
            return False
        return True

    def versions(self, path: str = "", after: str = "", until: str = "") -> dict[str, str]:
        """See `Folder.versions`."""
        below = self._key(path)
        start = len(below) + 1 if below else 0
        versions: dict[str, str] = {}
        offset = f"{below}/{after}" if after else None
        with _translated_errors():
            for page in self._store.list(below or None, offset=offset, chunk_size=PAGE):
                for entry in page:
                    name = entry["path"][start:]
                    if until and name > until:
                        return versions
                    if not name:  # another program's marker of the folder itself
                        continue
                    versions[name] = f"{entry['size']} {entry['e_tag'] or entry['last_modified']}"
        return versions

    def names(self, path: str = "") -> list[str]:
        """See `Folder.names`."""
        with _translated_errors():
            listed = self._store.list_with_delimiter(self._key(path) or None)
        keys = [*listed["common_prefixes"], *(entry["path"] for entry in listed["objects"])]
        return sorted(key.rpartition("/")[2] for key in keys)

    def exists(self, path: str) -> bool:
        """See `Folder.exists`."""
        try:
            with _translated_errors():
                self._store.head(self._key(path))
        except FileNotFoundError:
            return any(entry["path"] != self._key(path) for entry in self._first_page(path))
        return True

    def remove(self, path: str) -> None:
        """See `Folder.remove`; the deepest first, as `move` does."""
        self._delete(self.versions(path) or [""], path)

    def _delete(self, ends: Iterable[str], path: str) -> None:
        """Delete files below `path`, or with the end "" the file `path`, the deepest first.

        Where that is interrupted, what is nearest to the root, which names what the rest
        belongs to, is still there.
        """
        for _, level in groupby(sorted(ends, key=_depth, reverse=True), key=_depth):
            keys = [self._key(path, end) for end in level]
            try:
                with _translated_errors():
                    self._store.delete(keys)
            except FileNotFoundError:  # not S3: some say so, and leave the others
                for key in keys:
                    with contextlib.suppress(FileNotFoundError), _translated_errors():
                        self._store.delete(key)

    def size(self, path: str = "") -> int:
        """See `Folder.size`."""
        return total_bytes(self.versions(path))

    def sweep(self) -> None:
        """See `Folder.sweep`: a store shows no unfinished file."""

    def move(self, source: str, target: str) -> None:
        """See `Folder.move`: copies all files, then deletes them."""
        ends = list(self.versions(source))

        def copy(end: str) -> None:
            with _translated_errors():
                self._store.copy(self._key(source, end), self._key(target, end))

        def copy_below(end: str) -> None:
            with contextlib.suppress(FileNotFoundError):  # another program's marker of a folder
                copy(end)

        if ends:
            _each(copy_below, ends)
        else:
            copy("")
        self._delete(ends or [""], source)

    def folder(self, path: str) -> "StoreFolder":
        """See `Folder.folder`."""
        return StoreFolder(self._store, self._key(path), self.locate(path))

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`; a query, which names an endpoint, stays at the end."""
        return f"{self._uri}/{path}".rstrip("/") + self._query

    def check(self) -> None:
        """See `Folder.check`; a store that does not answer is not asked again here."""
        bucket, root = _address(self._uri)
        once = StoreFolder(_connect(self.locate(), retry_seconds=0), root, self.locate())
        try:
            once._first_page("")
        except OSError as error:
            if "NoSuchBucket" in str(error):
                raise FileNotFoundError(f"there is no bucket {bucket}") from None
            raise

    def _first_page(self, path: str) -> list[Any]:
        """Return what is listed first below a path."""
        with _translated_errors():
            return list(next(iter(self._store.list(self._key(path) or None, chunk_size=PAGE)), []))


def open_store(location: str) -> StoreFolder:
    """Return the folder at the URI of an object store; the store is not asked yet.

    Raises:
        RequestError: the URI names no bucket, or an option that there is not.
    """
    return StoreFolder(_connect(location), _address(location)[1], location)


def _address(location: str) -> tuple[str, str]:
    """Return the bucket and the key of a URI."""
    bucket, _, key = location.partition("://")[2].partition("?")[0].partition("/")
    return bucket, unquote(key)


def _options(location: str) -> dict[str, str]:
    return dict(parse_qsl(location.partition("?")[2], keep_blank_values=True))


def _endpoint(options: Mapping[str, str]) -> str | None:
    endpoint = options.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{options.get('scheme') or 'https'}://{endpoint}"
    return endpoint or None


def endpoint_url(location: str) -> str | None:
    """Return the endpoint that a URI names, with its scheme; None if it names none."""
    return _endpoint(_options(location))


def _connect(location: str, retry_seconds: int = RETRY_SECONDS) -> Any:
    scheme = location.partition("://")[0]
    options = _options(location)
    bucket = _address(location)[0]
    if not bucket:
        raise RequestError(f"{location}: names no bucket")
    for name in options.keys() - set(OPTIONS):
        raise RequestError(f"{location}: has no option {name}; there are {', '.join(OPTIONS)}")
    settings: dict[str, Any] = {
        "client_options": {"timeout": f"{REQUEST_SECONDS}s"},
        "retry_config": {
            "max_retries": retry_seconds,  # the seconds are what ends it
            "retry_timeout": timedelta(seconds=retry_seconds),
        },
    }
    return _s3(bucket, options, settings) if scheme == "s3" else _gcs(bucket, settings)


def _s3(bucket: str, options: Mapping[str, str], settings: dict[str, Any]) -> Any:
    from obstore.store import S3Store

    provider = _profile()
    region = (
        options.get("region")
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or (provider and provider.config.get("region"))
    )
    endpoint = _endpoint(options)
    by_environment = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if (endpoint or by_environment or "").startswith("http://"):
        settings["client_options"]["allow_http"] = True
    if endpoint:
        settings["endpoint"] = endpoint
    if not region and not (endpoint or by_environment):
        region = _region(bucket)
    if region:
        settings["region"] = region
    return S3Store(bucket, credential_provider=provider, **settings)


def _gcs(bucket: str, settings: dict[str, Any]) -> Any:
    from obstore.store import GCSStore

    return GCSStore(bucket, **settings)


def _profile() -> Any:
    """Return what reads AWS's own files and profiles; None where the environment or a role will do.

    Raises:
        RequestError: a profile is named, and boto3, which reads it, is not installed.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    is_named = bool(os.environ.get("AWS_PROFILE"))
    if not is_named and not (Path.home() / ".aws").is_dir():
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        if is_named:
            raise RequestError('AWS_PROFILE: needs boto3; pip install -e ".[aws]"') from None
        return None
    try:
        return Boto3CredentialProvider()
    except ValueError:  # the files hold no credentials
        return None


@functools.cache
def _region(bucket: str) -> str | None:
    """Return the region of a bucket of AWS's, which answers only there; None if nobody says."""
    from pyarrow.fs import resolve_s3_region

    with contextlib.suppress(OSError):
        return str(resolve_s3_region(bucket))
    return None


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate obstore's errors to those of a disk: OSError, in a line."""
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        yield
    except AlreadyExistsError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(_line(error)) from None
    except (BaseError, PermissionError) as error:
        raise OSError(_line(error)) from None


def _line(error: Exception) -> str:
    """Return a store's message, without what is for those who mend its client."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())


def _each(work: Callable[[str], object], parts: Iterable[str]) -> None:
    with ThreadPoolExecutor(AT_A_TIME) as workers:
        list(workers.map(work, parts))


def _depth(path: str) -> int:
    return path.count("/")
