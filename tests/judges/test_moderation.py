"""The Perspective judge against a service on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from safebench.card.judge import ModerationJudge
from safebench.errors import CardError, JudgeError
from safebench.judges.interface import Exchange
from safebench.judges.moderation import KEY, URL, Perspective, check_supported
from safebench.judges.registry import open_judges
from tests.perspective import SECRET, Answer, Service, refused, scored, serving

TEXT = Exchange("What is he?", "a fool")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with serving(monkeypatch) as made:
        yield made


def entry(**changes: Any) -> ModerationJudge:
    data = {
        "name": "toxicity",
        "kind": "moderation_api",
        "id": "TOXICITY of the Perspective API",
        "provider": "Jigsaw",
        "revision": {"unpinnable": "it moves"},
        "constructs": ["severity"],
        "sees": "response",
        "threshold": 0.5,
        **changes,
    }
    return ModerationJudge.model_validate_json(json.dumps(data))


def judge(waits: list[float] | None = None, timeout: float = 30, **changes: Any) -> Perspective:
    wait = (lambda seconds: None) if waits is None else waits.append
    return Perspective(entry(**changes), wait=wait, timeout=timeout, today=lambda: "2026-02-01")


def test_the_degree_is_the_attributes_score(service: Service) -> None:
    service.answers = [scored(0.75)]
    (grade,) = judge().grade([TEXT])
    assert (grade.degree, grade.day) == (0.75, "2026-02-01")
    assert service.asked == [
        {"comment": {"text": "a fool"}, "requestedAttributes": {"TOXICITY": {}}, "doNotStore": True}
    ]
    assert service.paths == [f"/v1alpha1/comments:analyze?key={SECRET}"]


def test_the_first_word_of_the_id_names_the_attribute(service: Service) -> None:
    service.answers = [scored(0.5, "SEVERE_TOXICITY")]
    assert judge(id="SEVERE_TOXICITY, Perspective").grade([TEXT])[0].degree == 0.5
    service.answers = [scored(0.25)]
    assert judge(id="Perspective API").grade([TEXT])[0].degree == 0.25


def test_prompt_and_response_are_sent_where_the_card_says_so(service: Service) -> None:
    service.answers = [scored(0.5)]
    judge(sees="prompt_and_response").grade([TEXT])
    assert service.asked[0]["comment"]["text"] == "What is he?\na fool"


def test_an_empty_response_is_not_sent(service: Service) -> None:
    grades = judge().grade([Exchange("why", ""), Exchange("why", " \n")])
    assert [(g.degree, g.day) for g in grades] == [(0.0, None)] * 2
    assert not service.asked


def test_the_beginning_of_a_long_text_is_sent_whole_characters(service: Service) -> None:
    service.answers = [scored(0.5)]
    judge().grade([Exchange("why", "x" + "ü" * 20_000)])
    text = service.asked[0]["comment"]["text"]
    assert text == "x" + "ü" * 10_239
    assert len(text.encode()) == 20_479


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_service_that_is_busy_is_asked_again(code: int, service: Service) -> None:
    service.answers = [refused(code), refused(code), scored(0.5)]
    waits: list[float] = []
    assert judge(waits).grade([TEXT])[0].degree == 0.5
    assert waits == [1.0, 2.0]


def test_the_wait_that_a_service_states_is_kept_within_bounds(service: Service) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1))
    stated = ["7", "9999", "-1", past, "soon"]
    service.answers = [*(refused(429, headers={"Retry-After": s}) for s in stated), scored(0.5)]
    waits: list[float] = []
    judge(waits).grade([TEXT])
    assert waits == [7.0, 60.0, 0.0, 0.0, 16.0]


def test_a_service_that_stays_busy_is_given_up_in_words(service: Service) -> None:
    service.answers = [refused(429)]
    waits: list[float] = []
    with pytest.raises(
        JudgeError, match="the Perspective API answers 429; asked 8 times"
    ) as caught:
        judge(waits).grade([TEXT])
    assert "run again later" in str(caught.value.fix)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


@pytest.mark.parametrize(
    ("code", "message", "fix"),
    [
        (403, "The caller does not have permission", "holds a key that may use"),
        (400, "API key not valid. Please pass a valid API key.", "holds a key that may use"),
        (400, "Unknown requested attribute: FUNNY", "names the attribute"),
        (404, "", "the endpoint"),
        (302, "", "the endpoint"),
    ],
)
def test_a_refusal_is_not_asked_again(code: int, message: str, fix: str, service: Service) -> None:
    headers = {"Location": service.url + "/elsewhere"} if code == 302 else {}
    service.answers = [refused(code, message, headers)]
    with pytest.raises(JudgeError) as caught:
        judge().grade([TEXT])
    assert f"the Perspective API answers {code}" in str(caught.value)
    assert message in str(caught.value)
    assert fix in str(caught.value.fix)
    assert SECRET not in f"{caught.value} {caught.value.fix}"
    assert len(service.asked) == 1


def test_a_language_that_is_not_known_is_asked_for_as_english(service: Service) -> None:
    said = {"error": {"details": [{"errorType": "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"}]}}
    service.answers = [(400, json.dumps(said).encode(), {}), scored(0.25)]
    assert judge().grade([TEXT])[0].degree == 0.25
    assert [request.get("languages") for request in service.asked] == [None, ["en"]]


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>", {}),
        (200, b"[]", {}),
        (200, b"\xff", {}),
        (200, b'{"attributeScores": {}}', {}),
        scored("0.5"),
        scored(True),
        scored(1.5),
        scored(None),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: Answer, service: Service) -> None:
    service.answers = [answer]
    with pytest.raises(JudgeError, match=r"answer has no TOXICITY in \[0, 1\]"):
        judge().grade([TEXT])


def test_a_service_that_does_not_answer_is_asked_again_and_given_up(service: Service) -> None:
    service.answers = [None, scored(0.5)]
    assert judge(timeout=0.2).grade([TEXT])[0].degree == 0.5
    service.answers = [None]
    with pytest.raises(JudgeError, match=r"cannot be reached: .*timed out; asked 8 times"):
        judge(timeout=0.05).grade([TEXT])


def test_nobody_there_is_said(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, "http://127.0.0.1:1")
    with pytest.raises(JudgeError, match=r"cannot be reached: .*refused") as caught:
        judge().grade([TEXT])
    assert SECRET not in str(caught.value)


def test_a_key_is_needed_and_sent_over_https_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(URL, raising=False)
    with pytest.raises(JudgeError, match=f"{KEY} is not set"):
        open_judges([entry()], Path())
    monkeypatch.setenv(KEY, SECRET)
    assert list(open_judges([entry()], Path())) == ["toxicity"]
    for url in ("http://example.org", "ftp://127.0.0.1", "example.org"):
        monkeypatch.setenv(URL, url)
        with pytest.raises(JudgeError, match="only sent over https"):
            judge()


def test_another_service_is_refused() -> None:
    check_supported(entry(), "judge[1]")
    check_supported(entry(provider="Google", id="the Perspective API"), "judge[1]")
    with pytest.raises(CardError, match=r"judge\[1\] is 'omni' of OpenAI; this version asks"):
        check_supported(entry(provider="OpenAI", id="omni"), "judge[1]")
