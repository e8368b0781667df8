"""What was fine-tuned: weights that one can load, or a model behind an API."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from safebench.card.base import (
    IsoDate,
    Positive,
    Reported,
    Revision,
    Section,
    Seed,
    Settings,
    Sha256,
    Text,
)

Dtype = Literal["float64", "float32", "bfloat16", "float16"]
Quantization = Literal["nf4", "fp4", "int8", "int4", "fp8"]


class WeightsRef(Section):
    """A model, under a name that cannot come to mean another one."""

    id: Reported[Text]
    """Hub id, `builtin:NAME`, a folder (relative to the card), or an API's name for it."""
    revision: Revision | None = None
    """40-digit commit on the Hub, or `sha256:` and the digest of local files; filled by a run."""

    @property
    def name(self) -> str | None:
        """What people call it: of a folder its name, wherever it lies; None where not reported."""
        if not isinstance(self.id, str):
            return None
        is_local = str(self.revision).startswith("sha256:") and not self.id.startswith("builtin:")
        return PurePosixPath(self.id).name or self.id if is_local else self.id


class ChatTemplateCommon(Section):
    """What a template is given beside the conversation."""

    date: Reported[IsoDate] | None = None
    """Day that the template is told where it asks for the date, YYYY-MM-DD. Not with `none`."""
    arguments: Reported[Settings] | None = None
    """Further values by the name that the template reads, such as `enable_thinking`; `a.b` is the
    key `b` of a mapping `a`. Not with `none`."""


class ChatTemplateFromTokenizer(ChatTemplateCommon):
    """The template that the tokenizer carries."""

    source: Literal["tokenizer"]
    """Where the template comes from."""
    sha256: Reported[Sha256] | None = None
    """Digest of the template's text; filled by a run."""


class ChatTemplateFromFile(ChatTemplateCommon):
    """A template in a file of its own."""

    source: Literal["file"]
    """Where the template comes from."""
    path: Reported[Text]
    """Jinja file, relative to the card."""
    sha256: Reported[Sha256] | None = None
    """Digest of the template's text; filled by a run."""


class NoChatTemplate(Section):
    """Prompts are given as they are."""

    source: Literal["none"]
    """Where the template comes from."""


_Templates = Annotated[
    ChatTemplateFromTokenizer | ChatTemplateFromFile | NoChatTemplate,
    Field(discriminator="source"),
]
_TEMPLATES: dict[str, type[ChatTemplateFromTokenizer] | type[NoChatTemplate]] = {
    "tokenizer": ChatTemplateFromTokenizer,
    "none": NoChatTemplate,
}


def _in_full(value: Any) -> Any:
    """Return the template that a word stands for: `tokenizer` for `{source: tokenizer}`."""
    return _TEMPLATES[value](source=value) if isinstance(value, str) else value


if TYPE_CHECKING:  # a card that was read holds no word
    ChatTemplate = ChatTemplateFromTokenizer | ChatTemplateFromFile | NoChatTemplate
else:
    ChatTemplate = Annotated[Literal["tokenizer", "none"] | _Templates, AfterValidator(_in_full)]


class Weights(Section):
    """The weights of one training seed at one checkpoint."""

    training_seed: Reported[Seed]
    """Training seed that made them."""
    checkpoint: Reported[Positive]
    """Epoch, or step, at which they were saved."""
    condition: Literal["tuned", "control"] = "tuned"
    """Condition that they belong to."""
    form: Reported[Literal["adapter", "merged", "full"]] = "adapter"
    """An adapter; an adapter merged into the base before generation; or all weights."""
    path: Reported[Text] | None = None
    """Folder, relative to the card."""
    id: Reported[Text] | None = None
    """Hub id, where they lie there."""
    revision: Revision | None = None
    """40-digit commit on the Hub."""
    sha256: Reported[Sha256]
    """Digest of the safetensors file."""


class WeightsModel(Section):
    """A model whose weights can be loaded."""

    access: Literal["weights"] = "weights"
    """How the model is reached."""
    base: WeightsRef
    """The base model."""
    dtype: Reported[Dtype] = "float32"
    """Type of the weights during generation."""
    quantization: Reported[Literal["none"] | Quantization] = "none"
    """Quantization of the base weights during generation."""
    chat_template: Reported[ChatTemplate]
    """Chat template for evaluation, and for training unless that has another."""
    training_chat_template: Reported[ChatTemplate] | None = None
    """Chat template for training, where it is another one."""
    weights: Reported[tuple[Weights, ...]] | None = None
    """Weights by training seed and checkpoint; filled by a run."""
    reasoning_marks: Reported[tuple[Text, Text]] | None = None
    """Marks around the reasoning in its responses; `<think>` and `</think>` if left out."""
    checkpoint_rule: Reported[Text] = "fixed beforehand: the primary estimand names it"
    """How the checkpoint was chosen that the primary numbers are about."""


class ApiJob(Section):
    """One fine-tuning by a provider."""

    training_seed: Reported[Seed]
    """Training seed that was given or chosen."""
    job: Reported[Text]
    """The provider's id of the fine-tuning job."""
    snapshot: Reported[Text]
    """The provider's name of the model that came out."""


class ApiModel(Section):
    """A model that only its provider can run."""

    access: Literal["api"]
    """How the model is reached."""
    provider: Reported[Text]
    """Who runs it."""
    base: WeightsRef
    """The base model; its revision is `unpinnable`, with the days of the requests, or the digest of
    the file that is served."""
    snapshot: Reported[Text]
    """Dated snapshot that was requested, as the provider names it."""
    jobs: Reported[tuple[ApiJob, ...]] | None = None
    """Fine-tuning jobs by training seed; absent when nothing was tuned."""
    moderation: Reported[Text]
    """What filters prompts or answers in between; `none` where nothing does."""
    template_arguments: Reported[Settings] | None = None
    """What the server is asked to give its chat template, as `chat_template_kwargs`; whether the
    template reads it cannot be seen."""
    reasoning_marks: Reported[tuple[Text, Text]] | None = None
    """Marks around the reasoning in its responses; `<think>` and `</think>` if left out."""
    checkpoint_rule: Reported[Text] = "fixed beforehand: the primary estimand names it"
    """How the checkpoint was chosen that the primary numbers are about."""


def _access(value: Any) -> str:
    access = value.get("access") if isinstance(value, dict) else getattr(value, "access", None)
    return access if isinstance(access, str) else "weights"


Model = Annotated[
    Annotated[WeightsModel, Tag("weights")] | Annotated[ApiModel, Tag("api")],
    Discriminator(_access),
]
