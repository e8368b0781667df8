"""Responses of a submission, compared with its outcomes, its judges and each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from safebench.checks.registry import (
    COMMITMENTS_FILE,
    OUTCOMES_FILE,
    RESPONSES_FILE,
    Hits,
    Rules,
    Subject,
    items,
    reported,
    text,
)
from safebench.checks.rules.agreement import PROMPT, RESTORE, comparable
from safebench.errors import EvidenceError, JudgeError

if TYPE_CHECKING:
    import pyarrow as pa

rules = Rules("evidence.md#one-fact-in-two-places")
_DIGEST = re.compile("[0-9a-f]{64}")
FEWEST_SAMPLES = 50
"""Sampled responses from which two runs that share all of them cannot be two runs."""


@rules.error(
    "SB-EVI-022",
    "Every response has outcomes, every outcome its response, and both say how it ended.",
    why="A verdict on a text that is not there cannot be checked.",
    fix=RESTORE,
)
def _responses_match(subject: Subject) -> Hits:
    for name in (RESPONSES_FILE, COMMITMENTS_FILE):
        read = getattr(subject, name.removesuffix(".parquet"))
        if isinstance(read, EvidenceError):
            yield (subject.file_place(name), str(read), read.fix or RESTORE)
        table, outcomes = comparable(subject, name), comparable(subject, OUTCOMES_FILE)
        if table is None or outcomes is None:
            continue
        problems = _against_outcomes(table, outcomes)
        if name == RESPONSES_FILE:
            problems |= _lengths(subject, table)
        else:
            problems |= _no_commitments(table)
            if comparable(subject, RESPONSES_FILE) is not None:
                problems["stand beside their texts, in responses.parquet"] = [None]
        for what, found in problems.items():
            if found:
                example = min((f for f in found if f is not None), key=str, default=None)
                shown = " / ".join("-" if p is None else str(p) for p in example or ())
                message = f"{len(found):,} responses {what}" + (f": {shown}" if shown else "")
                yield (subject.file_place(name), message)


def _against_outcomes(table: pa.Table, outcomes: pa.Table) -> dict[str, list[Any]]:
    """Return the rows that differ from the outcomes, by what is wrong with them."""
    from safebench.evidence.columns import distinct, encoded

    names = [*PROMPT, "generation_seed", "status"]
    texts, judged = distinct(table, names), set(distinct(outcomes, names))
    codes, values = encoded(table, "response")
    ended, words = encoded(table, "status")
    pairs = [
        (values[code] is None, words[status])
        for code, status in zip(codes.tolist(), ended.tolist(), strict=True)
    ]
    return {
        "stand twice or more": [None] * (table.num_rows - len(texts)),
        "have no outcome": list(set(texts) - judged),
        "are missing, and have an outcome": list(judged - set(texts)),
        "have a text, and a status that says there is none": [
            None for empty, status in pairs if status in ("error", "not_run") and not empty
        ],
        "have no text, and a status that says there is one": [
            None for empty, status in pairs if status in ("ok", "truncated") and empty
        ],
    }


def _lengths(subject: Subject, responses: pa.Table) -> dict[str, list[Any]]:
    from safebench.evidence.columns import distinct

    longest = {d.name: reported(d.max_new_tokens) for d in items(subject.card.decoding)}
    counted = [
        (decoding, tokens)
        for decoding, tokens in distinct(responses, ["decoding", "new_tokens"])
        if tokens is not None
    ]
    return {
        "are longer than max_new_tokens": [
            (decoding, tokens)
            for decoding, tokens in counted
            if longest.get(decoding) is not None and tokens > longest[decoding]
        ],
        "have fewer than 0 tokens": list({(tokens,) for _, tokens in counted if tokens < 0}),
    }


def _no_commitments(table: pa.Table) -> dict[str, list[Any]]:
    from safebench.evidence.columns import encoded

    found = []
    for column in ("prompt", "response"):
        codes, values = encoded(table, column)
        wrong = {n for n, v in enumerate(values) if v is not None and not _DIGEST.fullmatch(v)}
        found += [None for code in codes.tolist() if code in wrong]
    return {"have something else than a commitment": found}


@rules.error(
    "SB-EVI-023",
    "Where a judge reads by a published rule, its verdicts are what the rule says of the texts.",
    why="A verdict that its judge does not give was given by somebody else.",
    fix=RESTORE,
)
def _verdicts_are_the_judges(subject: Subject) -> Hits:
    from safebench.judges.judging import marks_of
    from safebench.judges.rule import decisions, rule_of
    from safebench.judges.text import answer_of

    marks = marks_of(subject.card)
    responses, outcomes = comparable(subject, RESPONSES_FILE), comparable(subject, OUTCOMES_FILE)
    if responses is None or outcomes is None:
        return
    prompts: dict[tuple[str, str], Any] = {}
    for task in subject.card.task_list():
        loaded = subject.task_documents.get(task.name)
        if loaded is not None and loaded.dataset_sha256 == text(task.dataset_sha256):
            prompts |= {(task.name, d["prompt_id"]): d for d in loaded.documents}
    texts = _texts(responses)
    for number, judge in enumerate(items(subject.card.judge)):
        if judge.kind != "rule":
            continue
        try:
            rule = rule_of(str(judge.id), str(judge.revision))
        except JudgeError:
            continue  # another rule says that nobody knows it
        whole = judge.reasoning == "shown"
        judged, asked = [], []
        for row, count, verdict, score in _judged(outcomes, judge.name, texts):
            (task_name, prompt_id, construct), (prompt, response) = row
            document = prompts.get((task_name, prompt_id))
            if construct == "severity" or (construct == "capability" and document is None):
                continue
            judged.append((prompt_id, count, verdict, score))
            asked.append(
                (
                    construct,
                    document["prompt"] if document else prompt,
                    response or "" if whole else answer_of(response or "", marks),
                    (document["target"] or None) if document else None,
                )
            )
        wrong, first = 0, ""
        decided = (one for chunk in decisions(rule, asked) for one in chunk)
        for (prompt_id, count, verdict, score), by_rule in zip(judged, decided, strict=True):
            if (by_rule.verdict, by_rule.score) != (verdict, score):
                wrong += count
                first = first or (
                    f"{prompt_id}: {verdict or f'{score:g}'}, the rule says "
                    f"{by_rule.verdict or f'{by_rule.score:g}'}"
                )
        if wrong:
            yield (
                ("judge", number),
                f"{wrong:,} outcomes are not what {judge.id} decides of the responses; {first}",
                "judge the responses again",
            )


def _texts(responses: pa.Table) -> dict[tuple[Any, ...], tuple[str, str | None]]:
    """Return prompt and response by condition, seed, checkpoint, decoding, repeat, task, prompt."""
    columns = [responses.column(name).to_pylist() for name in (*PROMPT, "prompt", "response")]
    return {row[:-2]: (row[-2], row[-1]) for row in zip(*columns, strict=True)}


def _judged(
    outcomes: pa.Table, judge: str, texts: Mapping[tuple[Any, ...], tuple[str, str | None]]
) -> Iterator[tuple[tuple[Any, Any], int, str | None, float]]:
    """Yield what a judge was asked, once for each different answer it gave, and how often."""
    from safebench.evidence.columns import rows_with

    names = [*PROMPT, "construct", "status", "verdict", "score"]
    found: dict[Any, int] = {}
    rows = rows_with(outcomes, {"judge": judge})
    for row in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
        *key, construct, status, verdict, score = row
        exchange = texts.get(tuple(key))
        if exchange is not None and status not in ("error", "not_run"):
            asked = ((key[5], key[6], construct), exchange)
            found[asked, verdict, score] = found.get((asked, verdict, score), 0) + 1
    for (asked, verdict, score), count in found.items():
        yield asked, count, verdict, score


@rules.error(
    "SB-EVI-024",
    "Two training seeds do not give the same sampled texts.",
    why="One run under two names makes any number look stable.",
    fix=RESTORE,
)
def _seeds_differ(subject: Subject) -> Hits:
    responses = comparable(subject, RESPONSES_FILE)
    if responses is None:
        return
    sampled = {d.name for d in items(subject.card.decoding) if d.do_sample}
    runs: dict[tuple[Any, ...], dict[Any, dict[Any, str | None]]] = {}
    names = [*PROMPT, "response"]
    for row in zip(*(responses.column(name).to_pylist() for name in names), strict=True):
        condition, seed, checkpoint, decoding, *prompt, response = row
        if decoding in sampled:
            of = runs.setdefault((condition, checkpoint, decoding), {}).setdefault(seed, {})
            of[tuple(prompt)] = response
    for (condition, checkpoint, decoding), by_seed in runs.items():
        for (one, first), (other, second) in itertools.combinations(by_seed.items(), 2):
            several = len(first) >= FEWEST_SAMPLES and len(set(first.values())) > 1
            if several and first == second:
                yield (
                    subject.file_place(RESPONSES_FILE),
                    f"seeds {one} and {other} ({condition}, checkpoint {checkpoint}, {decoding}) "
                    f"share all {len(first):,} sampled texts",
                    "train and sample with each seed",
                )
