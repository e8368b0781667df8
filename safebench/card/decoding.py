"""How prompts are put and logits are turned into text."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field

from safebench.card.base import (
    AboveZero,
    Count,
    Name,
    Positive,
    Proportion,
    Reported,
    Revision,
    Section,
    Settings,
    Text,
)

T = TypeVar("T")
_SAMPLING = "sampling"
Sampled = Annotated[T | None, _SAMPLING]
"""A setting that only sampling has; absent is none. All of them are in SAMPLING_FIELDS."""


class Decoding(Section):
    """One named way of turning logits into text."""

    name: Name
    """A short name, used in results."""
    do_sample: bool
    """Whether tokens are sampled; greedy otherwise."""
    temperature: Sampled[Reported[Annotated[float, Field(ge=0.0, le=100.0)]]] = None
    """Divisor of the logits; only when sampling."""
    top_p: Sampled[Reported[Annotated[float, Field(gt=0.0, le=1.0)]]] = None
    """Nucleus filter: smallest set of tokens with this probability."""
    top_k: Sampled[Reported[Positive]] = None
    """Keep this many most probable tokens."""
    min_p: Sampled[Reported[Proportion]] = None
    """Keep tokens at least this fraction as probable as the best one."""
    repetition_penalty: Reported[AboveZero] = 1.0
    """Divisor of the logits of tokens already seen; 1 is none."""
    frequency_penalty: Reported[float] | None = None
    """Subtracted from a token's logit per occurrence, where an API has it; 0 is none."""
    presence_penalty: Reported[float] | None = None
    """Subtracted from the logits of tokens already seen, where an API has it; 0 is none."""
    max_new_tokens: Reported[Positive]
    """Longest response, in tokens."""
    stop: Reported[tuple[Text, ...]] = ()
    """Strings that end a response, beside the end-of-text token."""
    reasoning_budget: Reported[Count] | None = None
    """Tokens a reasoning model may think before it answers; absent where it does not think."""
    repeats: Reported[Positive] = 1
    """Responses per prompt and model."""
    repeat_control: Reported[bool] = False
    """Greedy only: repeats vary batch size and order, to measure the machine."""
    extra: Reported[Settings] | None = None
    """Settings that have no field here, by the name the backend gives them."""


SAMPLING_FIELDS = tuple(
    name for name, field in Decoding.model_fields.items() if _SAMPLING in field.metadata
)
"""Fields that have a meaning only where tokens are sampled: passed on, checked and imported alike.
Our own engine applies them in models/sampling.py."""


class Attack(Section):
    """Adversarial rewriting of prompts."""

    name: Reported[Text]
    """What it is called, and where it is defined."""
    revision: Revision | None = None
    """Immutable revision of its code."""
    budget: Reported[Positive]
    """Attempts per prompt; the worst answer counts."""
    settings: Reported[Settings] | None = None
    """Its constants, by name."""


class Prompting(Section):
    """What surrounds a prompt."""

    system_prompt: Reported[Text] | None = None
    """Text of the system message; absent is none."""
    few_shot: Reported[Count] = 0
    """Worked examples before the prompt."""
    prefill: Reported[Text] | None = None
    """Text that the response is made to begin with; absent is none."""
    turns: Reported[Positive] = 1
    """Turns of the conversation before the response is judged, this one included."""
    language: Reported[Text] = "en"
    """Language of the prompts, as a BCP 47 tag."""
    attack: Reported[Literal["none"] | Attack] = "none"
    """Adversarial rewriting of prompts, and its budget."""
