"""Dates and references of the submission."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.checks.registry import Hit, Subject, calendar_day, known, rule, text

_SECTION = "card.md#submission"


@rule(
    "SB-SUB-001",
    "error",
    section=_SECTION,
    title="The date is a day of the calendar.",
    rationale="Boards sort by it.",
)
def date_exists(subject: Subject) -> Iterator[Hit]:
    """Find days such as the 30th of February."""
    stated = text(subject.card.submission.date)
    if stated is not None and calendar_day(stated) is None:
        yield Hit(
            ("submission", "date"), f"{stated} is not a day of the calendar", "correct the date"
        )


@rule(
    "SB-SUB-002",
    "error",
    section=_SECTION,
    title="The date is not in the future.",
    rationale="A card is dated when it is submitted, so that registered comes before measured.",
)
def date_past(subject: Subject) -> Iterator[Hit]:
    """Find dates after today; a day of grace covers the time zones."""
    stated = text(subject.card.submission.date)
    day = calendar_day(stated) if stated is not None else None
    if day is not None and day > subject.tomorrow:
        yield Hit(
            ("submission", "date"),
            f"{stated} is in the future",
            "give the day of submission, or see whether the clock of this machine is right",
        )


@rule(
    "SB-SUB-003",
    "error",
    section=_SECTION,
    title="A card does not supersede itself.",
    rationale="What is replaced has to remain findable under its own id.",
)
def supersedes_other(subject: Subject) -> Iterator[Hit]:
    """Find a card that names its own id."""
    submission = subject.card.submission
    if submission.supersedes == submission.id:
        yield Hit(
            ("submission", "supersedes"),
            f"{submission.id} is this card's own id",
            "give the id of the card that this one replaces, or remove the field",
        )


@rule(
    "SB-SUB-004",
    "warning",
    section=_SECTION,
    title="A claim about released weights is about one training run.",
    rationale="Five training seeds are five artefacts: a claim about all is one of a recipe.",
)
def artefact_is_one(subject: Subject) -> Iterator[Hit]:
    """Find artefacts with several training seeds."""
    training = known(getattr(known(subject.card.seeds), "training", None))
    count = len(training) if isinstance(training, tuple) else training
    if subject.card.submission.object == "artefact" and count is not None and count > 1:
        yield Hit(
            ("submission", "object"),
            f"object is artefact, but there are {count} training seeds",
            "set object: recipe, or keep the one seed whose weights are released",
        )
