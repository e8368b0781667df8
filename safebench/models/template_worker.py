"""Renders Jinja templates in a process of its own, which `rendering.py` starts and which may die.

It is run as a script, so that only Jinja is loaded. Each line of JSON on stdin asks for one
rendering, and one on stdout answers it. The operating system bounds time and memory, since a single
product, filter or regular expression runs outside of Python's control.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_NOT_REPEATABLE = ("random",)
"""Filters that give a different text each time."""


class _DateAskedError(Exception):
    """A template asks for today's date, and no date was given."""


class _Generation(Extension):
    """The block `generation`, which marks what a model wrote; only its body is rendered."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own form

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the body of the block."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment(*, chat: bool) -> ImmutableSandboxedEnvironment:
    """Return the dialect of transformers' chat templates, or the one of training templates."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not chat,
        undefined=Undefined if chat else StrictUndefined,
        extensions=[_Generation, loopcontrols] if chat else [],
    )
    del made.globals["lipsum"]
    for name in _NOT_REPEATABLE:
        del made.filters[name]
    if chat:
        made.filters["tojson"] = _to_json
        made.globals["raise_exception"] = _raise
    return made


def _to_json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


def _raise(message: str) -> None:
    raise TemplateError(message)


class _Clock:
    """The function that gives a template the date: midnight of a day; keeps each answer."""

    def __init__(self, day: str | None) -> None:
        self.day, self.asked = day, dict[str, str]()

    def __call__(self, format: str) -> str:
        """Return the day in a format of strftime."""
        if self.day is None:
            raise _DateAskedError
        self.asked[format] = datetime.fromisoformat(self.day).strftime(format)
        return self.asked[format]


@lru_cache(maxsize=16)
def _compiled(text: str, chat: bool) -> Any:
    return environment(chat=chat).from_string(text)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    text, chat, limit = asked["template"], asked["chat"], asked["characters"]
    try:
        if asked["values"] is None:
            return {"names": sorted(find_undeclared_variables(environment(chat=chat).parse(text)))}
        template = _compiled(text, chat)
        values, clock = asked["values"], _Clock(asked["date"])
        if chat:
            values = {"strftime_now": clock, **values}
        parts, length = [], 0
        for part in template.generate(values):
            length += len(part)
            if length > limit:
                return {"limit": f"writes more than {limit:,} characters"}
            parts.append(part)
        return {"text": "".join(parts), "dates": clock.asked}
    except _DateAskedError:
        return {"date": True}
    except MemoryError:
        return {"limit": "takes more memory than a template may have"}
    except RecursionError:
        return {"limit": "calls itself without an end"}
    except Exception as problem:  # a template raises whatever its language lets it
        return {"error": f"{problem}"[:500] or type(problem).__name__}


def main() -> None:
    """Answer requests until there are no more."""
    memory = int(sys.argv[1])
    with suppress(ImportError, ValueError, OSError):  # macOS does not bound an address space
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    clock = getattr(signal, "setitimer", None)
    for line in sys.stdin:
        asked = json.loads(line)
        if clock is not None:
            # Time of this process alone: a busy machine makes no template slow. At the end the
            # system kills the process, whatever it is doing.
            clock(signal.ITIMER_VIRTUAL, asked["seconds"])
        answer = _answer(asked)
        if clock is not None:
            clock(signal.ITIMER_VIRTUAL, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
