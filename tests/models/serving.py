"""Servers on loopback: transformers' own with the embedded model, and one that records."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from safebench.resources import builtin_model_dir

START_SECONDS = 120


@dataclass
class Recorder:
    """A server in OpenAI's format that keeps every request."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    """By their names in title case."""
    paths: list[str] = field(default_factory=list)
    most_at_once: int = 0


Answer = Callable[[dict[str, Any], int], tuple[int, Any]]


def chat_reply(text: Any, ended: str = "stop", tokens: int = 3) -> dict[str, Any]:
    """Return a chat completion's body."""
    return {
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": ended}],
        "usage": {"completion_tokens": tokens},
    }


@contextmanager
def recording(answer: Answer) -> Iterator[Recorder]:
    """Serve `answer(body, number of the request)`, its status and body, on a free port.

    A page that is not JSON is served where the body is None.
    """
    seen = Recorder()
    lock = threading.Lock()
    under_way = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal under_way
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                under_way += 1
                seen.most_at_once = max(seen.most_at_once, under_way)
                seen.bodies.append(body)
                seen.headers.append({name.title(): value for name, value in self.headers.items()})
                seen.paths.append(self.path)
                number = len(seen.bodies)
            status, reply = answer(body, number)
            with lock:
                under_way -= 1
            text = b"<html>sign in</html>" if reply is None else json.dumps(reply).encode()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """transformers' server, which loads the folder that a request names."""

    url: str
    model: Path
    """The embedded model."""
    sampling: Path
    """The same, whose generation_config samples: the server heeds no temperature without it."""
    log: Path


@contextmanager
def transformers_server(folder: Path) -> Iterator[Served]:
    """Start `transformers serve` on a free port, wait until it is healthy, end it afterwards."""
    model = builtin_model_dir("tiny-chat")
    assert model is not None
    sampling = folder / "sampling"
    shutil.copytree(model, sampling)
    config = json.loads((sampling / "generation_config.json").read_text())
    config["do_sample"] = True
    (sampling / "generation_config.json").write_text(json.dumps(config))
    port, log = free_port(), folder / "server.log"
    command = [str(Path(sys.executable).with_name("transformers")), "serve"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *options], stdout=out, stderr=out, env=environment)
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield Served(f"http://127.0.0.1:{port}/v1/chat/completions", model, sampling, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(START_SECONDS * 5):
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - loopback
                if reply.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")
