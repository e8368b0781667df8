"""Who decides what a response is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from safebench.card.base import (
    Count,
    Interval,
    IsoDate,
    Name,
    NotNegative,
    Positive,
    Proportion,
    Reported,
    Revision,
    Section,
    Seed,
    Settings,
    Sha256,
    Text,
    Texts,
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
    construct: Reported[Construct] | None = None  # type: ignore[assignment]
    """What the labels decide; harm if left out."""
    group: Reported[Text] | None = None
    """Source model or category that the labelled responses belong to, where it is one of several:
    `model gpt4`, `category violence`."""
    drawn: Reported[Literal["random", "stratified", "chosen"]] | None = None
    """How the labelled responses were drawn from those of the data."""
    labels_sha256: Reported[Sha256] | None = None
    """Digest of the file of labels."""
    same_prompts: Reported[bool] | None = None
    """Whether prompts of the labelled responses are among those measured here."""
    positives: Reported[Count] | None = None
    """Labelled responses that the construct counts: of harm, those that complied."""
    found: Reported[Count] | None = None
    """Those of the positives that the judge counts, too."""
    negatives: Reported[Count] | None = None
    """Labelled responses that the construct does not count."""
    cleared: Reported[Count] | None = None
    """Those of the negatives that the judge does not count either."""
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


class SelfTestPart(Section):
    """One kind of case of a self-test."""

    name: Name
    """What is tried: `planted`, `suffix`, `empty`, ..."""
    cases: Positive
    """Cases."""
    passed: Count
    """Cases it judged as known."""
    interval: Interval
    """95 % interval of the share that passes (Clopper-Pearson)."""


class SelfTest(Section):
    """Cases with known answers that the judge was given before it judged."""

    cases: Reported[Positive]
    """Cases."""
    passed: Reported[Count]
    """Cases it judged as known."""
    parts: Reported[tuple[SelfTestPart, ...]] | None = None
    """The same by kind of case."""


class TemplateCommon(Section):
    """What every prompt template has."""

    prompt: Text | None = None
    """The text in the template that the prompt is put in place of: `{question}`."""
    response: Text | None = None
    """The text in the template that the response is put in place of: `{response}`."""
    system: Text | None = None
    """System message before it."""
    chat: bool = True
    """Whether the filled template is sent as a message of the user, in the chat template of the
    judge; the text alone otherwise."""
    date: IsoDate | None = None
    """Day that the chat template is told where it asks for the date, YYYY-MM-DD, at 00:00."""


class FileTemplate(TemplateCommon):
    """A prompt template in a file beside the card."""

    source: Literal["file"]
    """Where the template's text comes from."""
    path: Text
    """The file, UTF-8, relative to the card."""


class DistributionTemplate(TemplateCommon):
    """A prompt template that is a literal in an installed Python distribution."""

    source: Literal["distribution"]
    """Where the template's text comes from."""
    distribution: Text
    """Name of the distribution on PyPI."""
    version: Text
    """Its version."""
    file: Text
    """The file in it."""
    symbol: Text
    """The variable that holds the text; `NAME[1]` is the second text under that name."""


class OwnTemplate(TemplateCommon):
    """The judge's own chat template, given prompt and response as a conversation."""

    source: Literal["tokenizer"]
    """Where the template's text comes from."""
    arguments: Settings | None = None
    """What the template is given beside the conversation; `a.b` is the key `b` of a mapping `a`."""


Template = Annotated[
    FileTemplate | DistributionTemplate | OwnTemplate, Field(discriminator="source")
]


class JudgeSampling(Section):
    """How a prompted judge writes its output."""

    max_new_tokens: Positive
    """Tokens it may write."""
    temperature: NotNegative = 0.0
    """0 is greedy."""
    top_p: Proportion = 1.0
    """Nucleus that tokens are drawn from."""
    seed: Seed = 0
    """Root of the noise, or what an endpoint is sent."""


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
    reasoning: Reported[Literal["hidden", "shown"]] = "hidden"
    """Whether it sees what a response says between the model's marks of reasoning."""
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
    access: Reported[Literal["weights", "api"]] = "weights"
    """Whether its weights are loaded, or a server is asked."""
    provider: Reported[Text] | None = None
    """Who runs the server."""
    dtype: Reported[Literal["float32", "bfloat16", "float16"]] | None = None
    """Number type its weights compute in; float32 if left out."""
    template: Reported[Template] | None = None
    """Where the text comes from that prompt and response are put into."""
    sampling: Reported[JudgeSampling] | None = None
    """How its output is written, as numbers; `decoding` says it in words."""
    verdicts: Reported[Texts] | None = None
    """What each of its labels stands for: `refused`, `partial`, `complied` or `incoherent`."""
    thinking: Reported[tuple[Text, Text]] | None = None
    """Marks around reasoning in its output that is not the verdict; `<think>`, `</think>` if left
    out."""


class ModerationJudge(JudgeCommon):
    """A provider's moderation endpoint."""

    kind: Literal["moderation_api"]
    """What sort of judge."""
    provider: Reported[Text]
    """Who runs it."""
    threshold: Reported[float]
    """Score from which a response counts; for severity, the score itself is used."""


class LabelSheet(Section):
    """What one rater said."""

    path: Text
    """The file, relative to the card: CSV, JSON Lines, JSON or Parquet with columns `prompt`,
    `response` and `label`."""
    sha256: Reported[Sha256]
    """Its digest."""


class HumanJudge(JudgeCommon):
    """People who label responses."""

    kind: Literal["human"]
    """What sort of judge."""
    votes: Reported[Positive]
    """Labels per response, of which the majority counts."""
    guide_sha256: Reported[Sha256] | None = None
    """Digest of the labelling guide."""
    sheets: Reported[tuple[LabelSheet, ...]] | None = None
    """Their labels, a file for each rater."""


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
