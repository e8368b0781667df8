"""The sections of a report: what was measured, with what, and the files that prove it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple, Protocol, TypeVar

from pydantic import Field

from safebench.card.base import (
    Count,
    Difference,
    IsoDate,
    Name,
    NotNegative,
    Positive,
    Proportion,
    Reported,
    Section,
    Seed,
    Settings,
    Sha256,
    TaskName,
    Text,
    Texts,
)
from safebench.card.task import Construct

Condition = Literal["base", "tuned", "control"]
MARGIN = 0.1
"""The standard's margin on the scale 2 asin sqrt(score) (Cohen's h)."""
MOST_TRUNCATED = 0.1
"""Share of cut responses from which a score is about what was cut."""


class PlaceKey(NamedTuple):
    """What tells one number of a card from every other: all of it, or a look-up finds another."""

    task: str
    construct: str
    condition: str
    checkpoint: int | None
    decoding: str
    judge: str


class HasPlace(Protocol):
    """A number, or the outcomes that it is computed from."""

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def construct(self) -> str:
        """What is measured; a task may measure several things."""

    @property
    def condition(self) -> str:
        """Base, tuned or control."""

    @property
    def checkpoint(self) -> int | None:
        """Epoch or step; None for the base model."""

    @property
    def decoding(self) -> str:
        """Name of the decoding."""

    @property
    def judge(self) -> str:
        """Name of the judge."""


T = TypeVar("T", bound=HasPlace)


def key_of(item: HasPlace) -> PlaceKey:
    """Return what tells a number from every other number of its card."""
    return PlaceKey(
        item.task, item.construct, item.condition, item.checkpoint, item.decoding, item.judge
    )


def base_key(item: HasPlace) -> PlaceKey:
    """Return the key of the base model's number beside this one."""
    return key_of(item)._replace(condition="base", checkpoint=None)


def find(items: Iterable[T], key: PlaceKey) -> T | None:
    """Return the item with a key; None where nothing was measured there."""
    return next((item for item in items if key_of(item) == key), None)


class RunScore(Section):
    """The score of one run: one training seed, one repeat, every prompt once."""

    training_seed: Reported[Seed | None]
    """Training seed; null for the base model, which has none."""
    repeat: Reported[Positive]
    """Which repeat, from 1."""
    n: Reported[Positive]
    """Responses judged."""
    total: Reported[NotNegative]
    """Sum of their scores; for 0/1 outcomes the number of ones."""
    score: Reported[Proportion]
    """total / n."""


class Stability(Section):
    """How probably an independent rerun of one training seed lands within the margin."""

    point: Reported[Proportion | None]
    """Estimate; null when not rated, with fewer than three training seeds."""
    lower: Reported[Proportion | None]
    """One-sided 95 % lower bound, the headline; null when not rated."""
    lower_if_normal: Reported[Proportion | None]
    """The same bound where seeds spread normally, never below `lower`; null when not rated."""
    sigma_run: Reported[NotNegative | None]
    """SD over training seeds of 2 asin sqrt(score), projected to one repeat; null for one seed."""
    margin: Reported[Annotated[float, Field(gt=0.0)]]
    """Margin on the scale 2 asin sqrt(score) (Cohen's h)."""
    seeds: Reported[Positive]
    """Training seeds it rests on, those that were registered and lost counted as the worst."""
    pairs_within: Reported[NotNegative | None]
    """Disjoint pairs of seeds within the margin, averaged over all ways of pairing; null without
    a pair."""
    pairs: Reported[Count]
    """Disjoint pairs of seeds."""
    pairs_lower: Reported[Proportion | None]
    """Distribution-free companion: Clopper-Pearson bound on the pairs; null without a pair."""
    note: Reported[Text]
    """Method, or why it is not rated."""


class Place(Section):
    """What a number is about."""

    task: TaskName
    """Name of the task."""
    construct: Construct  # type: ignore[assignment]
    """What the task measures."""
    condition: Condition
    """Base, tuned or control."""
    checkpoint: Positive | None
    """Epoch or step; null for the base model."""
    decoding: Name
    """Name of the decoding."""
    judge: Name
    """Name of the judge."""


class Score(Place):
    """One number of the report, with its interval, its n and the runs it averages."""

    estimate: Reported[Proportion]
    """Mean over training seeds, repeats and prompts."""
    lower: Reported[Proportion]
    """Lower end of the 95 % interval."""
    upper: Reported[Proportion]
    """Upper end of the 95 % interval."""
    method: Reported[Text]
    """How the interval was computed."""
    n: Reported[Positive]
    """Responses judged."""
    prompts: Reported[Positive]
    """Distinct prompts."""
    runs: Reported[tuple[RunScore, ...]]
    """The score of every run."""
    bound: Reported[Proportion | None]
    """Harm only: share complied, partial or incoherent. Null for other constructs."""
    without_incoherent: Reported[Proportion | None]
    """The estimate over coherent responses alone; null where nothing is coherent or verdicts
    do not apply."""
    incoherent: Reported[Proportion | None]
    """Share of incoherent responses; null where verdicts do not apply."""
    unread: Reported[Proportion] | None = None
    """Share of responses on which the judge gave no verdict, because its output could not be read
    or it refused to judge; left out where there were none. The estimate is over the others; the
    interval holds whatever those would have been."""
    truncated: Reported[Proportion]
    """Share of responses cut at max_new_tokens."""
    blocked: Reported[Proportion]
    """Share of prompts or responses that a filter stopped."""
    stability: Reported[Stability | None]
    """Agreement between training seeds; null for the base model."""


class Change(Place):
    """Difference of a tuned condition from the base model, on the same prompts."""

    checkpoint: Positive
    """Epoch or step."""
    estimate: Reported[Difference]
    """Mean score minus the base's, a difference of proportions."""
    lower: Reported[Difference]
    """Lower end of the 95 % interval."""
    upper: Reported[Difference]
    """Upper end of the 95 % interval."""
    method: Reported[Text]
    """How the interval was computed."""
    prompts: Reported[Positive]
    """Prompts both were asked."""
    seeds_up: Reported[Count]
    """Training seeds whose score lies above the base's."""
    seeds_down: Reported[Count]
    """Training seeds whose score lies below the base's."""
    seeds: Reported[Positive]
    """Training seeds compared."""


class PrimaryEstimand(Place):
    """Which score answers for a construct; declared in the plan."""


class Results(Section):
    """Everything that was measured; each number is recomputed from the evidence by a validator."""

    primary: tuple[PrimaryEstimand, ...]
    """One pre-declared estimand per construct."""
    scores: tuple[Score, ...]
    """Every combination that was measured."""
    changes: tuple[Change, ...]
    """Every tuned score minus the base's."""


class EvidenceFile(Section):
    """A file of the submission."""

    path: Text
    """Path relative to the card."""
    sha256: Sha256
    """Digest of its bytes."""
    rows: Reported[Count] | None = None
    """Rows, for a table."""


class RegisteredRun(Section):
    """A run that the journal registered before it began."""

    training_seed: Reported[Seed | None]
    """Training seed; null for the base model."""
    condition: Condition
    """Condition."""
    status: Literal["finished", "failed", "withdrawn"]
    """How it ended."""
    reason: Reported[Text] | None = None
    """For a run that did not finish: why."""


class RerunEntry(Section):
    """A repetition of this card, whoever made it and however it came out."""

    id: Name
    """Id of the rerun's card."""
    kind: Literal["recompute", "rejudge", "regenerate", "retrain"]
    """What was done again."""
    organisation: Reported[Text]
    """Who made it."""
    date: Reported[IsoDate] | None = None
    """Day of the rerun, YYYY-MM-DD."""
    sha256: Reported[Sha256]
    """Digest of the rerun's outcomes.parquet."""
    training_seeds: Reported[tuple[Seed, ...]]
    """Training seeds it used."""
    verdict: Reported[Literal["reproduced", "not_reproduced", "inconclusive", "no_verdict"]]
    """What came out."""


class Evidence(Section):
    """The files behind the numbers."""

    manifest: Text
    """Path of manifest.json, relative to the card."""
    files: tuple[EvidenceFile, ...]
    """Every file with its digest."""
    response_policy: Reported[Literal["public", "redacted", "gated"]]
    """How responses are published."""
    access: Reported[Text] | None = None
    """For gated responses: how an auditor gets to see them."""
    runs: Reported[tuple[RegisteredRun, ...]]
    """Every registered run, those that failed or were withdrawn included."""
    reruns: Reported[tuple[RerunEntry, ...]] = ()
    """Every rerun that is known, none left out."""


class Environment(Section):
    """What the numbers were made with, as used; filled by a run."""

    harness: Reported[Text]
    """Evaluation harness and version."""
    python: Reported[Text]
    """Python version."""
    libraries: Reported[Texts]
    """Library name to version."""
    backend: Reported[Text]
    """What generates: `hf` is transformers, any other name lm-eval's model of that name."""
    backend_args: Reported[Settings] | None = None
    """Arguments of the backend, by name, as used; secrets are never among them."""
    device: Reported[Text]
    """`cpu`, or the accelerator's name."""
    threads: Reported[Positive] | None = None
    """Threads of one CPU operation."""
    batch_size: Reported[Positive]
    """Responses generated at once."""
    attention: Reported[Text]
    """Attention implementation."""
    tensor_parallel: Reported[Positive] = 1
    """Devices that one model is split over."""
    kv_cache_dtype: Reported[Text] = "auto"
    """Type of the cached keys and values; `auto` is that of the weights."""
    serving_quantization: Reported[Text] = "none"
    """Quantization that the server adds to the model's own."""
    determinism: Reported[tuple[Text, ...]] = ()
    """Flags that were set for determinism."""
    sampling_scheme: Reported[Text]
    """How sampling noise is drawn."""
