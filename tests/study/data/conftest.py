import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import wfdb

POLL_SECONDS = 0.01
"""After which a server sees that it is to end."""


@pytest.fixture
def write_record(tmp_path: Path) -> Callable[..., Path]:
    """Writes a two-channel WFDB record at 360 Hz; returns its path without extension."""

    def write(
        signal: np.ndarray,
        position: list[int],
        symbol: list[str],
        name: str = "r1",
        leads: tuple[str, str] = ("MLII", "V5"),
    ) -> Path:
        channels = np.stack([signal, np.zeros_like(signal)], axis=1)
        wfdb.wrsamp(
            name,
            fs=360,
            units=["mV", "mV"],
            sig_name=list(leads),
            p_signal=channels,
            fmt=["212", "212"],
            adc_gain=[200.0, 200.0],
            baseline=[0, 0],
            write_dir=str(tmp_path),
        )
        wfdb.wrann(name, "atr", np.array(position), symbol=symbol, write_dir=str(tmp_path))
        return tmp_path / name

    return write


@dataclass
class Served:
    """A local web server's files and what was asked of it."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    break_after: dict[str, int] = field(default_factory=dict)
    ranges: bool = True


@pytest.fixture
def server() -> Iterator[Served]:
    served = Served()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.requests.append((self.path, asked))
            if self.path not in served.files:
                self.send_error(404)
                return
            content = served.files[self.path]
            first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            if asked and served.ranges and first >= len(content):
                self.send_error(416)
                return
            if asked and served.ranges:
                self.send_response(206)
                total = len(content)
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
                content = content[first:]
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: served.break_after.get(self.path, len(content))])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        served.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, args=(POLL_SECONDS,), daemon=True)
        thread.start()
        yield served
        running.shutdown()
        thread.join()
