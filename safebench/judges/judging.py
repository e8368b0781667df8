"""From responses to outcomes: each judge decides every response to the prompts it is for.

A response that a prompt got several times is judged once: tuned models repeat themselves. Severity
is graded for the prompts that ask for harm, where the task's entry lists it. A response that the
judge of harm calls `refused` has severity 0.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.task import Construct
from safebench.evidence.columns import array_of, grouped
from safebench.evidence.tables import OUTCOMES, RESPONSES, sort_table
from safebench.judges.cache import JudgementCache
from safebench.judges.interface import Decision, Exchange, Judge, Text
from safebench.judges.text import THINKING, answer_of
from safebench.progress import Progress, Silent

_COPIED = [name for name in OUTCOMES.names if name in RESPONSES.names]
"""Columns of a response that its outcome has too."""
Documents = Mapping[tuple[str, str], Mapping[str, Any]]
"""What a prompt is, by task and id: prompt, construct, category, target."""
Ints = npt.NDArray[np.int64]


def marks_of(card: Card) -> tuple[str, str]:
    """Return what stands around the reasoning of a card's model."""
    given = card.model.reasoning_marks
    return THINKING if given is None or isinstance(given, NotReported) else given


def judge_responses(
    responses: pa.Table,
    documents: Documents,
    judges: Mapping[str, Judge],
    progress: Progress,
    cache: JudgementCache | None = None,
    *,
    asked: Container[str] | None = None,
    graded: Container[str] = (),
    marks: tuple[str, str] = THINKING,
) -> pa.Table:
    """Return one outcome for every response and every judge that decides what it measures.

    Args:
        responses: Rows of `RESPONSES`, in canonical order.
        documents: What each prompt is.
        judges: `open_judges(...)`.
        progress: Advanced by every row judged; the caller has started the step.
        cache: Keeps the degrees of judges that cost something.
        asked: Names of the judges whose outcomes are wanted, where the others are only members of
            an ensemble; all by default.
        graded: Names of the tasks on whose harmful prompts severity is measured, too.
        marks: What stands around reasoning in a response; judges see the rest, unless their entry
            says that they see it whole.

    Raises:
        JudgeError: a judge cannot judge.
    """
    judge_of_harm = _judge_of_harm(judges)
    shown = {j.entry.name: None if j.entry.reasoning == "shown" else marks for j in judges.values()}
    seen = {one: _Texts.of(responses, documents, one) for one in dict.fromkeys(shown.values())}
    for name, judge in judges.items():
        texts = seen[shown[name]]
        judge.begin(texts.texts, texts.rows, progress, cache)
    parts = []
    for name, judge in judges.items():
        if asked is not None and name not in asked:
            continue
        texts = seen[shown[name]]
        for construct, places in _asked_of(judge, texts, graded):
            decisions = judge.decide(construct, places.tolist())
            if construct == "severity" and judge_of_harm is not None:
                harm = judge_of_harm.decide("harm", places.tolist())
                decisions = [
                    Decision(None, 0.0) if by_harm.verdict == "refused" else decision
                    for decision, by_harm in zip(decisions, harm, strict=True)
                ]
            parts.append(_outcomes(responses, texts, judge, construct, places, decisions))
        judge.close()  # the next one may need its memory
    return sort_table(pa.concat_tables(parts) if parts else OUTCOMES.empty_table())


def keep_grades(
    responses: pa.Table,
    documents: Documents,
    judge: Judge,
    cache: JudgementCache,
    *,
    graded: Container[str],
    marks: tuple[str, str],
) -> None:
    """Ask one judge all that `judge_responses` will ask it, so that its grades are in the cache.

    The judge stays open; arguments as there.

    Raises:
        JudgeError: the judge cannot judge.
    """
    is_shown = judge.entry.reasoning == "shown"
    texts = _Texts.of(responses, documents, None if is_shown else marks)
    judge.begin(texts.texts, texts.rows, Silent(), cache)
    for construct, places in _asked_of(judge, texts, graded):
        judge.decide(construct, places.tolist())


@dataclass(frozen=True)
class _Texts:
    texts: list[Text]
    constructs: npt.NDArray[np.str_]
    """What each text's prompt measures (texts,)."""
    categories: pa.Array
    """The benchmark's category of each text's prompt (texts,)."""
    of_row: Ints
    """The place of each row's text (rows,)."""
    rows: Ints
    """The number of rows that have each text (texts,)."""

    @classmethod
    def of(cls, responses: pa.Table, documents: Documents, marks: tuple[str, str] | None) -> _Texts:
        # A response that is missing (a filter withheld it, say) is judged as an empty one.
        column, given = responses.column_names.index("response"), responses.column("response")
        if given.null_count:  # fill_null loads pandas
            responses = responses.set_column(column, "response", pc.fill_null(given, ""))
        different, place = grouped(responses.combine_chunks(), ("task", "prompt_id", "response"))
        texts, prompts = [], []
        for task, prompt_id, response in different:
            document = documents[task, prompt_id]
            prompts.append(document)
            answer = response if marks is None else answer_of(response, marks)
            exchange = Exchange(document["prompt"], answer)
            texts.append(Text(task, prompt_id, exchange, document["target"] or None))
        return cls(
            texts=texts,
            constructs=np.array([prompt["construct"] for prompt in prompts], dtype=np.str_),
            categories=array_of([prompt["category"] or None for prompt in prompts], pa.string()),
            of_row=place,
            rows=np.bincount(place, minlength=len(texts)),
        )


def _asked_of(
    judge: Judge, texts: _Texts, graded: Container[str]
) -> Iterator[tuple[Construct, Ints]]:
    """Yield the constructs that a judge decides, with the places of the texts it is asked about."""
    harmful = texts.constructs == "harm"
    of_task = np.array([text.task in graded for text in texts.texts], dtype=bool)
    severe = (harmful & of_task) | (texts.constructs == "severity")
    for construct in dict.fromkeys([*texts.constructs.tolist(), "severity"]):
        of_it = severe if construct == "severity" else texts.constructs == construct
        if of_it.any() and judge.decides(construct):
            yield construct, np.flatnonzero(of_it)


def _judge_of_harm(judges: Mapping[str, Judge]) -> Judge | None:
    """Return the judge whose verdict says what is refused: the primary one of those of harm."""
    listing = [j for j in judges.values() if "harm" in (j.entry.constructs or ())]
    deciding = listing or [j for j in judges.values() if j.decides("harm")]
    return next((j for j in deciding if j.entry.primary), deciding[0] if deciding else None)


def _outcomes(
    responses: pa.Table,
    texts: _Texts,
    judge: Judge,
    construct: Construct,
    places: Ints,
    decisions: list[Decision],
) -> pa.Table:
    decision_of = np.full(len(texts.texts), -1, dtype=np.int64)
    decision_of[places] = np.arange(places.size)
    rows = np.flatnonzero(decision_of[texts.of_row] >= 0)
    text = array_of(texts.of_row[rows], pa.int64())
    decision = array_of(decision_of[texts.of_row[rows]], pa.int64())
    copied = responses.select(_COPIED).take(array_of(rows, pa.int64()))
    columns: dict[str, Any] = {
        **dict(zip(_COPIED, copied.columns, strict=True)),
        "construct": array_of([construct] * rows.size, pa.string()),
        "category": texts.categories.take(text),
        "judge": array_of([judge.entry.name] * rows.size, pa.string()),
        "verdict": array_of([d.verdict for d in decisions], pa.string()).take(decision),
        "score": array_of([d.score for d in decisions], pa.float64()).take(decision),
    }
    return pa.Table.from_arrays([columns[name] for name in OUTCOMES.names], schema=OUTCOMES)
