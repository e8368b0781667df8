"""Single prompts of a submission: which changed most, and, where the board shows them, their texts.

A text may do harm, so that none is shown unless two agree: the submission, whose card says that its
responses are public, and the board, whose `show_responses` is `folded`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from safebench import words
from safebench.card.measured import MeasuredScore, complete_results
from safebench.card.results import base_key, find, key_of
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.tables import RESPONSES, RESPONSES_FILE, read_pieces
from safebench.site.board import Board
from safebench.site.board_rows import primary
from safebench.site.sources import Entry

MOST_PROMPTS = 500
"""Prompts of a submission whose texts are shown; the file of responses has all."""
_PROMPT, _RESPONSE, _LINES = 600, 1_200, 40
"""The longest text that is shown whole, in characters, and in lines."""
_ROWS = 20_000
"""Responses that are in memory at once."""


@dataclass(frozen=True)
class Sample:
    """A prompt with the share of its responses that complied."""

    prompt: str
    category: str
    base: float
    tuned: float


class Said(NamedTuple):
    """A prompt or a response, of bounded length."""

    text: str | None = None
    """None where there was none."""
    cut: int = 0
    """Characters of the whole, where it is not shown whole."""
    verdict: str = "no response"
    """What the judge made of a response."""


class Texts(NamedTuple):
    """A prompt and what two models answered it, the first time they were asked."""

    sample: Sample
    prompt: Said
    base: Said
    tuned: Said


@dataclass(frozen=True)
class Shown:
    """The texts of a submission that its pages show."""

    texts: tuple[Texts, ...]
    score: MeasuredScore
    seed: int | None
    """Training seed of the fine-tuned model, the smallest one; None of a released model."""
    prompts: int
    """How many were measured, shown or not."""


def text_page(entry: str, number: int = 1) -> str:
    """Return the name of a page that shows texts of an entry; none of another has that name."""
    return f"samples/{entry}/{number}.html"


def has_texts(submission: Entry, board: Board) -> bool:
    """Whether texts of a submission are shown: the board, the card and the evidence have to agree.

    A text that was withheld, or is there as a commitment alone, is never shown.
    """
    evidence = submission.card.given_evidence
    return (
        board.show_responses == "folded"
        and evidence is not None
        and evidence.response_policy == "public"
        and RESPONSES_FILE in {file.path for file in evidence.files}  # its digest was checked
        and submission.path(RESPONSES_FILE).is_file()
        and _arms(submission, _harm(submission)) is not None
    )


def most_changed(submission: Entry, harm: MeasuredScore) -> list[Sample]:
    """Return the prompts by how far their share of complied responses changed, the widest first."""
    arms = _arms(submission, harm)
    if arms is None:
        return []
    tuned, base = arms
    after = dict(zip(tuned.prompts, tuned.scores.mean(axis=(0, 1)), strict=True))
    before = dict(zip(base.prompts, base.scores.mean(axis=(0, 1)), strict=True))
    categories = dict(zip(tuned.prompts, tuned.categories, strict=True))
    both = [prompt for prompt in after if prompt in before]
    both.sort(key=lambda prompt: (-abs(words.kept(after[prompt] - before[prompt])), prompt))
    return [Sample(p, categories[p], float(before[p]), float(after[p])) for p in both]


def texts(submission: Entry) -> Shown | None:
    """Read the texts that are shown of a submission; None where it has no harm to show.

    Raises:
        EvidenceError: the responses cannot be read.
    """
    harm = _harm(submission)
    arms = _arms(submission, harm)
    if harm is None or arms is None:
        return None
    changed = most_changed(submission, harm)
    samples = {one.prompt: one for one in changed[:MOST_PROMPTS]}
    tuned, base = arms
    prompts: dict[str, Said] = {}
    after = _responses(submission, tuned, samples, prompts)
    before = _responses(submission, base, samples, prompts)
    shown = [
        Texts(one, *(found.get(name, Said()) for found in (prompts, before, after)))
        for name, one in samples.items()
    ]
    return Shown(tuple(shown), harm, tuned.seeds[0], len(changed))


def _harm(submission: Entry) -> MeasuredScore | None:
    return primary(complete_results(submission.card), "harm")


def _arms(
    submission: Entry, harm: MeasuredScore | None
) -> tuple[OutcomeArray, OutcomeArray] | None:
    """Return the outcomes that a score of harm rests on, and those of the base model."""
    if harm is None or harm.condition == "base" or submission.card.given_evidence is None:
        return None
    tuned, base = (find(submission.blocks, key) for key in (key_of(harm), base_key(harm)))
    return None if tuned is None or base is None else (tuned, base)


def _responses(
    submission: Entry,
    arm: OutcomeArray,
    samples: dict[str, Sample],
    prompts: dict[str, Said],
) -> dict[str, Said]:
    """Return the first response of one model to every prompt, and note the prompts' texts.

    Of several training seeds, the smallest one's: outcomes have them in their order.
    """
    verdicts = dict(zip(arm.prompts, arm.verdicts[0, 0], strict=True))
    found: dict[str, Said] = {}
    for row in _rows(submission, arm, list(samples)):
        name, text = str(row["prompt_id"]), row["response"]
        prompts[name] = Said(*_bounded(row["prompt"] or "", _PROMPT))
        if text is not None:
            verdict = words.plain(str(verdicts[name]))
            found[name] = Said(*_bounded(text, _RESPONSE), verdict)
    return found


def _rows(
    submission: Entry, arm: OutcomeArray, prompts: Sequence[str]
) -> Iterator[dict[str, str | None]]:
    """Yield the rows of one model, decoding and task: its first seed and repeat alone."""
    path, wanted = submission.path(RESPONSES_FILE), pa.array(prompts, pa.string())
    same = {"condition": arm.condition, "decoding": arm.decoding, "task": arm.task, "repeat": 1}
    for piece in read_pieces(path, RESPONSES, rows_at_once=_ROWS):
        fits = pc.is_in(piece["prompt_id"].cast(pa.string()), value_set=wanted)
        for name, value in same.items():
            fits = pc.and_(fits, pc.equal(piece[name], value))
        for name, number in (("training_seed", arm.seeds[0]), ("checkpoint", arm.checkpoint)):
            column = piece[name]
            fits = pc.and_(fits, column.is_null() if number is None else pc.equal(column, number))
        kept = piece.filter(fits).select(["prompt_id", "prompt", "response"])
        yield from kept.to_pylist()


def _bounded(text: str, most: int) -> tuple[str, int]:
    """Return the beginning of a text, and how long it is where that is not the whole."""
    shown = "\n".join(text[:most].split("\n")[:_LINES])
    return shown, 0 if shown == text else len(text)
