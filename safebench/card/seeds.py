"""Where the randomness of training and generation comes from."""

from __future__ import annotations

from typing import Literal

from safebench.card.base import Positive, Reported, Section, Seed, Sha256, Text

Controlled = Literal["adapter_init", "data_order", "dropout"]


class FixedSeeds(Section):
    """Seeds of what the training seed does not set, the same in every run."""

    adapter_init: Reported[Seed] | None = None
    """Seed of the adapter's initial weights."""
    data_order: Reported[Seed] | None = None
    """Seed of the order of examples."""
    dropout: Reported[Seed] | None = None
    """Seed of dropout."""


class Seeds(Section):
    """Where the randomness of training and generation comes from."""

    scheme: Literal["derived", "declared"]
    """`derived`: computed from the protocol digest; `declared`: listed by the submitter."""
    training: Reported[Positive | tuple[Seed, ...]]
    """How many training seeds (scheme `derived`), or their values; a run fills in the values."""
    generation: Reported[Seed] | None = None
    """Root of all generation noise; filled by a run under `derived`."""
    controls: Reported[tuple[Controlled, ...]]
    """What each training seed sets."""
    fixed: Reported[FixedSeeds] | None = None
    """Seeds of what it does not set."""
    nonce: Reported[Text] = "self_derived"
    """Public value drawn after registration; `self_derived` when there is none."""
    nonce_source: Reported[Text] | None = None
    """Who drew the nonce, and when: a board, or a beacon and its round."""
    registration: Reported[Sha256] | None = None
    """Digest of registration.json beside the card, in which a board issued the nonce."""
    series: Literal["original", "rerun"] = "original"
    """Which series of derived seeds: the submitter's own, or a rerun's."""
    origin: Reported[Text] | None = None
    """Scheme `declared`: where the values come from."""
