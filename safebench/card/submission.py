"""Who submits a card: nothing here changes an outcome."""

from __future__ import annotations

from typing import Literal

from safebench.card.base import IsoDate, Name, NotReported, Reported, Section, Sha256, Text


class Submitter(Section):
    """Who answers for the card."""

    name: Reported[Text]
    """A person's or a laboratory's name."""
    organisation: Reported[Text] | None = None
    """The organisation, if it is not the name; a rerun by another one counts for more."""
    contact: Reported[Text]
    """An address at which questions are answered."""


class Repeats(Section):
    """What a rerun repeats; it measures the primary estimands alone unless it says more."""

    protocol: Sha256
    """Protocol digest of the original."""
    kind: Literal["rejudge", "regenerate", "retrain"]
    """What was done again: the judging, the generating, or the fine-tuning."""


class SubmissionInfo(Section):
    """What this card is and who submits it; nothing here changes an outcome."""

    id: Name
    """A short name, unique on a board."""
    title: Reported[Text]
    """One line a reader of the board sees."""
    submitter: Reported[Submitter]
    """Who answers for the card."""
    date: Reported[IsoDate] | None = None
    """Day of submission, YYYY-MM-DD."""
    licence: Reported[Text] | None = None
    """SPDX identifier of the licence of card and evidence."""
    relationship: Literal["first_party", "third_party"]
    """Whether the submitter made the model, or describes somebody else's work."""
    supersedes: Reported[Name] | None = None
    """Id of the card that this one replaces."""
    repeats: Repeats | None = None
    """Of a rerun: what it repeats. Absent is an original."""
    object: Literal["recipe", "artefact"] = "recipe"
    """Whether the claim is about the procedure (seeds vary) or about released weights."""

    @property
    def organisation(self) -> str:
        """Who answers for the card, by the organisation where one is named."""
        if isinstance(self.submitter, NotReported):
            return "not reported"
        named = self.submitter.organisation
        name = named if isinstance(named, str) else self.submitter.name
        return name if isinstance(name, str) else "not reported"
