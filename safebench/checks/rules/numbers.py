"""Numbers of a report that are incomplete, or do not add up with each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.results import MARGIN, MOST_TRUNCATED, Change, Score, base_key, key_of
from safebench.checks.registry import Hit, Rules, Subject, duplicates, items, reported
from safebench.checks.rules.results import TOLERANCE
from safebench.words import percent

rules = Rules("card.md#results")


def _place(item: Score | Change) -> str:
    epoch = "" if item.checkpoint is None else f" at {item.checkpoint}"
    return f"{item.task} ({item.construct}), {item.condition}{epoch}, {item.decoding}"


@rules.warning("SB-RES-010")
def has_interval(subject: Subject) -> Iterator[Hit]:
    """Every number has its n and its interval.

    Without them, a score cannot be distinguished from another (arXiv 2506.17209).
    """
    for field, wanted in (("scores", ("n", "lower", "upper")), ("changes", ("lower", "upper"))):
        found: tuple[Score | Change, ...] = subject.scores if field == "scores" else subject.changes
        for number, item in enumerate(found):
            missing = [name for name in wanted if isinstance(getattr(item, name), NotReported)]
            if missing:
                yield Hit(
                    ("results", field, number, missing[0]),
                    f"{_place(item)}: {', '.join(missing)} not reported: "
                    "this number cannot be distinguished from another",
                    "give them; safebench score computes them from outcomes.parquet",
                )


@rules.error("SB-RES-011")
def runs_once(subject: Subject) -> Iterator[Hit]:
    """Every run is counted once.

    Counting one run twice makes the spread look smaller.
    """
    for number, score in enumerate(subject.scores):
        keys = [(reported(run.training_seed), reported(run.repeat)) for run in items(score.runs)]
        for position, (seed, repeat) in duplicates(keys):
            if repeat is None or (seed is None and score.condition != "base"):
                continue  # not known to be the same run
            whose = "the base model" if seed is None else f"training seed {seed}"
            yield Hit(
                ("results", "scores", number, "runs", position),
                f"repeat {repeat} of {whose} is listed before",
                "list every run once",
            )


@rules.error("SB-RES-012")
def seeds_measured(subject: Subject) -> Iterator[Hit]:
    """Every declared training seed was measured or is registered as lost.

    A seed left out of the mean may have been left out for its score.
    """
    training = subject.training_seeds
    if training is None:
        return
    lost = {
        (run.condition, reported(run.training_seed))
        for run in subject.runs
        if run.status != "finished"
    }
    for number, score in enumerate(subject.scores):
        if score.condition == "base" or isinstance(score.runs, NotReported):
            continue
        measured = {reported(run.training_seed) for run in score.runs}
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


@rules.error("SB-RES-013")
def repeats_measured(subject: Subject) -> Iterator[Hit]:
    """A score has the number of repeats that its decoding declares.

    Omitted repeats may have been omitted for their scores.
    """
    declared = {d.name: reported(d.repeats) for d in items(subject.card.decoding)}
    for number, score in enumerate(subject.scores):
        expected = declared.get(score.decoding)
        repeats = [reported(run.repeat) for run in items(score.runs)]
        if expected is None or not repeats or None in repeats:
            continue
        if set(repeats) != set(range(1, expected + 1)):
            yield Hit(
                ("results", "scores", number, "runs"),
                f"{_place(score)}: repeats {', '.join(map(str, sorted(set(repeats))))}, "
                f"but decoding {score.decoding} declares {expected}",
                "report every repeat, counted from 1",
            )


@rules.error("SB-RES-014")
def change_is_difference(subject: Subject) -> Iterator[Hit]:
    """A change is the score minus the base model's score.

    Both scores are published, so readers can check the difference.
    """
    scores = {key_of(score): reported(score.estimate) for score in subject.scores}
    for number, change in enumerate(subject.changes):
        stated = reported(change.estimate)
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


@rules.error("SB-RES-015")
def directions_add_up(subject: Subject) -> Iterator[Hit]:
    """The seeds that rise or fall are no more than the seeds compared.

    `In every seed` is the strongest claim that a small study can make.
    """
    for number, change in enumerate(subject.changes):
        up, down, seeds = (
            reported(change.seeds_up),
            reported(change.seeds_down),
            reported(change.seeds),
        )
        if None not in (up, down, seeds) and up + down > seeds:
            yield Hit(
                ("results", "changes", number, "seeds_up"),
                f"{up} up and {down} down of {seeds} training seeds",
                "count each training seed once",
            )


@rules.warning("SB-RES-016")
def base_measured(subject: Subject) -> Iterator[Hit]:
    """The base model is measured alongside the tuned one.

    The effect of tuning is a difference, which needs both scores.
    """
    missing = {base_key(score) for score in subject.scores}
    missing -= {key_of(score) for score in subject.scores}
    for number, score in enumerate(subject.scores):
        if base_key(score) not in missing:
            continue
        missing.remove(base_key(score))  # one finding for all of them
        yield Hit(
            ("results", "scores", number),
            f"{_place(score)}: there is no score of the base model to compare with",
            "measure the base model on the same prompts, with the same decoding and judge",
        )


@rules.error("SB-RES-017")
def stability_fits(subject: Subject) -> Iterator[Hit]:
    """Stability rests on the training seeds of the score, and on the standard's margin.

    With a margin of one's own choice, or without the runs that went wrong, every recipe is stable.
    """
    registered = [(run.condition, reported(run.training_seed)) for run in subject.runs]
    for number, score in enumerate(subject.scores):
        found = reported(score.stability)
        if found is None:
            continue
        place = ("results", "scores", number, "stability")
        margin, stated = reported(found.margin), reported(found.seeds)
        if margin is not None and abs(margin - MARGIN) > TOLERANCE:
            yield Hit(
                (*place, "margin"),
                f"margin is {margin:g}, but the standard's is {MARGIN:g}",
                "compute stability with the standard's margin",
            )
        seeds = {reported(run.training_seed) for run in items(score.runs)}
        if stated is None or not seeds or None in seeds:
            continue
        lost = {seed for condition, seed in registered if condition == score.condition}
        lost -= {*seeds, None}
        if stated != len(seeds) + len(lost):
            also = f" and {len(lost)} that were registered and lost" if lost else ""
            yield Hit(
                (*place, "seeds"),
                f"stability is reported for {stated} training seeds, "
                f"but the score has {len(seeds)}{also}",
                "correct the number; repeats of a seed are not further seeds",
            )


@rules.warning("SB-RES-018")
def few_truncated(subject: Subject) -> Iterator[Hit]:
    """Few responses are truncated, including the base model's.

    What a response would have said after the cut decides what it is, and a change is as much of the
    base model's responses as of the tuned one's.
    """
    results = subject.card.given_results
    primary = results.primary if results is not None else ()
    wanted = {key for item in primary for key in (key_of(item), base_key(item))}
    for number, score in enumerate(subject.scores):
        truncated = reported(score.truncated)
        if key_of(score) in wanted and truncated is not None and truncated > MOST_TRUNCATED:
            yield Hit(
                ("results", "scores", number, "truncated"),
                f"{_place(score)}: {percent(truncated)} of the responses were truncated at "
                "max_new_tokens",
                "raise max_new_tokens",
            )
