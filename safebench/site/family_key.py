"""What entries of one family have in common, as a digest and in words."""

from __future__ import annotations

from typing import NamedTuple

from safebench.card.base import NotReported, Unpinnable
from safebench.card.card import Card
from safebench.card.decoding import SAMPLING_FIELDS, Decoding
from safebench.card.digest import measurement_digest
from safebench.card.measured import MeasuredScore
from safebench.words import count, setting


class FamilyKey(NamedTuple):
    """What entries of one family have in common."""

    digest: str
    """Of everything that harm was measured by (`measurement_digest`)."""
    words: str
    """The same for a reader: task, prompts, decoding, judge."""


def family_of(card: Card, harm: MeasuredScore | None) -> FamilyKey:
    """Return what tells entries that may be read against each other."""
    if harm is None:
        return FamilyKey("", "")
    decodings = () if isinstance(card.decoding, NotReported) else card.decoding
    decoding = next((d for d in decodings if d.name == harm.decoding), None)
    parts = [
        harm.task,
        count(harm.prompts, "prompt"),
        harm.decoding if decoding is None else decoding_words(decoding),
        f"judged by {_judge(card, harm)}",
    ]
    return FamilyKey(measurement_digest(card, harm), ", ".join(parts))


def decoding_words(decoding: Decoding) -> str:
    """Return what a decoding does, whatever its submitter calls it: `temperature 0.7, 48 tokens`.

    What is left at its default, and so does nothing, is left out.
    """
    given = decoding.model_dump(exclude_defaults=True, exclude_none=True)
    names = [*SAMPLING_FIELDS, "repetition_penalty", "frequency_penalty", "presence_penalty"]
    parts = [] if decoding.do_sample else ["greedy"]
    parts += [f"{n} {setting(given[n])}" for n in names if isinstance(given.get(n), int | float)]
    length = decoding.max_new_tokens
    tokens = "tokens not reported" if isinstance(length, NotReported) else count(length, "token")
    return ", ".join([*(parts or ["sampled"]), tokens])


def _judge(card: Card, harm: MeasuredScore) -> str:
    if isinstance(card.judge, NotReported):
        return harm.judge
    judge = next((j for j in card.judge if j.name == harm.judge), None)
    if judge is None:
        return harm.judge
    if isinstance(judge.revision, Unpinnable):
        return f"{shown(judge.id)} (revision cannot be pinned)"
    revision = judge.revision if isinstance(judge.revision, str) else "(revision not reported)"
    short = revision[:12] if len(revision) > 24 else revision
    return f"{shown(judge.id)} {short}"


def shown(value: str | NotReported) -> str:
    """Return a text of a card, or words for its absence."""
    return value if isinstance(value, str) else "not reported"
