"""A submission in memory: a card of what files say, and the outcomes of their responses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from safebench.card.card import Card
from safebench.card.task import Estimand, Task
from safebench.checks.registry import items
from safebench.errors import InteropError
from safebench.evidence.submission import Submission
from safebench.evidence.tables import COUNTED, RESPONSES, make_table, sort_table
from safebench.importing.draft.draft import bare_card
from safebench.importing.draft.settle import settle
from safebench.importing.draft.start import RULE, CardBasics, first_facts, rule_name
from safebench.importing.draft.tree import decoding_names
from safebench.importing.facts import Fact, short_id
from safebench.importing.submission.tasks import MatchedResponse
from safebench.importing.submission.verdicts import reported_by, reported_outcomes
from safebench.judges.judging import judge_responses
from safebench.judges.registry import open_judges
from safebench.progress import Silent

_Judged = dict[tuple[str, str], pa.Table]
"""Outcomes by task and judge."""


def submission_of(
    path: Path,
    title: str,
    facts: Sequence[Fact],
    matched: Sequence[MatchedResponse],
    labels: Mapping[str, str],
    remarks: list[str],
) -> Submission:
    """Return responses as a submission: reported scores, and verdicts of the rule judge.

    The rule judge reads what measures harm or over-refusal, and what nobody scored. Remarks say
    which reported grades could not be used.

    Raises:
        InteropError: two files contradict each other about how the responses were made.
        JudgeError: the rule judge cannot judge.
    """
    asked = rule_name({name for one in matched for name in one.sample.judged})
    rule = [
        Fact(("judge", asked, field), value, None)
        for field, value in {**RULE, "name": asked}.items()
    ]
    base = all(one.sample.model.condition == "base" for one in matched)
    basics = CardBasics(
        id=short_id(path.name, "runs"), title=title, method="none" if base else None
    )
    described, names = _decodings(list(_usable(facts)), matched)
    matched = [one.with_(decoding=names[one.sample.decoding]) for one in matched]
    filled = settle([*first_facts(basics, plan=False), *described, *rule], remarks)
    card = bare_card(filled)
    judged = _reported(matched, card, labels, remarks)
    scored = {task for task, _ in judged}
    read = [one for one in matched if _is_for_rule(one, scored)]
    if read:
        judged |= _by_rule(read, card, asked)
        unjudged = dict.fromkeys(one.sample.task for one in read if one.sample.task not in scored)
        remarks += [
            f"{task}: the files hold no verdicts that count, so the rule judge read the responses; "
            "another judge may differ"
            for task in unjudged
        ]
    if not judged:
        raise InteropError(
            f"{path}: nothing decides what the responses did",
            fix="give scores with the responses, or name tasks of harm with --measures",
        )
    outcomes = sort_table(pa.concat_tables(judged.values()))
    responses = make_table([_row(one) for one in matched], RESPONSES)
    return Submission.in_memory(_completed(card, matched, judged), path, outcomes, responses)


def _usable(facts: Sequence[Fact]) -> Iterator[Fact]:
    """Yield the facts that a card of runs can hold.

    It lists no judge whose kind nothing tells. How many prompts there were is counted here, and may
    differ between runs.
    """
    kinds = {
        fact.place[1]
        for fact in facts
        if fact.place[0] == "judge" and fact.place[2] == "kind" and isinstance(fact.value, str)
    }
    for fact in facts:
        if fact.place[0] == "tasks" and fact.place[2] in ("prompts", "limit", "available"):
            if fact.place[2] != "prompts":
                yield replace(fact, varies=True)
        elif fact.place[0] != "judge" or fact.place[1] in kinds:
            yield fact


def _decodings(
    facts: Sequence[Fact], matched: Sequence[MatchedResponse]
) -> tuple[list[Fact], dict[str, str]]:
    """Return facts that a card can hold, and every decoding's name by its key."""
    keys = dict.fromkeys(one.sample.decoding for one in matched)
    declared = {fact.place[1] for fact in facts if fact.place[2:] == ("do_sample",)}
    mine = [f for f in facts if f.place[0] != "decoding" or f.place[1] in keys]
    names = decoding_names(settle([f for f in mine if f.place[0] == "decoding"], []))
    names |= {key: short_id(key, "decoding") for key in keys if key not in names}
    if not declared.issuperset(keys):
        # A card's decoding says whether tokens were sampled; where no file does, it has none.
        mine = [fact for fact in mine if fact.place[0] != "decoding"]
    return mine, names


def _reported(
    matched: Sequence[MatchedResponse], card: Card, labels: Mapping[str, str], remarks: list[str]
) -> _Judged:
    """Return the outcomes of reported grades, without those whose meaning nothing tells."""
    found: _Judged = {}
    for task in dict.fromkeys(one.sample.task for one in matched):
        of_task = [one for one in matched if one.sample.task == task]
        for judge in reported_by(of_task):
            alone = [_alone(one, judge) for one in of_task]
            try:
                found[task, judge] = reported_outcomes(alone, card, labels)
            except InteropError as problem:
                remarks.append(f"{judge} does not count in {task}: {problem}; {problem.fix}")
    return found


def _alone(one: MatchedResponse, judge: str) -> MatchedResponse:
    """Return a response with the grade of one judge alone."""
    judged = one.sample.judged
    if judged.keys() <= {judge}:
        return one
    return one.with_(judged={name: grade for name, grade in judged.items() if name == judge})


def _is_for_rule(one: MatchedResponse, scored: set[str]) -> bool:
    construct = one.document["construct"]
    unscored = one.sample.task not in scored and bool(one.document["target"])
    return construct in COUNTED or (construct == "capability" and unscored)


def _by_rule(read: Sequence[MatchedResponse], card: Card, name: str) -> _Judged:
    entries = [judge for judge in items(card.judge) if judge.name == name]
    judges = open_judges(entries, Path())
    found: _Judged = {}
    for task in dict.fromkeys(one.sample.task for one in read):
        of_task = [one for one in read if one.sample.task == task]
        rows = make_table([_row(one) for one in of_task], RESPONSES)
        documents = {(task, one.document["prompt_id"]): one.document for one in of_task}
        found[task, name] = judge_responses(rows, documents, judges, Silent())
    return found


def _row(one: MatchedResponse) -> dict[str, Any]:
    """Return a row of the table of responses; prompts are compared by what is asked in them.

    lm-eval's own prompt has the template and examples around it, and its document has not.
    """
    document = None if one.document["own"] else one.sample.extra.get("doc")
    asked = one.document["prompt"]
    if document is not None:
        asked = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return one.row(asked)


def _completed(card: Card, matched: Sequence[MatchedResponse], judged: _Judged) -> Card:
    """Return the card with the judges that decided, and the estimand of every task."""
    names = {judge for _, judge in judged}
    known = {task.name: task for task in card.task_list()}
    tasks = []
    for name in dict.fromkeys(task for task, _ in judged):
        of_task = [one for one in matched if one.sample.task == name]
        constructs = dict.fromkeys(one.document["construct"] for one in of_task)
        judge = next(judge for task, judge in judged if task == name)
        primary = Estimand(decoding=of_task[0].sample.decoding, judge=judge)
        task = known.get(name, Task(name=name))
        update = {"construct": tuple(constructs), "primary": primary}
        tasks.append(task.model_copy(update=update))
    kept = tuple(judge for judge in items(card.judge) if judge.name in names)
    return card.model_copy(update={"judge": kept, "tasks": tuple(tasks)})
