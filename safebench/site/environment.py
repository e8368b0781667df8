"""How every page is rendered: all text escaped and cleaned, nothing undefined, nothing foreign."""

from __future__ import annotations

import base64
import hashlib
from types import CodeType

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from safebench.site import svg, text


class _Compiled(BytecodeCache):
    """Compiled templates of this process: compiling takes longer than rendering a page."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give what was compiled before, of the same text."""
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        if bucket.code is not None:
            self._code[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


def page_environment() -> Environment:
    """Return an environment of the site's templates; each page adds filters of its own."""
    made = Environment(
        loader=FileSystemLoader(svg.TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=text.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    made.filters["allowed"] = _allowed
    return made


def _allowed(content: str) -> str:
    """Return what a policy calls an inline script or style: no other one runs."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
