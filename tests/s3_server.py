"""An S3 server on this machine's loopback: buckets in memory, over HTTP, for tests.

It knows what S3's clients ask of a store of whole objects: listings, ranges, copies,
deletions, uploads in parts, and writes on condition that there is no such object. It holds an
access key's name against its own, and does not check signatures.
"""

import io
import re
import select
import socket
import threading
import time
import uuid
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ACCESS_KEY = "testing"
MOST_KEYS = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Objects(dict[str, bytes]):
    """Objects by key, whose keys are kept in order."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_in_order: list[str] = []

    def __setitem__(self, key: str, content: bytes) -> None:
        if key not in self:
            insort(self.keys_in_order, key)
        super().__setitem__(key, content)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self.keys_in_order[bisect_left(self.keys_in_order, key)]


class S3Server:
    """A server with one bucket.

    Attributes:
        bucket: its name.
        buckets: objects by bucket and key.
        requests: method, path and client of every request.
        delay_seconds: how long each answer takes.
        is_throttling: whether every request is answered by "slow down".
        lost_answers: so many objects are still to be stored whose writer hears nothing of it.
    """

    def __init__(self, bucket: str, delay_seconds: float = 0.0) -> None:
        self.bucket, self.delay_seconds = bucket, delay_seconds
        self.buckets: dict[str, Objects] = {bucket: Objects()}
        self.requests: list[tuple[str, str, str]] = []
        self.is_throttling = False
        self.lost_answers = 0
        self.writing = threading.Lock()
        self.uploads: dict[str, dict[int, bytes]] = defaultdict(dict)
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}"

    def uri(self, key: str, bucket: str = "") -> str:
        """Return the URI that names this server as well."""
        query = f"?endpoint_override={quote(self.host, safe='')}&scheme=http"
        return f"s3://{bucket or self.bucket}/{key}{query}"

    @property
    def objects(self) -> Objects:
        return self.buckets[self.bucket]

    def below(self, prefix: str) -> dict[str, bytes]:
        """Return what lies below a prefix, without markers of empty folders."""
        return {
            key: body
            for key, body in list(self.objects.items())
            if key.startswith(prefix) and not key.endswith("/")
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    store: S3Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms until its head is acknowledged

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # clients that were killed
            self.close_connection = True

    def _serve(self) -> None:
        address = urlsplit(self.path)
        bucket, _, key = unquote(address.path.lstrip("/")).partition("/")
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        body = self._body()
        self.store.requests.append((self.command, self.path, self.headers.get("User-Agent", "")))
        time.sleep(self.store.delay_seconds)
        if self.store.is_throttling:
            return self._fail(503, "SlowDown")
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
            return self._fail(403, "AccessDenied")
        if bucket not in self.store.buckets:
            return self._fail(404, "NoSuchBucket")
        objects = self.store.buckets[bucket]
        where = "object" if key else "bucket"
        getattr(self, f"_{self.command.lower()}_{where}")(objects, key, query, body)
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = _without_chunks(self.rfile)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            return _without_chunks(io.BytesIO(body))
        return body

    def _head_bucket(self, *_: Any) -> None:
        self._answer(200)

    def _get_bucket(self, objects: Objects, _: str, query: dict[str, str], __: bytes) -> None:
        if "location" in query:
            return self._xml("LocationConstraint", "")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("marker") or query.get("start-after")
        most = int(query.get("max-keys", MOST_KEYS))
        names: dict[str, bool] = {}
        keys, at = objects.keys_in_order, bisect_right(objects.keys_in_order, after or "")
        at = max(at, bisect_left(keys, prefix))
        while at < len(keys) and keys[at].startswith(prefix) and len(names) <= most:
            head, cut, _tail = keys[at][len(prefix) :].partition(delimiter or "\0")
            name, at = prefix + head + cut, at + 1
            if name > (after or ""):
                names[name] = bool(cut)
            if cut:  # what lies below is named once
                at = bisect_left(keys, prefix + head + chr(ord(cut) + 1), at)
        shown, rest = list(names)[:most], list(names)[most:]
        last = escape(shown[-1]) if shown else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>"
        entries = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if names[name]
            else f"<Contents><Key>{escape(name)}</Key><Size>{len(objects[name])}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{_tag(objects[name])}</ETag></Contents>"
            for name in shown
        ]
        more = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{token if rest else ''}"
        return self._xml(
            "ListBucketResult", f"{more}<KeyCount>{len(shown)}</KeyCount>{''.join(entries)}"
        )

    def _post_bucket(self, objects: Objects, _: str, query: dict[str, str], body: bytes) -> None:
        assert "delete" in query
        entries = ElementTree.fromstring(body).iter()
        deleted = [entry.text or "" for entry in entries if entry.tag.endswith("Key")]
        for key in deleted:
            if key in objects:
                del objects[key]
        shown = (f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in deleted)
        self._xml("DeleteResult", "".join(shown))

    def _head_object(self, objects: Objects, key: str, *_: Any) -> None:
        content = objects.get(key)
        if content is None:
            return self._fail(404, "NoSuchKey")
        return self._answer(200, content, hidden=True)

    def _get_object(self, objects: Objects, key: str, *_: Any) -> None:
        content = objects.get(key)
        if content is None:
            return self._fail(404, "NoSuchKey")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self._answer(200, content)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if first > last:
            return self._fail(416, "InvalidRange")
        shown = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return self._answer(206, content[first : last + 1], shown)

    def _put_object(self, objects: Objects, key: str, query: dict[str, str], body: bytes) -> None:
        if "uploadId" in query:
            self.store.uploads[query["uploadId"]][int(query["partNumber"])] = body
        elif source := self.headers.get("x-amz-copy-source"):
            bucket, _, old = unquote(source).lstrip("/").partition("/")
            if old not in self.store.buckets.get(bucket, {}):
                return self._fail(404, "NoSuchKey")
            objects[key] = self.store.buckets[bucket][old]
            return self._xml("CopyObjectResult", f"<ETag>{_tag(objects[key])}</ETag>")
        else:
            with self.store.writing:
                if self.headers.get("If-None-Match") == "*" and key in objects:
                    return self._fail(412, "PreconditionFailed")
                objects[key] = body
                is_lost = self.store.lost_answers > 0
                self.store.lost_answers -= is_lost
            while is_lost and not self._is_given_up():
                time.sleep(0.05)
            if is_lost:
                raise ConnectionError
        return self._answer(200, b"", {"ETag": _tag(body)})

    def _is_given_up(self) -> bool:
        """Return whether the client has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _post_object(self, objects: Objects, key: str, query: dict[str, str], _: bytes) -> None:
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        else:
            parts = self.store.uploads.pop(query["uploadId"])
            objects[key] = b"".join(parts[number] for number in sorted(parts))
            self._xml(
                "CompleteMultipartUploadResult",
                f"<Key>{escape(key)}</Key><ETag>{_tag(objects[key])}</ETag>",
            )

    def _delete_object(self, objects: Objects, key: str, query: dict[str, str], _: bytes) -> None:
        self.store.uploads.pop(query.get("uploadId", ""), None)
        if "uploadId" not in query and key in objects:
            del objects[key]
        self._answer(204)

    def _fail(self, code: int, name: str) -> None:
        self._answer(code, f"<Error><Code>{name}</Code><Message>{name}</Message></Error>".encode())

    def _xml(self, name: str, inner: str) -> None:
        self._answer(200, f'<{name} xmlns="{NAMESPACE}">{inner}</{name}>'.encode())

    def _answer(
        self,
        code: int,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        hidden: bool = False,
    ) -> None:
        self.send_response(code)
        hidden = hidden or self.command == "HEAD"
        if code != 204:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        if self.command in ("GET", "HEAD"):
            self.send_header("ETag", _tag(content))
        self.send_header("x-amz-bucket-region", "us-east-1")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if not hidden:
            self.wfile.write(content)


def _tag(content: bytes) -> str:
    return f'"{md5(content).hexdigest()}"'


def _without_chunks(stream: io.BufferedIOBase) -> bytes:
    """Return what a chunked stream holds; chunks' signatures and trailers are passed over."""
    content = b""
    while size := int(stream.readline().split(b";")[0], 16):
        content += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return content
