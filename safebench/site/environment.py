"""How every page is rendered: all text escaped and cleaned, nothing undefined, nothing foreign."""

from __future__ import annotations

import base64
import hashlib

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from safebench.site import svg, text


def page_environment() -> Environment:
    """Return an environment of the site's templates; each page adds filters of its own."""
    made = Environment(
        loader=FileSystemLoader(svg.TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=text.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["allowed"] = _allowed
    return made


def _allowed(content: str) -> str:
    """Return what a policy calls an inline script or style: no other one runs."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
