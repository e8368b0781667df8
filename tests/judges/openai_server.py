"""A server on this machine that speaks OpenAI's API, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from safebench.judges.services import KEY, URL

SECRET = "key-of-the-test"
Answer = tuple[int, Any, dict[str, str]]
"""Status, body (bytes, or what becomes JSON), headers."""


def said(text: Any, *, finish: str = "stop", tokens: int = 1, **message: Any) -> Answer:
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 100, "completion_tokens": tokens}
    return 200, {"choices": [choice], "usage": usage}, {}


def completed(text: str) -> Answer:
    return 200, {"choices": [{"text": text, "finish_reason": "stop"}]}, {}


def refused(code: int, message: str = "no", headers: dict[str, str] | None = None) -> Answer:
    return code, {"error": {"message": message}}, headers or {}


class Server:
    """Gives the answers of a list, the last one again and again; or what a function returns."""

    def __init__(self) -> None:
        self.answers: list[Answer | float] = [said("yes")]
        """A number is a wait in seconds before the next answer is given."""
        self.by: Callable[[dict[str, Any]], Answer] | None = None
        self.asked: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.under_way = self.most_under_way = 0
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.asked.append(body)
                    server.heads.append({k.lower(): v for k, v in self.headers.items()})
                    server.paths.append(self.path)
                    server.under_way += 1
                    server.most_under_way = max(server.most_under_way, server.under_way)
                    pause = 0.0
                    if isinstance(server.answers[0], float):
                        pause = float(server.answers.pop(0))
                    answer: Any = (
                        server.by(body)
                        if server.by
                        else server.answers.pop(0)
                        if server.answers[1:]
                        else server.answers[0]
                    )
                time.sleep(pause)
                with lock:
                    server.under_way -= 1
                code, content, headers = answer
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                try:
                    self.send_response(code)
                    for name, value in {**headers, "Content-Length": str(len(content))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:  # nobody waits any more
                    pass

            def log_message(self, *args: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def texts(self) -> list[str]:
        """What was asked, each request's last message or its text."""
        return [one["messages"][-1]["content"] if "messages" in one else one["prompt"]
                for one in self.asked]  # fmt: skip


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server whose address and key are in the environment."""
    made = Server()
    monkeypatch.setenv(URL, made.url)
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
