"""A web server of a built site, for this machine alone."""

from __future__ import annotations

import http.server
import mimetypes
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import Any

from safebench.errors import InputError
from safebench.site.pages import POLICY
from safebench.site.writing import MARKER, SUMS, listed

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""What every answer carries."""
_HOSTS = ("127.0.0.1", "localhost")
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_TYPES |= {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".xml": "application/xml"}


def open_server(site: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of a site on 127.0.0.1, which listens but does not answer yet.

    Raises:
        InputError: SITE is no site that was built here, or the port is taken.
    """
    if not (site / MARKER).is_file() or not (site / SUMS).is_file():
        raise InputError(
            f"{site}: is not a site that safebench built",
            fix=f"build it first: safebench leaderboard build DIR --out {site}",
        )
    names = frozenset(listed(site)) | {SUMS}

    class Handler(_Handler):
        """Answers from this site."""

        root, names_given_out = site.resolve(), names

    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as problem:
        raise InputError(
            f"port {port} of 127.0.0.1 cannot be used: {problem.strerror or problem}",
            fix="give another --port, or --port 0 for any free one",
        ) from problem


class _Handler(http.server.BaseHTTPRequestHandler):
    """Gives out what a site's list names, and nothing else: no path is ever made from a request."""

    root: Path
    names_given_out: frozenset[str]
    server_version, sys_version, protocol_version = "safebench", "", "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with a file's headers."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        # A page elsewhere could point a name of its own at this machine and read the answers.
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in _HOSTS:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"not this host\n", "text/plain", with_body)
            return
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).removeprefix("/")
        name = f"{path}index.html" if not path or path.endswith("/") else path
        file = self.root / name if name in self.names_given_out else None
        # The list was made by the build; a link put there since would lead elsewhere.
        if file is None or not file.is_file() or not file.resolve().is_relative_to(self.root):
            self._send(HTTPStatus.NOT_FOUND, b"no such file\n", "text/plain", with_body)
            return
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        kind = _TYPES.get(file.suffix, guessed)
        self._send(HTTPStatus.OK, file.read_bytes(), kind, with_body)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, with_body: bool) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: whoever asks is the person at this machine."""
