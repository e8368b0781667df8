"""Templates of strangers: bounds, the clock, and arguments, whichever library renders them."""

from __future__ import annotations

import copy
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from safebench.card.data import RenderingTemplate
from safebench.errors import CardError, SafebenchError, TuningError
from safebench.files import sha256_of
from safebench.models import rendering
from safebench.models.conversation import bind
from safebench.models.rendering import AsksForDateError, TemplateFailedError, render, try_chat
from safebench.tuning.examples import Example
from safebench.tuning.render import as_rows, read_template
from tests.models.test_conversation import Tokenizer

ENDLESS = {
    "loops in loops": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    ),
    "macros that call themselves twice": (
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "one long operation": "{{ (x + 7) ** (10 ** 8) > 1 }}",
}
LARGE = {
    "a product": "{{ 'a' * 10 ** (x + 9) }}",
    "a filter": "{{ 'a' | center(10 ** 10) }}",
    "a format": "{{ '%1000000000d' % x }}",
    "doubling": (
        "{% set n = namespace(s='a') %}"
        "{% for i in range(50) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}"
    ),
    "much text": "{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "brackets": "{{ " + "(" * 5000,
}
REFUSED = {
    "a file": "{{ x.__class__.__mro__[1].__subclasses__() }}",
    "a long range": "{{ range(10 ** 9) | list | length }}",
    "chance": "{{ [1, 2] | random }}",
    "words by chance": "{{ lipsum() }}",
    "another file": "{% include '/etc/hostname' %}",
    "no template": "{% if %}",
}


def kinds(template: str) -> list[Any]:
    """Return what renders it as a rendering template, and as a chat template."""
    values = {"x": 1}
    return [
        lambda: render(template, values, "t.jinja"),
        lambda: try_chat(template, values, "t.jinja", None),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS)
def test_a_template_without_an_end_is_stopped(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 0.1)
    with pytest.raises(CardError, match=r"t\.jinja: the template takes more"):
        try_chat(template, {"x": 1}, "t.jinja", None)
    assert render("{{ x }}", {"x": 2}, "t.jinja") == "2"


@pytest.mark.parametrize("template", LARGE.values(), ids=LARGE)
def test_a_template_has_bounds(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "CHARACTERS", 10_000)
    for rendered in kinds(template):
        with pytest.raises(CardError, match=r"t\.jinja: the template (takes|writes|calls)"):
            rendered()


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_a_template_is_refused_by_its_language(template: str) -> None:
    with pytest.raises(TemplateFailedError):
        render(template, {"x": 1}, "t.jinja")


def test_threads_and_forks_render_at_once() -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(render("{{ n }}", {"n": n}, "t")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [str(n) for n in range(8)]


def test_a_process_that_was_killed_is_started_again() -> None:
    render("", {}, "t")
    process: Any = rendering._WORKER._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert render("again", {}, "t") == "again"


def template_file(folder: Path, text: str) -> Any:
    path = folder / "t.jinja"
    path.write_text(text)
    return read_template(RenderingTemplate(path="t.jinja", sha256=sha256_of(path)), folder, "data")


def test_training_text_is_rendered_within_bounds(tmp_path: Path) -> None:
    example = Example("Q", "A", {"n": 3, "s": "\ud800"}, "d.jsonl:1")
    for text, made in (("{{ prompt }} {{ n }}\n", "Q 3\n"), ("{{ completion }}", "A")):
        (row,) = as_rows([example], template_file(tmp_path, text), None)
        assert row["prompt"] == made
    for text in ("{{ missing }}", "{{ s }}", " "):
        with pytest.raises(TuningError, match=r"d\.jsonl:1"):
            as_rows([example], template_file(tmp_path, text), None)
    with pytest.raises(CardError, match=r"t\.jinja: the template takes more memory"):
        as_rows([example], template_file(tmp_path, LARGE["a filter"]), None)
    for text in ("{% if %}", "{% generation %}{% endgeneration %}", "{{ 1 | random }}"):
        with pytest.raises(CardError, match="not a Jinja template"):
            template_file(tmp_path, text)


DATED = "{{ strftime_now('%d %b %Y %H:%M') }} {{ messages[0].content }}"
ASKING = {
    "plain": DATED,
    "where it is defined": "{% if strftime_now is defined %}" + DATED + "{% endif %}",
}
USER = [{"role": "user", "content": "Hello"}]


class Jinja(Tokenizer):
    """Renders like transformers: plain data alone, and a clock of its own."""

    def apply_chat_template(self, messages: Any, **named: Any) -> str:
        from transformers.utils.chat_template_utils import render_jinja_template

        named.pop("tokenize", None)
        named["chat_template"] = named.get("chat_template") or self.chat_template
        rendered, _ = render_jinja_template(conversations=[messages], **named)
        return str(rendered[0])


@pytest.mark.slow
@pytest.mark.parametrize("template", ASKING.values(), ids=ASKING)
def test_the_clock_is_the_cards(template: str) -> None:
    tokenizer = Jinja(template)
    bind(tokenizer, "model.chat_template")
    with pytest.raises(AsksForDateError) as refused:
        tokenizer.apply_chat_template(USER)
    assert "`date: YYYY-MM-DD`" in str(refused.value.fix)
    bind(tokenizer, "model.chat_template", date="2026-11-27")
    for one in (tokenizer, copy.deepcopy(tokenizer)):
        assert one.apply_chat_template(USER) == "27 Nov 2026 00:00 Hello"
    tokenizer.chat_template = "\n{{ strftime_now('%Y') }}\n  {% if true %}x{% endif %}\n"
    assert tokenizer.apply_chat_template(USER) == "\n2026\nx"


THINKING = (
    "{% if enable_thinking %}<think>{% endif %}{{ a.b if a is defined }}{{ messages[0].content }}"
)
ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "read": ({"enable_thinking": True}, "<think>Hello"),
    "set to false": ({"enable_thinking": False}, "Hello"),
    "in a mapping": ({"a.b": "x"}, "xHello"),
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"arguments": {"enable_thinkin": True}}, "a, enable_thinking"),
    "of the tokenizer": ({"arguments": {"tokenize": True}}, "leave it out"),
    "a date that is not asked for": ({"date": "2026-11-27"}, "take the date out"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("given", "made"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_reach_the_template(given: dict[str, Any], made: str) -> None:
    tokenizer = Jinja(THINKING)
    bind(tokenizer, "model.chat_template", arguments=given)
    assert tokenizer.apply_chat_template(USER) == made


@pytest.mark.slow
@pytest.mark.parametrize(("given", "fix"), WRONG.values(), ids=WRONG)
def test_what_the_template_never_reads_is_refused(given: dict[str, Any], fix: str) -> None:
    with pytest.raises(CardError) as refused:
        bind(Jinja(THINKING), "model.chat_template", **given)
    assert fix in str(refused.value.fix)


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(CardError, match="no such day"):
        bind(Jinja(DATED), "model.chat_template", date="2026-11-31")


def test_what_a_template_raises_is_not_rendered_unbounded() -> None:
    tokenizer = Tokenizer("{{ raise_exception('no system') }}" + ENDLESS["loops in loops"])
    bind(tokenizer, "model.chat_template")
    with pytest.raises((SafebenchError, TemplateFailedError), match="no system"):
        tokenizer.apply_chat_template(USER)
