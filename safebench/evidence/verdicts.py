"""verdict.json: what a rerun found, number by number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from safebench.card.base import Name, Positive, Section, Sha256, TaskName, Text
from safebench.card.task import Construct
from safebench.errors import EvidenceError
from safebench.evidence.documents import read_json
from safebench.files import replace_file

VERDICT_FILE = "verdict.json"

Word = Literal["reproduced", "not_reproduced", "inconclusive", "no_verdict"]


class Side(Section):
    """One of the two submissions compared."""

    id: Text
    """The card's id."""
    organisation: Text
    """Who made it."""
    protocol: Sha256
    """Protocol digest."""
    outcomes_sha256: Sha256
    """Digest of its outcomes.parquet."""


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
    """Lower end of the 90 % interval, proportion; null when no spread was measured."""
    upper_points: float | None
    """Upper end of the 90 % interval, proportion; null when no spread was measured."""
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


class RerunReport(Section):
    """Everything a rerun found."""

    schema_version: Literal["safebench/verdict/1"] = "safebench/verdict/1"
    """Format of this file."""
    kind: Literal["retrain"]
    """What was repeated: `retrain` trains anew with new training seeds."""
    original: Side
    """The submission that was repeated."""
    rerun: Side
    """The repetition."""
    planned_seeds: Positive
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


def write_report(report: RerunReport, folder: Path) -> None:
    """Write verdict.json into a rerun's folder."""
    text = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / VERDICT_FILE, text.encode())


def read_report(folder: Path) -> RerunReport:
    """Read verdict.json of a rerun; raises EvidenceError."""
    path = folder / VERDICT_FILE
    document = read_json(path, "verdict")
    try:
        return RerunReport.model_validate_json(json.dumps(document))
    except ValidationError as problem:  # what a schema cannot say, such as that a number is finite
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EvidenceError(f"{path}: {where}: {first['msg']}") from problem


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema of verdict.json, published as spec/v1/verdict.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:safebench:spec:v1:verdict",
        **RerunReport.model_json_schema(mode="validation"),
        "title": "What a rerun found (verdict.json)",
    }
