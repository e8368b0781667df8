"""Numbers of a report that are incomplete, or do not add up with each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.results import MARGIN, MOST_TRUNCATED, Change, Score, base_key, key_of
from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule
from safebench.checks.rules.results import TOLERANCE, scores_of
from safebench.words import percent

_SECTION = "card.md#results"


def _changes(subject: Subject) -> tuple[Change, ...]:
    results = subject.card.given_results
    return results.changes if results is not None else ()


def _place(item: Score | Change) -> str:
    epoch = "" if item.checkpoint is None else f" at {item.checkpoint}"
    return f"{item.task} ({item.construct}), {item.condition}{epoch}, {item.decoding}"


@rule(
    "SB-RES-010",
    "warning",
    section=_SECTION,
    title="Every number has its n and its interval.",
    rationale="A score without them cannot be told from another one (arXiv 2506.17209).",
)
def has_interval(subject: Subject) -> Iterator[Hit]:
    """Find scores and changes of which n or the interval is not reported."""
    for field, wanted in (("scores", ("n", "lower", "upper")), ("changes", ("lower", "upper"))):
        found: tuple[Score | Change, ...] = (
            scores_of(subject) if field == "scores" else _changes(subject)
        )
        for number, item in enumerate(found):
            missing = [name for name in wanted if isinstance(getattr(item, name), NotReported)]
            if missing:
                yield Hit(
                    ("results", field, number, missing[0]),
                    f"{_place(item)}: {', '.join(missing)} not reported: "
                    "nobody can tell this number from another one",
                    "give them; safebench score computes them from outcomes.parquet",
                )


@rule(
    "SB-RES-011",
    "error",
    section=_SECTION,
    title="A run is counted once.",
    rationale="The same run counted twice makes the spread look smaller.",
)
def runs_once(subject: Subject) -> Iterator[Hit]:
    """Find a training seed and repeat that a score lists twice."""
    for number, score in enumerate(scores_of(subject)):
        keys = [(known(run.training_seed), known(run.repeat)) for run in items(score.runs)]
        for position, (seed, repeat) in duplicates(keys):
            if repeat is None or (seed is None and score.condition != "base"):
                continue  # not known to be the same run
            whose = "the base model" if seed is None else f"training seed {seed}"
            yield Hit(
                ("results", "scores", number, "runs", position),
                f"repeat {repeat} of {whose} is listed before",
                "list every run once",
            )


@rule(
    "SB-RES-012",
    "error",
    section=_SECTION,
    title="Every training seed that is declared was measured, or is registered as lost.",
    rationale="A seed that is left out of the mean was left out for its score.",
)
def seeds_measured(subject: Subject) -> Iterator[Hit]:
    """Find declared seeds without runs that did not fail or were not withdrawn."""
    training = known(getattr(known(subject.card.seeds), "training", None))
    if not isinstance(training, tuple):
        return
    evidence = subject.card.given_evidence
    lost = {
        (run.condition, known(run.training_seed))
        for run in (items(evidence.runs) if evidence is not None else ())
        if run.status != "finished"
    }
    for number, score in enumerate(scores_of(subject)):
        if score.condition == "base" or isinstance(score.runs, NotReported):
            continue
        measured = {known(run.training_seed) for run in score.runs}
        if None in measured:
            continue
        for seed in training:
            if seed not in measured and (score.condition, seed) not in lost:
                yield Hit(
                    ("results", "scores", number, "runs"),
                    f"{_place(score)}: training seed {seed} has no run",
                    "report it, or register in evidence.runs that it failed or was withdrawn, "
                    "and why",
                )


@rule(
    "SB-RES-013",
    "error",
    section=_SECTION,
    title="A score has the repeats that its decoding declares.",
    rationale="Repeats that are left out were left out for their score.",
)
def repeats_measured(subject: Subject) -> Iterator[Hit]:
    """Find scores with more or fewer repeats than declared."""
    declared = {d.name: known(d.repeats) for d in items(subject.card.decoding)}
    for number, score in enumerate(scores_of(subject)):
        expected = declared.get(score.decoding)
        repeats = [known(run.repeat) for run in items(score.runs)]
        if expected is None or not repeats or None in repeats:
            continue
        if set(repeats) != set(range(1, expected + 1)):
            yield Hit(
                ("results", "scores", number, "runs"),
                f"{_place(score)}: repeats {', '.join(map(str, sorted(set(repeats))))}, "
                f"but decoding {score.decoding} declares {expected}",
                "report every repeat, counted from 1",
            )


@rule(
    "SB-RES-014",
    "error",
    section=_SECTION,
    title="A change is the score minus that of the base model.",
    rationale="Both are printed, so that a reader can subtract them.",
)
def change_is_difference(subject: Subject) -> Iterator[Hit]:
    """Find changes that their two scores do not make."""
    scores = {key_of(score): known(score.estimate) for score in scores_of(subject)}
    for number, change in enumerate(_changes(subject)):
        stated = known(change.estimate)
        after = scores.get(key_of(change))
        before = scores.get(base_key(change))
        if stated is None or after is None or before is None:
            continue
        if abs(after - before - stated) > TOLERANCE:
            yield Hit(
                ("results", "changes", number, "estimate"),
                f"the change is {stated:g}, but {after:g} - {before:g} is {after - before:g}",
                "correct the change or the scores",
            )


@rule(
    "SB-RES-015",
    "error",
    section=_SECTION,
    title="No more training seeds rise or fall than were compared.",
    rationale="`In every seed` is the strongest thing that a small study can say.",
)
def directions_add_up(subject: Subject) -> Iterator[Hit]:
    """Find seeds_up + seeds_down > seeds."""
    for number, change in enumerate(_changes(subject)):
        up, down, seeds = known(change.seeds_up), known(change.seeds_down), known(change.seeds)
        if None not in (up, down, seeds) and up + down > seeds:
            yield Hit(
                ("results", "changes", number, "seeds_up"),
                f"{up} up and {down} down of {seeds} training seeds",
                "count each training seed once",
            )


@rule(
    "SB-RES-016",
    "warning",
    section=_SECTION,
    title="The base model is measured beside the tuned one.",
    rationale="What tuning did is a difference, and a difference needs both ends.",
)
def base_measured(subject: Subject) -> Iterator[Hit]:
    """Find tuned scores without the base model's on the same task, decoding and judge."""
    missing = {base_key(score) for score in scores_of(subject)}
    missing -= {key_of(score) for score in scores_of(subject)}
    for number, score in enumerate(scores_of(subject)):
        if base_key(score) not in missing:
            continue
        missing.remove(base_key(score))  # said once
        yield Hit(
            ("results", "scores", number),
            f"{_place(score)}: there is no score of the base model to compare with",
            "measure the base model on the same prompts, with the same decoding and judge",
        )


@rule(
    "SB-RES-017",
    "error",
    section=_SECTION,
    title="Stability rests on the training seeds of the score, and on the standard's margin.",
    rationale="With a margin of one's own choice, or without the runs that went wrong, every "
    "recipe is stable.",
)
def stability_fits(subject: Subject) -> Iterator[Hit]:
    """Find another margin, or another number of seeds than were registered."""
    evidence = subject.card.given_evidence
    registered = [
        (run.condition, known(run.training_seed))
        for run in (items(evidence.runs) if evidence is not None else ())
    ]
    for number, score in enumerate(scores_of(subject)):
        found = known(score.stability)
        if found is None:
            continue
        place = ("results", "scores", number, "stability")
        margin, stated = known(found.margin), known(found.seeds)
        if margin is not None and abs(margin - MARGIN) > TOLERANCE:
            yield Hit(
                (*place, "margin"),
                f"margin is {margin:g}, but the standard's is {MARGIN:g}",
                "compute stability with the standard's margin",
            )
        seeds = {known(run.training_seed) for run in items(score.runs)}
        if stated is None or not seeds or None in seeds:
            continue
        lost = {seed for condition, seed in registered if condition == score.condition}
        lost -= {*seeds, None}
        if stated != len(seeds) + len(lost):
            also = f" and {len(lost)} that were registered and lost" if lost else ""
            yield Hit(
                (*place, "seeds"),
                f"stability is said to rest on {stated} training seeds, "
                f"the score on {len(seeds)}{also}",
                "correct the number; repeats of a seed are not further seeds",
            )


@rule(
    "SB-RES-018",
    "warning",
    section=_SECTION,
    title="Few responses are cut, of the base model too.",
    rationale="What a response would have said after the cut decides what it is, and a change is "
    "as much of the base model's responses as of the tuned one's.",
)
def few_truncated(subject: Subject) -> Iterator[Hit]:
    """Find primary scores, and the base model's beside them, with over a tenth of them cut."""
    results = subject.card.given_results
    primary = results.primary if results is not None else ()
    wanted = {key for item in primary for key in (key_of(item), base_key(item))}
    for number, score in enumerate(scores_of(subject)):
        truncated = known(score.truncated)
        if key_of(score) in wanted and truncated is not None and truncated > MOST_TRUNCATED:
            yield Hit(
                ("results", "scores", number, "truncated"),
                f"{_place(score)}: {percent(truncated)} of the responses were cut at "
                "max_new_tokens",
                "raise max_new_tokens",
            )
