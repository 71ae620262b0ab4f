"""An S3 server on this machine's loopback: buckets in memory, over HTTP, for tests.

It knows what S3's clients ask of a store of whole objects: listings, ranges, copies,
deletions and uploads in parts. It holds an access key's name against its own, and does not
check signatures.
"""

import io
import re
import threading
import uuid
from collections import defaultdict
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ACCESS_KEY = "testing"
MOST_KEYS = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class S3Server:
    """A server with one bucket; `buckets` holds objects by bucket and key."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.buckets: dict[str, dict[str, bytes]] = {bucket: {}}
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
    def objects(self) -> dict[str, bytes]:
        return self.buckets[self.bucket]

    def below(self, prefix: str) -> dict[str, bytes]:
        """Return what lies below a prefix, without markers of empty folders."""
        found = {key: body for key, body in list(self.objects.items()) if key.startswith(prefix)}
        return {key: body for key, body in found.items() if not key.endswith("/")}

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
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
            return self._fail(403, "AccessDenied")
        if bucket not in self.store.buckets:
            return self._fail(404, "NoSuchBucket")
        objects = self.store.buckets[bucket]
        where = "object" if key else "bucket"
        return getattr(self, f"_{self.command.lower()}_{where}")(objects, key, query, body)

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

    def _get_bucket(
        self, objects: dict[str, bytes], _: str, query: dict[str, str], __: bytes
    ) -> None:
        if "location" in query:
            return self._xml("LocationConstraint", "")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("marker") or query.get("start-after")
        names: dict[str, bool] = {}
        for key in sorted(objects):
            if key.startswith(prefix):
                head, cut, _tail = key[len(prefix) :].partition(delimiter or "\0")
                names[prefix + head + cut] = bool(cut)
        listed = [name for name in names if name > (after or "")]
        most = int(query.get("max-keys", MOST_KEYS))
        shown, rest = listed[:most], listed[most:]
        last = escape(shown[-1]) if shown else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>"
        entries = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if names[name]
            else f"<Contents><Key>{escape(name)}</Key><Size>{len(objects[name])}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for name in shown
        ]
        more = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{token if rest else ''}"
        return self._xml(
            "ListBucketResult", f"{more}<KeyCount>{len(shown)}</KeyCount>{''.join(entries)}"
        )

    def _post_bucket(
        self, objects: dict[str, bytes], _: str, query: dict[str, str], body: bytes
    ) -> None:
        assert "delete" in query
        for entry in ElementTree.fromstring(body).iter():
            if entry.tag.endswith("Key") and entry.text:
                objects.pop(entry.text, None)
        self._xml("DeleteResult", "")

    def _head_object(self, objects: dict[str, bytes], key: str, *_: Any) -> None:
        content = objects.get(key)
        if content is None:
            return self._fail(404, "NoSuchKey")
        return self._answer(200, content, hidden=True)

    def _get_object(self, objects: dict[str, bytes], key: str, *_: Any) -> None:
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

    def _put_object(
        self, objects: dict[str, bytes], key: str, query: dict[str, str], body: bytes
    ) -> None:
        if "uploadId" in query:
            self.store.uploads[query["uploadId"]][int(query["partNumber"])] = body
        elif source := self.headers.get("x-amz-copy-source"):
            bucket, _, old = unquote(source).lstrip("/").partition("/")
            if old not in self.store.buckets.get(bucket, {}):
                return self._fail(404, "NoSuchKey")
            objects[key] = self.store.buckets[bucket][old]
            return self._xml("CopyObjectResult", "<ETag>x</ETag>")
        else:
            objects[key] = body
        return self._answer(200, b"", {"ETag": f'"{md5(body).hexdigest()}"'})

    def _post_object(
        self, objects: dict[str, bytes], key: str, query: dict[str, str], _: bytes
    ) -> None:
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        else:
            parts = self.store.uploads.pop(query["uploadId"])
            objects[key] = b"".join(parts[number] for number in sorted(parts))
            self._xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>x</ETag>")

    def _delete_object(
        self, objects: dict[str, bytes], key: str, query: dict[str, str], _: bytes
    ) -> None:
        self.store.uploads.pop(query.get("uploadId", ""), None)
        if "uploadId" not in query:
            objects.pop(key, None)
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
        self.send_header("x-amz-bucket-region", "us-east-1")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if not hidden:
            self.wfile.write(content)


def _without_chunks(stream: BinaryIO) -> bytes:
    """Return what a chunked stream holds; chunks' signatures and trailers are passed over."""
    content = b""
    while size := int(stream.readline().split(b";")[0], 16):
        content += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return content
