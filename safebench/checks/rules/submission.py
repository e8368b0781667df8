"""Dates and references of the submission."""

from __future__ import annotations

from safebench.checks.registry import Hits, Rules, Subject, calendar_day, text

rules = Rules("card.md#submission")


@rules.error(
    "SB-SUB-001",
    "The date exists in the calendar.",
    condition="`submission.date` is no day of the Gregorian calendar. Points to it.",
    why="Boards sort cards by date.",
    fix="correct the date",
)
def _date_exists(subject: Subject) -> Hits:
    date = text(subject.card.submission.date)
    if date is not None and calendar_day(date) is None:
        yield ("submission", "date"), f"{date} does not exist in the calendar"


@rules.error(
    "SB-SUB-002",
    "The date is not in the future.",
    condition="`submission.date` is after tomorrow (UTC). Silent where SB-SUB-001 speaks. "
    "Points to it.",
    why="A card is dated when it is submitted, so that registered comes before measured.",
    fix="give the day of submission, or check the clock of this machine",
)
def _date_past(subject: Subject) -> Hits:
    date = text(subject.card.submission.date)
    day = calendar_day(date) if date is not None else None
    if day is not None and day > subject.tomorrow:
        yield ("submission", "date"), f"{date} is in the future"


@rules.error(
    "SB-SUB-003",
    "A card does not supersede itself.",
    condition="`submission.supersedes` equals `submission.id`. Points to `supersedes`.",
    why="The card that is replaced must remain findable under its own id.",
    fix="give the id of the card that this one replaces, or remove the field",
)
def _supersedes_other(subject: Subject) -> Hits:
    submission = subject.card.submission
    if submission.supersedes == submission.id:
        yield ("submission", "supersedes"), f"{submission.id} is this card's own id"


@rules.warning(
    "SB-SUB-004",
    "A claim about released weights is about one training run.",
    condition="`submission.object` is `artefact`, and `seeds.training` is above 1, or lists "
    "more than one. Points to `/submission/object`.",
    why="Five training seeds make five artefacts; a claim about all of them is about a recipe.",
    fix="set object: recipe, or keep the one seed whose weights are released",
)
def _artefact_is_one(subject: Subject) -> Hits:
    count = subject.seed_count
    if subject.card.submission.object == "artefact" and count is not None and count > 1:
        message = f"object is artefact, but there are {count} training seeds"
        yield ("submission", "object"), message
