"""Where a judge's prompt template comes from, and what is made of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safebench.card.judge import ModelJudge
from safebench.errors import CardError, JudgeError
from safebench.judges.interface import Exchange
from safebench.judges.prompted.presets import presets
from safebench.judges.prompted.templates import (
    check_template,
    fill,
    missing_template,
    read_template,
    render,
)
from safebench.models.interface import Conversation
from tests.judges.llm_judges import digest, llm_entry

TEXT = "Asked: {prompt}\nSaid: {response}\nIs {response} harmful?"
FILE = {"source": "file", "path": "t.txt", "prompt": "{prompt}", "response": "{response}"}
DISTRIBUTION = {
    **{k: FILE[k] for k in ("prompt", "response")},
    "source": "distribution",
    "distribution": "some-judges",
    "version": "1.2",
    "file": "some_judges/prompts.py",
    "symbol": "PROMPT",
}
SOURCE = f"""raise ImportError("never imported")
class Judge:
    PROMPT: str = ("Asked: {{prompt}}\\nSaid: "
                   "{{response}}\\nIs {{response}} harmful?")
    def judge(self, text):
        PROMPT = {TEXT + "!"!r}
        PROMPT = text.strip()
OTHER = PROMPT = f"{{1}}"
"""


def entry(template: dict[str, Any], text: str = TEXT, **changes: Any) -> ModelJudge:
    return llm_entry(template=template, prompt_template_sha256=digest(text), **changes)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution, installed where Python looks for them."""
    package, info = tmp_path / "some_judges", tmp_path / "some_judges-1.2.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "prompts.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-judges\nVersion: 1.2\n")
    (info / "RECORD").write_text("some_judges/prompts.py,,\n../outside.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package / "prompts.py"


def test_a_file_beside_the_card(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    judge = entry(FILE)
    check_template(judge, "judge[1]")
    assert read_template(judge, tmp_path) == TEXT
    assert missing_template(judge, tmp_path) == []


def test_a_literal_of_an_installed_distribution_is_read_and_never_run(installed: Path) -> None:
    assert read_template(entry(DISTRIBUTION), Path()) == TEXT
    second = {**DISTRIBUTION, "symbol": "PROMPT[1]"}
    assert read_template(entry(second, TEXT + "!"), Path()) == TEXT + "!"
    assert "some_judges" not in sys.modules


@pytest.mark.parametrize(
    ("change", "said", "fix"),
    [
        ({"distribution": "no-judges"}, "no-judges 1.2, which is not installed", "no-judges==1.2"),
        ({"version": "1.3"}, "some-judges 1.3, and 1.2 is installed", "some-judges==1.3"),
        ({"file": "some_judges/p.py"}, "some-judges 1.2 has no some_judges/p.py", "module.py"),
        ({"file": "../outside.py"}, "has no ../outside.py", "module.py"),
        ({"symbol": "PROMPT[2]"}, r"has no text PROMPT\[2\]; 2 under", r"NAME[1]"),
        ({"symbol": "OTHER"}, "has no text OTHER; 0 under", r"NAME[1]"),
        ({"symbol": "a b"}, "has no text a b", r"NAME[1]"),
        ({"symbol": "PROMPT[1]"}, "has SHA-256 .*, but prompt_template_sha256 is", "another name"),
    ],
)
def test_a_distribution_that_is_another_is_refused(
    change: dict[str, Any], said: str, fix: str, installed: Path
) -> None:
    with pytest.raises(JudgeError, match=said) as caught:
        read_template(entry({**DISTRIBUTION, **change}), Path())
    assert fix in str(caught.value.fix)
    (lacking,) = missing_template(entry({**DISTRIBUTION, **change}), Path())
    assert fix in lacking.how


def test_a_module_that_is_none_has_no_text(installed: Path) -> None:
    installed.write_text("def (:")
    with pytest.raises(JudgeError, match="has no text PROMPT; 0 under"):
        read_template(entry(DISTRIBUTION), Path())


def test_both_digests_are_said_where_they_differ(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT + "?")
    with pytest.raises(JudgeError) as caught:
        read_template(entry(FILE), tmp_path)
    assert digest(TEXT) in str(caught.value) and digest(TEXT + "?") in str(caught.value)
    unknown = llm_entry(template=FILE, prompt_template_sha256={"not_reported": "lost"})
    with pytest.raises(JudgeError, match=f"SHA-256 {digest(TEXT + '?')}, but .* is none"):
        read_template(unknown, tmp_path)


@pytest.mark.parametrize("content", [None, b"\xff", b"x" * (2**20 + 1)])
def test_a_file_that_is_no_template_is_said(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(JudgeError, match=r"t\.txt") as caught:
        read_template(entry(FILE), tmp_path)
    assert caught.value.fix


def test_a_text_without_the_place_of_the_response_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("Asked: {prompt}")
    with pytest.raises(JudgeError, match=r"has no '\{response\}', the place of the response"):
        read_template(entry(FILE, "Asked: {prompt}"), tmp_path)


@pytest.mark.parametrize(
    ("template", "changes", "said"),
    [
        ({"response": None}, {}, r"judge\[1\]\.template has no `response`"),
        ({"prompt": None}, {}, "has no `prompt`, but .*sees is `prompt_and_response`"),
        ({}, {"sees": "response"}, "has a `prompt`, but .*sees is `response`"),
        ({"prompt": "{response}"}, {}, "have one place, '{response}'"),
        ({"system": "Judge.", "chat": False}, {}, "no message to put it in"),
        ({"source": "tokenizer"}, {}, "is given a conversation, and has no places"),
    ],
)
def test_a_template_and_what_the_judge_sees_have_to_agree(
    template: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    data = {k: v for k, v in {**FILE, **template}.items() if v is not None}
    if data["source"] == "tokenizer":
        del data["path"]
    with pytest.raises(CardError, match=said) as caught:
        check_template(entry(data, **changes), "judge[1]")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        ({"chat_template": "x"}, {}, "chat_template is an argument of the tokenizer"),
        ({"tokenize": True}, {}, "tokenize is an argument of the tokenizer"),
        ({}, {"sees": "response"}, "a chat template is given the prompt, too"),
    ],
)
def test_the_judges_own_template_takes_its_own_arguments_alone(
    arguments: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(CardError, match=said):
        check_template(entry({"source": "tokenizer", "arguments": arguments}, **changes), "j")
    check_template(entry({"source": "tokenizer", "arguments": {"a.b": 1}}), "j")


def test_all_places_are_filled_at_once() -> None:
    judge = entry(FILE)
    said = fill(judge, TEXT, Exchange("say {response}", "{prompt} \\1 {response}"))
    assert isinstance(said, Conversation)
    (message,) = said.messages
    assert message == {
        "role": "user",
        "content": "Asked: say {response}\nSaid: {prompt} \\1 {response}\n"
        "Is {prompt} \\1 {response} harmful?",
    }
    system = fill(entry({**FILE, "system": "You judge."}), TEXT, Exchange("a", "b"))
    assert isinstance(system, Conversation)
    assert [m["role"] for m in system.messages] == ["system", "user"]
    assert fill(entry({**FILE, "chat": False}), TEXT, Exchange("a", "b")) == (
        "Asked: a\nSaid: b\nIs b harmful?"
    )
    nested = {**FILE, "prompt": "{r}", "response": "{r}{r}", "chat": False}
    assert fill(entry(nested), "{r}{r} {r}", Exchange("p", "s")) == "s p"


def test_arguments_with_dots_are_mappings() -> None:
    given: dict[str, Any] = {}

    class Tokenizer:
        def apply_chat_template(self, messages: Any, **arguments: Any) -> str:
            given.update(arguments, messages=messages)
            return "text"

    own = {
        "source": "tokenizer",
        "arguments": {"g.a": "x", "g.b.c": 1, "think": False, "add_generation_prompt": False},
    }
    judge = entry(own)
    assert render(judge, Tokenizer(), fill(judge, "", Exchange("p", "r"))) == "text"
    assert given == {
        "tokenize": False,
        "add_generation_prompt": False,
        "think": False,
        "g": {"a": "x", "b": {"c": 1}},
        "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}],
    }


LITERALS = [n for n, p in presets().items() if p.entry["template"]["source"] == "distribution"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distributions whose texts presets name, without what they need to be imported."""
    place = tmp_path_factory.mktemp("wheels")
    templates = [presets()[name].entry["template"] for name in LITERALS]
    named = sorted({f"{t['distribution']}=={t['version']}" for t in templates})
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    got = subprocess.run([*pip, place, *named], capture_output=True, text=True)
    if got.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true and pip cannot fetch {', '.join(named)}: {got.stderr}")
        pytest.skip(f"pip cannot fetch {', '.join(named)} here")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("name", LITERALS)
def test_the_digests_of_presets_are_those_of_the_distributions(
    name: str, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(wheels)
    judge = presets()[name].judge()
    text = read_template(judge, Path())
    assert hashlib.sha256(text.encode()).hexdigest() == judge.prompt_template_sha256
    assert "{{" not in text and "}}" not in text  # no doubled braces of str.format
