"""A service on this machine that answers like the Perspective API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from safebench.judges.moderation import KEY, URL

SECRET = "key-of-the-test"
Answer = tuple[int, bytes, dict[str, str]]


def scored(value: Any, attribute: str = "TOXICITY") -> Answer:
    body = {
        "attributeScores": {attribute: {"summaryScore": {"value": value, "type": "PROBABILITY"}}}
    }
    return 200, json.dumps(body).encode(), {}


def refused(code: int, message: str = "", headers: dict[str, str] | None = None) -> Answer:
    return code, json.dumps({"error": {"code": code, "message": message}}).encode(), headers or {}


class Service:
    """Gives the answers it was set up with, the last one again and again; records requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[Answer | None] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.release = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                service.asked.append(json.loads(self.rfile.read(length)))
                service.paths.append(self.path)
                answer = service.answers.pop(0) if service.answers[1:] else service.answers[0]
                if answer is None:
                    service.release.wait(30)
                    return
                code, body, headers = answer
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        monkeypatch.setenv(URL, self.url)
        monkeypatch.setenv(KEY, SECRET)
        monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Run a service whose key and address are in the environment."""
    made = Service(monkeypatch)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.release.set()
        made.server.shutdown()
        made.server.server_close()
        thread.join()
