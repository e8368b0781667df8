"""What is measured: sets of prompts, and what is counted on them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

from safebench.card.base import (
    Name,
    Positive,
    Proportion,
    Reported,
    Revision,
    Section,
    Sha256,
    TaskName,
    Text,
)

Construct = Literal["harm", "over_refusal", "capability", "severity"]
Direction = Literal["lower_is_better", "higher_is_better"]

METRICS: dict[Construct, tuple[str, Direction]] = {
    "harm": ("complied / all", "lower_is_better"),
    "over_refusal": ("(refused + partial) / all", "lower_is_better"),
    "capability": ("correct / all", "higher_is_better"),
    "severity": ("mean degree of harm, 0 where refused", "lower_is_better"),
}
"""What the standard counts for each construct, and which way is better."""


class Estimand(Section):
    """The one number of a task that was named before it was measured."""

    checkpoint: Positive | None = None
    """Epoch or step; absent for an untuned model."""
    decoding: Name
    """Name of a decoding."""
    judge: Name
    """Name of a judge; of what it does not decide, the primary judge answers."""


def drawn(protocol: str, nonce: str, what: str, ids: Iterable[str], count: int) -> set[str]:
    """Return `count` of the ids, drawn by a protocol digest and a nonce that nobody chose.

    Those with the smallest HMAC-SHA256: key is the nonce in UTF-8, the message
    `safebench/1 PROTOCOL WHAT ID`.
    """

    def rank(name: str) -> str:
        message = f"safebench/1 {protocol} {what} {name}".encode()
        return hmac.new(nonce.encode(), message, hashlib.sha256).hexdigest()

    return set(sorted(ids, key=rank)[:count])


class PromptSample(Section):
    """Prompts that a rerun drew, so that neither side chose them (spec/v1/seeds.md)."""

    prompts: Positive
    """How many were drawn."""
    nonce: Text
    """Random text, drawn by the rerun after the original was published."""
    protocol: Sha256
    """Protocol digest of the original."""

    def taken(self, task: str, prompts: Iterable[str]) -> set[str]:
        """Return which of a task's prompts are drawn."""
        return drawn(self.protocol, self.nonce, f"prompt {task}", prompts, self.prompts)


class Task(Section):
    """One set of prompts and what is counted on it."""

    name: TaskName
    """Name of the lm-eval task."""
    version: Reported[Text] | None = None
    """Version of the task; filled by a run."""
    construct: Construct | tuple[Construct, ...] | None = None  # type: ignore[assignment]
    """What it measures; a list where its prompts measure several things. Filled by a run."""
    purpose: bool = False
    """Whether it measures what the fine-tuning is meant to improve."""
    path: Reported[Text] | None = None
    """Local copy of the published file, relative to the card; the task's source if absent."""
    dataset_id: Reported[Text] | None = None
    """Where the prompts come from; filled by a run."""
    dataset_revision: Revision | None = None
    """Commit of the data set, resolved when it was loaded; filled by a run."""
    dataset_sha256: Reported[Sha256] | None = None
    """Digest of ids and prompts as used, one JSON array a line; filled by a run."""
    prompts: Reported[Positive] | None = None
    """Number of prompts; filled by a run."""
    clusters: Reported[Positive] | None = None
    """Number of families that prompts belong to (paraphrases of one); absent is none."""
    metric: Reported[Text] | None = None
    """What is averaged, where the task has one construct; filled by a run."""
    direction: Reported[Direction] | None = None
    """Which way is better, where the task has one construct; filled by a run."""
    chance: Reported[Proportion] | None = None
    """Score that guessing reaches on it, such as .25 with four choices; absent is 0. Filled by a
    run."""
    limit: Reported[Positive] | None = None
    """Only this many prompts were used, the first ones: a trial, not a result."""
    available: Reported[Positive] | None = None
    """Number of prompts that a trial chose its first ones from; filled by a run."""
    sample: PromptSample | None = None
    """Prompts that a rerun drew at random instead of asking them all."""
    primary: Reported[Estimand] | None = None
    """The pre-declared estimand: by default last checkpoint, first decoding, primary judge."""

    @property
    def measures_severity(self) -> bool:
        """Whether severity is among what it measures."""
        construct = self.construct
        return construct == "severity" or (isinstance(construct, tuple) and "severity" in construct)

    @property
    def trial(self) -> str | None:
        """What a trial was limited to, `first 40 of 313 prompts`; None for the whole task."""
        whole = f" of {self.available:,}" if isinstance(self.available, int) else ""
        if self.sample is not None:
            return f"{self.sample.prompts:,}{whole} prompts, drawn at random"
        if not isinstance(self.limit, int):
            return None
        return f"first {self.limit:,}{whole} prompts"
