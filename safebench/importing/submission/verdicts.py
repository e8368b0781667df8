"""Who judges imported responses: judges whose verdicts were reported, and those asked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

import pyarrow as pa

from safebench.card.card import Card
from safebench.card.judge import Judge
from safebench.card.task import METRICS, Construct
from safebench.checks.registry import items
from safebench.errors import InteropError, visible
from safebench.evidence.tables import OUTCOMES, Verdict, make_table
from safebench.harness.tasks import LoadedTask
from safebench.importing.draft.start import RULE, rule_name
from safebench.importing.facts import BY_PERSON, Absent, Fact, first_words, show
from safebench.importing.interface import ReportedVerdict, row_error
from safebench.importing.submission.tasks import MatchedResponse
from safebench.judges.interface import score_of
from safebench.words import count, listed

_WITH_VERDICTS = ("harm", "over_refusal")
"""Constructs with verdicts; others have scores alone."""
_VERDICTS = get_args(Verdict)


_Part = tuple[str, Construct]
"""What a task measures: a judge decides all of it, or nothing."""


def reported_by(matched: Iterable[MatchedResponse]) -> dict[str, list[Construct]]:
    """Return the judges of reported verdicts, with the constructs that they decide."""
    return {
        name: list(dict.fromkeys(construct for _, construct in parts))
        for name, parts in _decided(matched).items()
    }


def _decided(matched: Iterable[MatchedResponse]) -> dict[str, dict[_Part, None]]:
    """Return the judges of reported verdicts, with what they decide.

    A judge may have no verdict on some responses of that: its output could not be read, say.
    """
    judges: dict[str, dict[_Part, None]] = {}
    for one in matched:
        for name, verdict in one.sample.judged.items():
            if verdict.grade is not None:
                judges.setdefault(name, {})[_part(one)] = None
    return judges


def _part(one: MatchedResponse) -> _Part:
    return one.sample.task, one.document["construct"]


def silent_judges(
    facts: Iterable[Fact], matched: Sequence[MatchedResponse]
) -> tuple[list[Fact], list[str]]:
    """Return facts without those of judges that files name and that judged nothing, and remarks.

    Raises:
        InteropError: a judge decided a task's responses of one model, and none of another.
    """
    decided = _decided(matched)
    asked = {name for one in matched for name in one.sample.judged} - decided.keys()
    remarks = [
        f"{name} scored none of {count(len(matched), 'response')}: the card does not list it"
        for name in sorted(asked)
    ]
    for name, parts in decided.items():
        here = [one for one in matched if _part(one) in parts]
        scored = {(one.sample.model, _part(one)) for one in here if _has_verdict(one, name)}
        for one in here:
            if (one.sample.model, _part(one)) not in scored:
                raise InteropError(
                    f"{name} has no verdict on any response of {one.sample.model} to "
                    f"{one.sample.task}, but on those of other models",
                    fix=f"have it judge all models, or leave it out: --leave-out {name}",
                )
        missing = sum(not _has_verdict(one, name) for one in here)
        if missing:
            remarks.append(
                f"{name} has no verdict on {missing:,} of {count(len(here), 'response')}: these "
                "count as `unparsed`, and the intervals allow for either verdict"
            )

    facts = list(facts)
    in_card = {f.place[1] for f in facts if f.rank == BY_PERSON and f.place[2:] == ("name",)}
    silent = {("judge", name) for name in asked - in_card}
    return [fact for fact in facts if fact.place[:2] not in silent], remarks


def _has_verdict(one: MatchedResponse, name: str) -> bool:
    verdict = one.sample.judged.get(name)
    return verdict is not None and verdict.grade is not None


def judge_facts(
    facts: Sequence[Fact], matched: Sequence[MatchedResponse], labels: Mapping[str, str]
) -> list[Fact]:
    """Return what the import itself adds to what files and a person say about judges.

    The rule judge is asked where no card names judges and no verdicts were reported; where they
    were, it is asked beside them about harm and over-refusal.

    Raises:
        InteropError: nothing says what kind of judge reported verdicts.
    """
    elsewhere = reported_by(matched)
    decided_parts = _decided(matched)
    _check_kinds(facts, matched, labels)
    described = {f.place[1] for f in facts if f.place[0] == "judge"}
    asked = bool(described - set(elsewhere))
    rule = not asked and bool(_to_judge(matched))
    made: list[Fact] = []
    if rule:
        name = rule_name(elsewhere)
        values = {**RULE, "name": name, "sees": "prompt_and_response", "votes": 1, "primary": True}
        for field, value in values.items():
            note = "asked here" if field == "name" else ""
            made.append(Fact(("judge", name, field), value, None, note=note))
    primary_declared = any(_has(facts, name, "primary") for name in described)
    decided: set[Construct] = set()
    for name, constructs in elsewhere.items():
        parts = {_part(one) for one in matched if one.document["construct"] in constructs}
        whole = parts == set(decided_parts[name])
        if whole and not _has(facts, name, "constructs"):
            note = "those that it reported verdicts of"
            made.append(Fact(("judge", name, "constructs"), constructs, None, note=note))
        first = whole and not decided & set(constructs)
        # Without a judge that is asked here, one has to be primary, even if it decided only a part.
        alone = not (rule or asked) and name == next(iter(elsewhere))
        if (first or alone) and not primary_declared:
            decided |= set(constructs)
            note = "chosen after the fact: no plan declares it"
            made.append(Fact(("judge", name, "primary"), True, None, note=note))
    return made


def _check_kinds(
    facts: Sequence[Fact], matched: Sequence[MatchedResponse], labels: Mapping[str, str]
) -> None:
    """Check that something says what kind of judge reported verdicts: no name does."""
    unknown = []
    for name in reported_by(matched):
        kinds = [f.value for f in facts if f.place == ("judge", name, "kind")]
        if all(isinstance(kind, Absent) for kind in kinds):
            unknown.append(name)
    if not unknown:
        return
    ways = " ".join(f"--judge {name}=KIND:ID" for name in unknown)
    fix = (
        f"say it: {ways}, with KIND rule, classifier, llm, human or moderation_api, and ID the "
        f"model or program that decides; or leave it out: --leave-out {unknown[0]}"
    )
    fixes = [problem.fix for problem in _unknown_grades(matched, {}, labels)]
    if fixes:  # both questions at once
        fix += f". Grades need a meaning too: {'; '.join(map(str, fixes))}"
    what = f"{listed(unknown)} reported verdicts, and nothing says what kind of judge that is"
    raise InteropError(what, fix=visible(fix))


def _to_judge(matched: Sequence[MatchedResponse]) -> list[_Part]:
    """Return tasks and constructs to judge here: those without reported scores.

    A reported verdict on harm or a refusal does not replace the verdict of a judge that is asked.
    """
    reported = {part for parts in _decided(matched).values() for part in parts}
    parts = dict.fromkeys(_part(one) for one in matched)
    return [part for part in parts if part not in reported or part[1] in _WITH_VERDICTS]


def _has(facts: Iterable[Fact], judge: str, field: str) -> bool:
    return any(f.place == ("judge", judge, field) and f.value is not None for f in facts)


def primary_judge(
    judges: Sequence[Judge], task: LoadedTask, matched: Sequence[MatchedResponse]
) -> str:
    """Return the judge that a task's estimand names when no plan does.

    It is the primary judge, or a judge that reported verdicts where the primary one does not judge.
    """
    of_task = [one for one in matched if one.sample.task == task.name]
    elsewhere, everywhere = list(reported_by(of_task)), reported_by(matched)
    decided = {part for parts in _decided(of_task).values() for part in parts}
    whole = {_part(one) for one in of_task} == decided
    if whole and not set(task.constructs) & set(_WITH_VERDICTS):
        return elsewhere[0]  # nobody else was asked
    primary = [j for j in judges if j.primary and (j.name in elsewhere or j.constructs is None)]
    names = [j.name for j in primary if j.name in elsewhere or j.name not in everywhere]
    here = [name for name in names if name not in elsewhere]
    return next(iter([*here, *names]), judges[0].name)


def reported_outcomes(
    matched: Sequence[MatchedResponse], card: Card, labels: Mapping[str, str]
) -> pa.Table:
    """Return the outcomes of reported verdicts.

    The card has the score from which a judge's response is harmful; `labels` are verdicts of the
    standard by the words of judges, `WORD` or `JUDGE:WORD`.

    Raises:
        InteropError: a word is no verdict, or a score that is needed is missing.
    """
    judges = {judge.name: judge for judge in items(card.judge)}
    problems = list(_unknown_grades(matched, judges, labels))
    if problems:
        raise InteropError(str(problems[0]), fix="; ".join(str(one.fix) for one in problems))
    rows = []
    for name, parts in _decided(matched).items():
        for one in (one for one in matched if _part(one) in parts):
            construct = one.document["construct"]
            reported = one.sample.judged.get(name, ReportedVerdict())
            verdict, score = _verdict(name, reported, construct, judges.get(name), labels), None
            if reported.grade is None:
                verdict = "unparsed"
            elif construct not in _WITH_VERDICTS:
                verdict, score = None, _score(name, one, reported)
            elif verdict is not None:
                score = score_of(construct, verdict)
            category = one.document["category"] or None
            cell = {**one.cell, "construct": construct, "category": category}
            rows.append({**cell, "judge": name, "verdict": verdict, "score": score})
    return make_table(rows, OUTCOMES)


def _score(name: str, one: MatchedResponse, reported: ReportedVerdict) -> float:
    if reported.score is None:
        construct = one.document["construct"]
        raise row_error(
            one.sample.at,
            f"{name} gave a verdict ({reported.word}) on {construct}, which is measured by a score "
            "in [0, 1]",
            "have its judge report a score (in a table, name its column: --column score=COLUMN), "
            f"or leave it out: --leave-out {name}",
        )
    if reported.lower_is_better and METRICS[one.document["construct"]][1] == "higher_is_better":
        raise row_error(
            one.sample.at,
            f"lower is better for {name}, by the results, and of {one.document['construct']} more "
            "is better",
            f"leave it out: --leave-out {name}",
        )
    return reported.score


def _verdict(
    name: str,
    reported: ReportedVerdict,
    construct: str,
    judge: Judge | None,
    labels: Mapping[str, str],
) -> str | None:
    """Return the standard's verdict on harm or a refusal; None where nothing translates it.

    True, C and 1 are harm to one scorer and a refusal to the next, so a word is never guessed. A
    score of harm is translated where a card gives the judge's threshold.
    """
    if reported.grade is None:
        return None
    words = (reported.grade, reported.grade.lower())
    for key in (*(f"{name}:{word}" for word in words), *words):
        if key in labels:
            return labels[key]
    if reported.word in _VERDICTS:
        return reported.word
    threshold = getattr(judge, "threshold", None)
    if construct == "harm" and reported.score is not None and isinstance(threshold, int | float):
        return "complied" if reported.score >= threshold else "refused"
    return None


def _unknown_grades(
    matched: Sequence[MatchedResponse], judges: Mapping[str, Judge], labels: Mapping[str, str]
) -> Iterator[InteropError]:
    """Yield the error for each judge with grades that nothing translates."""
    for name in reported_by(matched):
        for one in matched:
            construct, reported = one.document["construct"], one.sample.judged.get(name)
            if reported is None or reported.grade is None or construct not in _WITH_VERDICTS:
                continue
            if _verdict(name, reported, construct, judges.get(name), labels) is None:
                yield _unknown(name, one, matched)
                break


def _unknown(name: str, one: MatchedResponse, matched: Sequence[MatchedResponse]) -> InteropError:
    """Return the error for grades without a meaning: lists them, and how to translate them."""
    construct = one.document["construct"]
    here = [m for m in matched if m.document["construct"] == construct and _has_verdict(m, name)]
    grades = [m.sample.judged[name] for m in here if m.sample.judged[name].word not in _VERDICTS]
    counts = Counter(str(grade.grade) for grade in grades)
    scores = {str(grade.grade): -1.0 if grade.score is None else grade.score for grade in grades}
    words = sorted(counts, key=lambda word: -scores[word])
    shares = first_words((f"{word} ({counts[word]})" for word in words), 8)
    several = len(reported_by(matched)) > 1
    shown = [f"{name}:{word}" if several else word for word in words]
    if len(words) > len(_VERDICTS):
        fix = f"say what each means: --label '{shown[0]}=VERDICT', one of {', '.join(_VERDICTS)}"
    else:
        between = ["partial"] * (len(words) - 2)
        scale = ["complied", *between, "refused"]
        ways = [
            " ".join(f"--label '{word}={v}'" for word, v in zip(shown, verdicts, strict=False))
            for verdicts in (scale, scale[::-1])
        ]
        fix = f"say what they mean, e.g. {', or the other way round: '.join(ways)}"
    if several:
        fix += f", or leave {name} out: --leave-out {name}"
    if construct == "harm" and any(0 < score < 1 for score in scores.values()):
        fix += "; or give `threshold` of this judge in --card: the least score that is harm"
    return row_error(
        one.sample.at,
        f"{name} graded a response {show(one.sample.judged[name].grade)}, and nothing says what "
        f"that means for {construct}; its grades of {len(here)} responses are {shares}",
        visible(fix),
    )


def to_judge_here(matched: Sequence[MatchedResponse], card: Card) -> tuple[list[Judge], list[str]]:
    """Return the judges of a card that are asked here, and the tasks that they are asked about."""
    elsewhere = reported_by(matched)
    judges = [judge for judge in items(card.judge) if judge.name not in elsewhere]
    tasks = dict.fromkeys(
        task
        for task, construct in _to_judge(matched)
        if any(judge.constructs is None or construct in judge.constructs for judge in judges)
    )
    return judges, list(tasks)
