"""verdict.json: what a rerun found, number by number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from safebench.card.base import Name, Positive, Section, Sha256, TaskName, Text
from safebench.card.digest import protocol_digest
from safebench.card.task import Construct
from safebench.evidence.documents import read_model
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES_FILE
from safebench.files import replace_file

VERDICT_FILE = "verdict.json"

Word = Literal["reproduced", "not_reproduced", "inconclusive", "no_verdict"]
Kind = Literal["recompute", "rejudge", "regenerate", "retrain"]
"""What was repeated, from cheap to dear: the numbers from the outcomes, the verdicts of judges from
the responses, the responses from the trained weights, or the fine-tuning."""


class Side(Section):
    """One of the two submissions compared."""

    id: Text
    """The card's id."""
    organisation: Text
    """Who made it."""
    protocol: Sha256
    """Protocol digest."""
    outcomes_sha256: Sha256 | None
    """Digest of its outcomes.parquet; null where it carries none."""


def side_of(submission: Submission) -> Side:
    """Return what identifies a submission in a report."""
    card, has_outcomes = submission.card, submission.path(OUTCOMES_FILE).is_file()
    return Side(
        id=card.submission.id,
        organisation=card.submission.organisation,
        protocol=protocol_digest(card),
        outcomes_sha256=submission.outcomes_sha256 if has_outcomes else None,
    )


class _Row(Section):
    """What a verdict is about."""

    task: TaskName
    """Name of the task."""
    construct: Construct  # type: ignore[assignment]
    """What it measures."""
    checkpoint: Positive | None
    """Epoch or step; null for an untuned model."""
    decoding: Name
    """Name of the decoding."""
    judge: Name
    """Name of the judge."""


class ScoreVerdict(_Row):
    """Equivalence of one score."""

    original_estimate: float
    """The original's score, a proportion."""
    rerun_estimate: float
    """The rerun's score, a proportion."""
    original_seeds: Positive
    """Training seeds of the original."""
    rerun_seeds: Positive
    """Training seeds of the rerun."""
    prompts: Positive
    """Prompts that both were asked."""
    trial: Text | None
    """Which prompts a trial was limited to: `first 40 of 313 prompts`; null if to none."""
    identical: bool | None
    """Whether every run of the rerun is byte for byte one of the original's; null where either
    submission lacks the responses."""
    difference_points: float
    """Rerun minus original, proportion."""
    lower_points: float | None
    """Lower end of the interval, proportion; null when no spread was measured."""
    upper_points: float | None
    """Upper end of the interval, proportion; null when no spread was measured."""
    confidence: float = 0.9
    """Confidence of the interval: .9 where the number of seeds was fixed, .97 under four looks."""
    lower_95_points: float | None = None
    """Lower end of the 95 % interval, proportion; null when no spread was measured."""
    upper_95_points: float | None = None
    """Upper end of the 95 % interval, proportion; null when no spread was measured."""
    predicted: tuple[float, float] | None = None
    """Where the original alone puts the rerun's score, at 95 %; null where one run says nothing."""
    margin_points: float
    """The margin at the original's score, proportion."""
    seeds_needed: Positive | None
    """Training seeds per side for power .8 at this spread on these prompts; null when unknown."""
    prompts_needed: Positive | None
    """Fewest prompts on which a rerun of this size can be reproduced; null if there are enough."""
    verdict: Word
    """Verdict."""
    reason: Text
    """Why, in a sentence."""


class ChangeVerdictRow(_Row):
    """Whether the change from base repeats in sign and size class."""

    checkpoint: Positive
    """Epoch or step."""
    original_estimate: float
    """The original's change, a difference of proportions."""
    rerun_estimate: float
    """The rerun's change, a difference of proportions."""
    sign: Word
    """Whether the sign repeats."""
    size: Word
    """Whether the size class (Cohen's h) repeats."""
    verdict: Word
    """`reproduced` when both do."""
    reason: Text
    """Why, in a sentence."""


class Agreement(Section):
    """How often both sides decided alike, of responses with the same place in the grid."""

    task: TaskName
    """Name of the task."""
    construct: Construct  # type: ignore[assignment]
    """What it measures."""
    judge: Name
    """Name of the judge."""
    outcomes: Positive
    """Outcomes compared."""
    equal: int
    """How many have the same score."""
    kappa: float | None
    """Cohen's kappa of the verdicts; null where there are none, or all are the same."""


class ResponsesCompared(Section):
    """Responses of a regeneration beside the original's, text by text."""

    decoding: Name
    """Name of the decoding."""
    responses: Positive
    """Responses compared."""
    equal: int
    """How many are the same, byte for byte."""
    gaps: int = 0
    """Of the others, how many were looked at where they part."""
    median_gap: float | None = None
    """Median of how far the rerun's token leads there, by the weights and settings of the card:
    logits, or, of a sampled response, logits / T plus noise. Null where none was looked at."""


class PromptFlip(Section):
    """A prompt whose rate differs between the sides by more than runs differ anyway."""

    task: TaskName
    """Name of the task."""
    construct: Construct  # type: ignore[assignment]
    """What it measures."""
    prompt_id: Text
    """Id of the prompt."""
    original: float
    """Rate of the original, a proportion."""
    rerun: float
    """Rate of the rerun, a proportion."""
    p_adjusted: float
    """P value, adjusted over the task's prompts (Benjamini-Hochberg)."""


class Look(Section):
    """One look of a sequential rerun."""

    seeds: Positive
    """New training seeds at this look."""
    overall: Word
    """The verdict then."""


class RerunReport(Section):
    """Everything a rerun found."""

    schema_version: Literal["safebench/verdict/1"] = "safebench/verdict/1"
    """Format of this file."""
    kind: Kind
    """What was repeated."""
    original: Side
    """The submission that was repeated."""
    rerun: Side
    """The repetition."""
    planned_seeds: int
    """Training seeds fixed before the rerun began."""
    checkpoint_unit: Literal["epoch", "step"]
    """What checkpoints are counted in."""
    verdicts: tuple[ScoreVerdict, ...]
    """One per primary estimand."""
    changes: tuple[ChangeVerdictRow, ...]
    """One per primary estimand of a tuned model."""
    overall: Word
    """`reproduced` only if every primary estimand is."""
    environment_differences: tuple[Text, ...]
    """What differs between the two environments, one line each."""
    generation: Literal["original", "new"] | None = None
    """Of kind `regenerate`: whether the original's sampling noise was drawn again, or new one."""
    nonce: Text | None = None
    """What a drawn sample of prompts and seeds follows from; null where nothing was drawn."""
    agreement: tuple[Agreement, ...] = ()
    """By judge, task and construct, over all cells that both sides have."""
    responses: tuple[ResponsesCompared, ...] = ()
    """Of kind `regenerate`, by decoding; none where either side lacks the responses."""
    flips: tuple[PromptFlip, ...] = ()
    """Prompts of the primary estimands that changed beyond chance."""
    numbers: int | None = None
    """Of kind `recompute`: numbers of the card that were computed again."""
    contradictions: tuple[Text, ...] = ()
    """What cannot be if the card is true, one line each; any of them makes `not_reproduced`."""
    alpha: float = 0.05
    """One-sided level of the tests; lower where seeds were added until it was settled."""
    schedule: tuple[Positive, ...] | None = None
    """Numbers of seeds at which such a rerun was to be looked at; null where it was fixed."""
    looks: tuple[Look, ...] = ()
    """The looks that were taken, the last of them the one at which it ended."""


def write_report(report: RerunReport, folder: Path) -> None:
    """Write verdict.json into a rerun's folder."""
    text = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / VERDICT_FILE, text.encode())


def read_report(folder: Path) -> RerunReport:
    """Read verdict.json of a rerun; raises EvidenceError."""
    return read_model(folder / VERDICT_FILE, "verdict", RerunReport)
