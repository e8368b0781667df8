"""Dates and references of the submission."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.checks.registry import Hit, Rules, Subject, calendar_day, text

rules = Rules("card.md#submission")


@rules.error("SB-SUB-001")
def date_exists(subject: Subject) -> Iterator[Hit]:
    """The date exists in the calendar.

    Boards sort cards by date.
    """
    stated = text(subject.card.submission.date)
    if stated is not None and calendar_day(stated) is None:
        yield Hit(
            ("submission", "date"), f"{stated} does not exist in the calendar", "correct the date"
        )


@rules.error("SB-SUB-002")
def date_past(subject: Subject) -> Iterator[Hit]:
    """The date is not in the future.

    A card is dated when it is submitted, so that registered comes before measured.
    """
    stated = text(subject.card.submission.date)
    day = calendar_day(stated) if stated is not None else None
    if day is not None and day > subject.tomorrow:
        yield Hit(
            ("submission", "date"),
            f"{stated} is in the future",
            "give the day of submission, or check the clock of this machine",
        )


@rules.error("SB-SUB-003")
def supersedes_other(subject: Subject) -> Iterator[Hit]:
    """A card does not supersede itself.

    The card that is replaced must remain findable under its own id.
    """
    submission = subject.card.submission
    if submission.supersedes == submission.id:
        yield Hit(
            ("submission", "supersedes"),
            f"{submission.id} is this card's own id",
            "give the id of the card that this one replaces, or remove the field",
        )


@rules.warning("SB-SUB-004")
def artefact_is_one(subject: Subject) -> Iterator[Hit]:
    """A claim about released weights is about one training run.

    Five training seeds make five artefacts; a claim about all of them is about a recipe.
    """
    count = subject.seed_count
    if subject.card.submission.object == "artefact" and count is not None and count > 1:
        yield Hit(
            ("submission", "object"),
            f"object is artefact, but there are {count} training seeds",
            "set object: recipe, or keep the one seed whose weights are released",
        )
