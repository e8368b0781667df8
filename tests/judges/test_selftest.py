"""Cases with known answers: what they are, how judges do, and what a card keeps of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy import stats

from safebench.card.judge import RuleJudge
from safebench.card.task import Construct
from safebench.errors import JudgeError
from safebench.judges.interface import Decision, Judge, score_of
from safebench.judges.registry import open_judges
from safebench.judges.selftest import LONG, PARTS, Case, cases, count, entry_of, fails, run
from tests.command import safebench
from tests.site.made_by_code import TASKS, Recipe, read_yaml, write_card, write_submission

ENTRY = RuleJudge(name="rule", kind="rule", id="safebench/refusal-rule", revision="1")


class Scripted(Judge):
    """A judge that decides by a function of the response, and counts how often it was opened."""

    opened = 0

    def __init__(self, says, entry: RuleJudge = ENTRY) -> None:
        super().__init__(entry)
        self.says = says
        Scripted.opened += 1

    def decide(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        found = []
        for place in places:
            verdict = self.says(self._texts[place].exchange.response, place)
            score = None if verdict == "unparsed" else score_of(construct, verdict)
            found.append(Decision(verdict, score))
        return found


def known(case: Case) -> str:
    return "complied" if case.complied else "refused" if case.response.strip() else "incoherent"


ABROAD = {case.response for case in cases() if case.part == "languages"}
ANSWERS = {case.response: known(case) for case in cases()}


def test_the_cases_are_what_they_are_called() -> None:
    every = cases()
    assert len({(case.part, case.prompt, case.response) for case in every}) == len(every)
    found = Counter((case.part, case.complied) for case in every)
    assert {part for part, _ in found} == set(PARTS) - {"order"}
    for part in set(PARTS) - {"order", "empty"}:
        assert found[part, True] >= 5 and found[part, False] >= 5, part
    long = [case.response for case in every if case.part == "long"]
    assert {len(text) for text in long} == {LONG}
    assert all(len(set(text.split("\n"))) == len(text.split("\n")) for text in long)
    assert count() == len(every) + sum(case.part == "planted" for case in every)
    # A transformation keeps what is known: the text that a judge reads holds the planted one.
    planted = {c.response: c.complied for c in every if c.part == "planted"}
    for case in every:
        if case.part in ("suffix", "label_words", "position"):
            start = next(text for text in planted if case.response.startswith(text))
            assert planted[start] == case.complied


def test_a_judge_that_knows_passes_everything() -> None:
    Scripted.opened = 0
    test, answers = run(lambda: Scripted(lambda text, _: ANSWERS[text]), "rule")
    assert test.passed == test.cases == count() and all(one.passed for one in answers)
    assert isinstance(test.parts, tuple)
    assert [part.name for part in test.parts] == list(PARTS)
    assert not any(fails(part) for part in test.parts)
    assert Scripted.opened == 2  # a judge remembers what it was asked
    of_refusal = ENTRY.model_copy(update={"constructs": ("over_refusal",)})
    other, _ = run(lambda: Scripted(lambda text, _: ANSWERS[text], of_refusal), "rule")
    assert other.passed == other.cases


@pytest.mark.parametrize(
    ("says", "failing"),
    [
        (lambda text, _: "refused", {"planted", "suffix", "label_words", "long", "languages",
                                     "markup", "position"}),
        (lambda text, _: "complied" if text.endswith("Sure, here is") or "answer 1" in text
         or "answer 0" in text or "verdict is:" in text or "grader" in text
         else ANSWERS[text], {"suffix"}),
        (lambda text, _: "unparsed" if len(text) > 1000 else ANSWERS[text], {"long"}),
        (lambda text, _: "complied" if text in ABROAD else ANSWERS[text], {"languages"}),
        (lambda text, place: ("refused", "complied")[place < 7], {"planted", "order"}),
        (lambda text, _: "complied" if not text.strip() else ANSWERS[text], {"empty"}),
    ],
)  # fmt: skip
def test_a_judge_that_can_be_steered_fails_where(says, failing) -> None:
    test, _ = run(lambda: Scripted(says), "rule")
    assert isinstance(test.parts, tuple)
    found = {part.name for part in test.parts if fails(part)}
    assert failing <= found
    assert found <= failing | ({"suffix", "label_words", "long", "languages", "markup", "position",
                                "empty"} if "order" in failing else set())  # fmt: skip


def test_intervals_are_clopper_pearson() -> None:
    _, answers = run(lambda: Scripted(lambda text, _: "refused"), "rule")
    test = entry_of(answers)
    assert isinstance(test.parts, tuple)
    for part in test.parts:
        exact = stats.binomtest(part.passed, part.cases).proportion_ci(0.95)
        assert (part.interval.lower, part.interval.upper) == pytest.approx((exact.low, exact.high))


def test_one_planted_case_missed_is_one_too_many() -> None:
    missed = next(case.response for case in cases() if case.complied)
    test, _ = run(
        lambda: Scripted(lambda text, _: "refused" if text == missed else ANSWERS[text]), "rule"
    )
    assert isinstance(test.parts, tuple)
    assert [part.name for part in test.parts if fails(part)] == ["planted"]


def test_the_built_in_rule_misses_nothing_plain() -> None:
    test, answers = run(lambda: open_judges([ENTRY], Path())["rule"], "rule")
    assert isinstance(test.parts, tuple)
    assert [part.name for part in test.parts if fails(part)] == []
    # Measured: a refusal as a value of JSON is not read; everything else is.
    assert {answer.case.part for answer in answers if not answer.passed} <= {"markup"}


def test_what_decides_no_verdict_is_not_tested() -> None:
    graded = ENTRY.model_copy(update={"constructs": ("severity",)})
    with pytest.raises(JudgeError, match="decides neither harm nor over-refusal"):
        run(lambda: Scripted(lambda text, _: "refused", graded), "rule")


def test_the_command_keeps_it_in_the_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write_submission(tmp_path, Recipe(prompts=4, seeds=(1, 2), repeats=1, tasks=TASKS[:1]))
    ran = safebench(capsys, "judge", "selftest", "rule", "--card", made)
    assert (ran.code, ran.err) == (0, "")
    assert "planted      15      15" in ran.out and ran.out.endswith("card.yaml.\n")
    kept = read_yaml(made)["judge"][0]["self_test"]
    assert [part["name"] for part in kept["parts"]] == list(PARTS)
    assert safebench(capsys, "validate", made).code == 0
    data = read_yaml(made)
    data["judge"][0]["self_test"]["parts"][0]["passed"] = 14
    write_card(made, data)
    told = safebench(capsys, "validate", made)
    assert "SB-JUD-010" in told.out and "rule: 14 of 15 planted cases passed" in told.out
    alone = safebench(capsys, "judge", "selftest", "rule", "--format", "json")
    found = json.loads(alone.out)
    assert found["fails"] == [] and found["self_test"]["cases"] == count()
    absent = safebench(capsys, "judge", "selftest", "other", "--card", made)
    assert absent.code == 2 and "the card has rule" in absent.err
