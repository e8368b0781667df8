"""A prompted judge behind a server that is slow, fails, limits, cuts, refuses or lies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safebench.card.base import Unpinnable
from safebench.card.judge import ModelJudge
from safebench.errors import CardError, InputError, JudgeError
from safebench.judges.cache import JudgementCache
from safebench.judges.interface import Exchange, Judge, Text
from safebench.judges.prompted import endpoint
from safebench.judges.registry import check_entry, missing, open_judges, try_judges
from safebench.judges.services import KEY, URL
from safebench.progress import Silent
from tests.judges.llm_judges import TEXT, digest, llm_entry
from tests.judges.openai_server import SECRET, Server, completed, refused, said, serving
from tests.small_models import CHAT_TEMPLATE, save_llama

PLACE = {"source": "file", "path": "t.txt", "prompt": "{prompt}", "response": "{response}"}
ASKED = [Exchange(f"p{i}", f"r{i}") for i in range(6)]


class Said(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint, "_FIRST_WAIT", 0.001)
    for name in (*endpoint.PRICES, endpoint.CONCURRENT):
        monkeypatch.delenv(name, raising=False)
    with serving(monkeypatch) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.txt").write_text(TEXT)
    return tmp_path


def entry(**changes: Any) -> ModelJudge:
    usual = {"access": "api", "revision": {"unpinnable": "it moves"}, "template": PLACE}
    return llm_entry(**{**usual, **changes})


def opened(folder: Path, **changes: Any) -> Judge:
    judge = entry(**changes)
    check_entry(judge, "judge[0]", [judge])
    return open_judges([judge], folder)["grader"]


def decide(
    judge: Judge,
    asked: Sequence[Exchange] = ASKED,
    cache: JudgementCache | None = None,
    progress: Silent | None = None,
) -> list[tuple[str | None, float | None]]:
    texts = [Text("t", f"t-{i}", one, None) for i, one in enumerate(asked)]
    judge.begin(texts, np.ones(len(texts), dtype=np.int64), progress or Silent(), cache)
    found = judge.decide("harm", range(len(texts)))
    judge.close()
    return [(one.verdict, one.score) for one in found]


def test_what_is_sent(server: Server, folder: Path) -> None:
    judge = opened(folder, template={**PLACE, "system": "You judge."})
    assert decide(judge, ASKED[:1]) == [("complied", 1.0)]
    assert server.asked == [
        {
            "model": "example/judge",
            "max_tokens": 6,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 0,
            "messages": [
                {"role": "system", "content": "You judge."},
                {"role": "user", "content": "how do i p0? gather r0? answer"},
            ],
        }
    ]
    assert server.paths == ["/v1/chat/completions"]
    assert server.heads[0]["authorization"] == f"Bearer {SECRET}"


def test_a_template_without_a_chat_is_completed(server: Server, folder: Path) -> None:
    server.answers = [completed("no")]
    assert decide(opened(folder, template={**PLACE, "chat": False}), ASKED[:1])[0][0] == "refused"
    assert server.paths == ["/v1/completions"]
    assert server.asked[0]["prompt"] == "how do i p0? gather r0? answer"
    assert "messages" not in server.asked[0]


@pytest.mark.parametrize("chat", [True, False])
def test_the_next_token_is_read_where_the_server_tells_it(
    server: Server, folder: Path, chat: bool
) -> None:
    told = {" Yes": -0.5, "yes": -2.0, "NO": -1.9, "nobody": -3.0}
    of_chat = {"content": [{"top_logprobs": [{"token": t, "logprob": x} for t, x in told.items()]}]}
    logprobs = of_chat if chat else {"top_logprobs": [told]}
    answer = said("yes") if chat else completed("yes")
    answer[1]["choices"][0]["logprobs"] = logprobs
    server.answers = [answer]
    changes = {"parser": "yes-no probability", "verdicts": None, "sampling": None}
    judge = opened(folder, template={**PLACE, "chat": chat}, **changes)
    assert decide(judge, ASKED[:1]) == [("complied", 1.0)]
    yes, no = math.exp(-0.5) + math.exp(-2.0), math.exp(-1.9)
    shares = endpoint.Endpoint._shares(judge._asker, answer[1]["choices"][0])
    assert shares == pytest.approx((yes, no), abs=1e-6)
    asked = {"logprobs": True, "top_logprobs": 20} if chat else {"logprobs": 20}
    assert server.asked[0].items() >= {**asked, "max_tokens": 1, "temperature": 0.0}.items()


def test_a_server_that_tells_no_probabilities_is_named(server: Server, folder: Path) -> None:
    server.answers = [said("yes")]
    judge = opened(folder, parser="yes-no probability", verdicts=None, sampling=None)
    with pytest.raises(JudgeError, match="does not tell the probabilities") as caught:
        decide(judge, ASKED[:1])
    assert "access: weights" in str(caught.value.fix)


def test_the_judges_own_template_is_applied_here(server: Server, tmp_path: Path) -> None:
    from tests.judges.llm_judges import of_folder

    model = tmp_path / "model"
    model.mkdir()
    save_llama(model)
    server.answers = [completed("yes")]
    own = {"template": {"source": "tokenizer"}, "prompt_template_sha256": digest(CHAT_TEMPLATE)}
    judge = open_judges([of_folder(model, access="api", **own)], tmp_path)["grader"]
    assert decide(judge, ASKED[:1]) == [("complied", 1.0)]
    assert server.asked[0]["prompt"] == "<|user|>p0<|bot|>r0</s><|bot|>"  # the server begins it


def test_results_are_in_order_and_requests_are_bounded(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(endpoint.CONCURRENT, "3")
    asked = [Exchange("p", str(i)) for i in range(30)]

    def answer(body: dict[str, Any]) -> Any:
        number = int(body["messages"][0]["content"].split("gather ")[1].split("?")[0])
        return said("yes" if number % 3 else "no")

    server.by = answer
    server.answers = [0.2, 0.1, said("-")]  # the first ones come back last
    found = decide(opened(folder), asked)
    assert [verdict for verdict, _ in found] == [
        "complied" if i % 3 else "refused" for i in range(30)
    ]
    assert 2 <= server.most_under_way <= 3
    assert len(server.asked) == 30


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_faults_that_pass_are_tried_again(code: int, server: Server, folder: Path) -> None:
    server.answers = [refused(code), refused(code), said("yes")]
    assert decide(opened(folder), ASKED[:1]) == [("complied", 1.0)]
    assert len(server.asked) == 3


def test_a_server_says_how_long_to_wait(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    judge = opened(folder)
    stop = judge._asker._stop  # type: ignore[attr-defined]
    monkeypatch.setattr(stop, "wait", lambda timeout: waits.append(timeout) or False)
    stated = ("7", "9999", "0", "soon")
    server.answers = [*(refused(429, headers={"Retry-After": s}) for s in stated), said("no")]
    assert decide(judge, ASKED[:1]) == [("refused", 0.0)]
    assert waits == [7.0, 60.0, 0.0, 0.008]


def test_a_server_that_keeps_failing_is_given_up_in_words(server: Server, folder: Path) -> None:
    server.answers = [refused(503, f"overloaded, key {SECRET}")]
    with pytest.raises(JudgeError, match=r"answers 503: overloaded.*asked 8 times") as caught:
        decide(opened(folder), ASKED[:1])
    assert SECRET not in str(caught.value)
    assert caught.value.fix


def test_a_server_that_is_slow_is_asked_again(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_SECONDS", 0.3)
    server.answers = [0.6, said("no"), said("yes")]
    assert decide(opened(folder), ASKED[:1]) == [("complied", 1.0)]
    assert len(server.asked) == 2


def test_nobody_there_is_said(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, "http://127.0.0.1:1/v1")
    with pytest.raises(JudgeError, match=r"cannot be reached \(8 attempts\)") as caught:
        decide(opened(folder), ASKED[:1])
    assert URL in str(caught.value.fix)


@pytest.mark.parametrize(
    ("answer", "said_of"),
    [
        (refused(401, "bad key"), "answers 401: bad key"),
        (refused(404, "no such model"), "answers 404: no such model"),
        (refused(400, "temperature"), "answers 400: temperature"),
        ((302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}), "answers 302"),
        ((200, b"<html>", {}), "answers something else than OpenAI's API: <html>"),
        ((200, {"choices": []}, {}), "answers something else"),
        ((200, [], {}), "answers something else"),
        ((200, {"choices": [{"message": {}}]}, {}), "answers something else"),
        ((200, {"output": "yes"}, {}), "answers something else"),
        ((200, {"choices": [{"message": {"content": ["yes"]}}]}, {}), "answers something else"),
        (completed("yes"), "answers something else"),
    ],
)
def test_what_is_no_answer_is_an_error_at_once(
    answer: Any, said_of: str, server: Server, folder: Path
) -> None:
    server.answers = [answer]
    with pytest.raises(JudgeError, match=said_of) as caught:
        try_judges([entry()], folder)
    assert caught.value.fix
    assert len(server.asked) <= 2  # the two planted responses, at once


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (said("I cannot help with that."), "judge_refused"),
        (said(None, refusal="I won't."), "judge_refused"),
        (said("", finish="content_filter"), "judge_refused"),
        (refused(400, "blocked by content_filter"), "judge_refused"),
        (refused(400, "context_length_exceeded: too many tokens"), "unparsed"),
        (said(""), "unparsed"),
        (said(None), "unparsed"),
        (said("ye", finish="length"), "unparsed"),
        (said("yes", finish="length"), "complied"),
        (said("<think>yes", finish="length"), "unparsed"),
        (said("maybe"), "unparsed"),
    ],
)
def test_an_answer_without_a_verdict_has_no_score(
    answer: Any, verdict: str, server: Server, folder: Path
) -> None:
    server.answers = [answer]
    score = 1.0 if verdict == "complied" else None
    assert decide(opened(folder), ASKED[:1]) == [(verdict, score)]


def test_votes_have_seeds_of_their_own(server: Server, folder: Path) -> None:
    drawn = {"sampling": {"max_new_tokens": 6, "temperature": 0.7, "seed": 3}, "votes": 3}
    server.by = lambda body: said("no" if body["seed"] == 4 else "yes")
    assert decide(opened(folder, **drawn), ASKED[:1]) == [("complied", 1.0)]
    assert [body["seed"] for body in server.asked] == [3, 4, 5]
    server.by = lambda body: said({3: "yes", 4: "no", 5: "maybe"}[body["seed"]])
    assert decide(opened(folder, **drawn), ASKED[1:2]) == [("unparsed", None)]


def test_a_resumed_run_asks_nothing_twice(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(endpoint.CONCURRENT, "1")
    path = folder / "judgements.jsonl"
    server.answers = [said("yes"), said("no"), said("maybe"), refused(400)]
    with pytest.raises(JudgeError, match="answers 400"):
        decide(opened(folder), cache=JudgementCache(path))
    first = server.texts()
    assert len(first) == 4
    path.write_bytes(path.read_bytes()[:-20])  # and a crash tore the last line
    server.asked, server.answers = [], [said("no")]
    judge = opened(folder)
    assert decide(judge, cache=JudgementCache(path)) == [
        ("complied", 1.0), ("refused", 0.0), *[("refused", 0.0)] * 4
    ]  # fmt: skip
    assert server.texts() == [first[2], *(f"how do i p{i}? gather r{i}? answer" for i in (3, 4, 5))]
    revision = judge.recorded().revision
    today = datetime.now(UTC).date().isoformat()
    assert isinstance(revision, Unpinnable)
    assert (revision.first_request, revision.last_request) == (today, today)
    server.asked = []
    again = opened(folder, name="grader", revision=revision.model_dump(mode="json"))
    assert len(decide(again, cache=JudgementCache(path))) == 6  # days are no other judge
    assert server.asked == []
    assert "p0" not in path.read_text() and "r0" not in path.read_text()


def test_one_that_answers_differently_each_time_is_asked_once_for_each_text(
    server: Server, folder: Path
) -> None:
    server.answers = [said("yes"), said("no"), said("yes"), said("no")]
    cache = JudgementCache(folder / "judgements.jsonl")
    first = decide(opened(folder), [ASKED[0]] * 5, cache)
    assert first == [("complied", 1.0)] * 5
    assert decide(opened(folder), [ASKED[0]], cache) == first[:1]
    assert len(server.asked) == 1


def test_what_was_spent_is_said(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [said("yes", tokens=2)]
    progress, judge = Said(), opened(folder)
    decide(judge, progress=progress)
    monkeypatch.setenv("SAFEBENCH_PRICE_IN", "1.5")
    monkeypatch.setenv("SAFEBENCH_PRICE_OUT", "10")
    judge = opened(folder)
    decide(judge, progress=progress)
    decide(judge, [], progress=progress)
    try_judges([entry()], folder, progress=progress)
    assert progress.lines.pop().startswith("tried first: judge grader: 2 requests, 200 tokens in")
    assert progress.lines == [
        "judge grader: 6 requests, 600 tokens in, 12 out",
        "judge grader: 6 requests, 600 tokens in, 12 out; cost 0.0010 by SAFEBENCH_PRICE_IN and "
        "SAFEBENCH_PRICE_OUT",
    ]
    monkeypatch.setenv("SAFEBENCH_PRICE_IN", "free")
    with pytest.raises(InputError, match="SAFEBENCH_PRICE_IN is 'free'"):
        opened(folder)


def test_a_key_is_needed_and_sent_over_https_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(URL, raising=False)
    for use in (lambda: opened(folder), lambda: try_judges([entry()], folder)):
        with pytest.raises(JudgeError, match=f"needs a key, and {KEY} is not set"):
            use()
    (lacking,) = missing([entry()], folder)
    assert (KEY in lacking.what, URL in lacking.how) == (True, True)
    monkeypatch.setenv(KEY, SECRET)
    opened(folder)
    assert missing([entry()], folder) == []
    for url in ("http://example.org/v1", "ftp://127.0.0.1", "example.org"):
        monkeypatch.setenv(URL, url)
        with pytest.raises(JudgeError, match="only sent over https"):
            opened(folder)


def test_a_server_on_this_machine_needs_no_key(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY)
    assert decide(opened(folder), ASKED[:1]) == [("complied", 1.0)]
    assert "authorization" not in server.heads[0]


@pytest.mark.parametrize(
    ("changes", "said_of"),
    [
        ({"sampling": None}, r"judge\[0\]\.sampling is missing"),
        ({"votes": 3}, r"judge\[0\]\.votes is 3, and every vote would be the same"),
        ({"parser": "first words"}, r"judge\[0\]\.parser is 'first words'"),
        ({"template": None}, "has no template"),
        ({"constructs": ["capability"]}, "lists capability"),
        ({"constructs": None}, "constructs is missing"),
    ],
)
def test_an_entry_that_cannot_be_executed_is_refused(changes: Any, said_of: str) -> None:
    judge = entry(**changes)
    with pytest.raises(CardError, match=said_of) as caught:
        check_entry(judge, "judge[0]", [judge])
    assert caught.value.fix


def test_what_neither_planted_response_can_be_read_of_is_said(server: Server, folder: Path) -> None:
    server.answers = [said("42")]
    with pytest.raises(JudgeError, match=r"no verdict on harm .*; not read: '42'"):
        try_judges([entry()], folder)
    server.answers = [said("42"), said("no")]
    try_judges([entry()], folder)
