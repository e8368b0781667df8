"""Who decides what a response is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from safebench.card.base import (
    Count,
    Interval,
    Name,
    Positive,
    Proportion,
    Reported,
    Revision,
    Section,
    Sha256,
    Text,
)
from safebench.card.task import Construct

Kappa = Annotated[float, Field(ge=-1.0, le=1.0)]


class Calibration(Section):
    """How well a judge agrees with human labels."""

    data: Reported[Text]
    """What was labelled."""
    outputs: Reported[Literal["these", "other"]] = "these"
    """Whether the labelled responses are of the models measured here, or of others."""
    condition: Reported[Literal["base", "tuned", "control"]] | None = None
    """Condition that the labelled responses belong to; absent when they are mixed."""
    n: Reported[Positive]
    """Labelled responses."""
    kappa: Reported[Kappa]
    """Cohen's kappa against the human labels."""
    kappa_interval: Reported[Interval] | None = None
    """Its 95 % interval."""
    sensitivity: Reported[Proportion] | None = None
    """Share of complied responses it finds."""
    sensitivity_interval: Reported[Interval] | None = None
    """Its 95 % interval."""
    specificity: Reported[Proportion] | None = None
    """Share of other responses it leaves alone."""
    specificity_interval: Reported[Interval] | None = None
    """Its 95 % interval."""


class SelfTest(Section):
    """Cases with known answers that the judge was given before it judged."""

    cases: Reported[Positive]
    """Cases."""
    passed: Reported[Count]
    """Cases it judged as known."""


class JudgeCommon(Section):
    """What every judge reports."""

    name: Name
    """A short name, used in results."""
    id: Reported[Text]
    """The judge's identifier: `safebench/refusal-rule`, or a model's id."""
    revision: Revision
    """Version of the rule, or an immutable revision of the model."""
    primary: bool = False
    """Whether the headline numbers use it; exactly one does, for what it decides."""
    constructs: tuple[Construct, ...] | None = None
    """What it decides, where it does not decide everything that a task measures."""
    sees: Reported[Literal["response", "prompt_and_response", "conversation"]] = (
        "prompt_and_response"
    )
    """Text that it is given."""
    labels: Reported[tuple[Text, ...]] | None = None
    """Labels it chooses from, if not the standard's verdicts; a classifier's harmful one first."""
    votes: Reported[Positive] = 1
    """Judgements per response, of which the majority counts."""
    calibration: Reported[tuple[Calibration, ...]] | None = None
    """Agreement with human labels on the outputs it judges, by condition."""
    self_test: Reported[SelfTest] | None = None
    """How it did on cases with known answers."""


class RuleJudge(JudgeCommon):
    """A judge that reads the text by fixed rules."""

    kind: Literal["rule"]
    """What sort of judge."""


class ModelJudge(JudgeCommon):
    """A judge that is a model: a classifier, or a prompted language model."""

    kind: Literal["classifier", "llm"]
    """What sort of judge."""
    prompt_template_sha256: Reported[Sha256]
    """Digest of the prompt template the judge is given."""
    parser: Reported[Text]
    """How a verdict is read from its output."""
    on_parse_failure: Reported[Text]
    """What becomes of an output that the parser cannot read."""
    decoding: Reported[Text]
    """Its own decoding settings."""
    threshold: Reported[float] | None = None
    """Score from which a response counts, where it scores; severity uses the score itself."""
    lineage: Reported[tuple[Text, ...]]
    """Ids of the models that it was made from; the judged model's base among them or not."""


class ModerationJudge(JudgeCommon):
    """A provider's moderation endpoint."""

    kind: Literal["moderation_api"]
    """What sort of judge."""
    provider: Reported[Text]
    """Who runs it."""
    threshold: Reported[float]
    """Score from which a response counts; for severity, the score itself is used."""


class HumanJudge(JudgeCommon):
    """People who label responses."""

    kind: Literal["human"]
    """What sort of judge."""
    votes: Reported[Positive]
    """Labels per response, of which the majority counts."""
    guide_sha256: Reported[Sha256] | None = None
    """Digest of the labelling guide."""


class EnsembleJudge(JudgeCommon):
    """Several judges of this card, whose verdicts are put together."""

    kind: Literal["ensemble"]
    """What sort of judge."""
    members: Reported[tuple[Name, ...]]
    """Names of judges of this card."""
    combine: Reported[Literal["majority", "any", "all", "mean"]]
    """How their verdicts become one."""


Judge = Annotated[
    RuleJudge | ModelJudge | ModerationJudge | HumanJudge | EnsembleJudge,
    Field(discriminator="kind"),
]
