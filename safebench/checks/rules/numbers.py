"""Numbers of a report that are incomplete, or do not add up with each other."""

from __future__ import annotations

from safebench.card.base import NotReported
from safebench.card.results import MARGIN, MOST_TRUNCATED, Change, Score, base_key, key_of
from safebench.checks.registry import Hits, Rules, Subject, duplicates, items, reported
from safebench.checks.rules.results import TOLERANCE
from safebench.words import percent

rules = Rules("card.md#results")
_FEWEST = 3
"""Training seeds from which on stability has a bound."""


def _place(item: Score | Change) -> str:
    epoch = "" if item.checkpoint is None else f" at {item.checkpoint}"
    return f"{item.task} ({item.construct}), {item.condition}{epoch}, {item.decoding}"


@rules.warning(
    "SB-RES-010",
    "Every number has its n and its interval.",
    condition="`n`, `lower` or `upper` of a score, or `lower` or `upper` of a change, is "
    "`not_reported`. Points to the first of them, once.",
    why="Without them, a score cannot be distinguished from another (arXiv 2506.17209).",
    fix="give them; safebench score computes them from outcomes.parquet",
)
def _has_interval(subject: Subject) -> Hits:
    for field, needed in (("scores", ("n", "lower", "upper")), ("changes", ("lower", "upper"))):
        for at, item in subject.each(f"results.{field}"):
            missing = [name for name in needed if isinstance(getattr(item, name), NotReported)]
            if missing:
                yield (
                    (*at, missing[0]),
                    f"{_place(item)}: {', '.join(missing)} not reported: "
                    "this number cannot be distinguished from another",
                )


@rules.error(
    "SB-RES-011",
    "Every run is counted once.",
    condition="A run of a score has the training seed (null in condition `base` alone) and "
    "repeat of an earlier run of it. Points to the later run.",
    why="Counting one run twice makes the spread look smaller.",
    fix="list every run once",
    each="results.scores",
)
def _runs_once(score: Score) -> Hits:
    keys = [(reported(run.training_seed), reported(run.repeat)) for run in items(score.runs)]
    for position, (seed, repeat) in duplicates(keys):
        if repeat is None or (seed is None and score.condition != "base"):
            continue  # not known to be the same run
        whose = "the base model" if seed is None else f"training seed {seed}"
        yield ("runs", position), f"repeat {repeat} of {whose} is listed before"


@rules.error(
    "SB-RES-012",
    "Every declared training seed was measured or is registered as lost.",
    condition="An item of the list `seeds.training` is the seed of no run of a score of "
    "condition `tuned` or `control`, and `evidence.runs`, if given, has no run of that "
    "condition and seed with another status than `finished`. Silent where the seed of a run "
    "of the score is null or not given. Points to `runs` of the score.",
    why="A seed left out of the mean may have been left out for its score.",
    fix="report it, or register in evidence.runs that it failed or was withdrawn, and why",
)
def _seeds_measured(subject: Subject) -> Hits:
    lost = {
        (run.condition, reported(run.training_seed))
        for run in subject.runs
        if run.status != "finished"
    }
    for at, score in subject.each("results.scores"):
        measured = {reported(run.training_seed) for run in items(score.runs)}
        # A run whose seed is not reported may be any of those that seem to be missing.
        if score.condition == "base" or None in measured or isinstance(score.runs, NotReported):
            continue
        for seed in subject.training_seeds or ():
            if seed not in measured and (score.condition, seed) not in lost:
                yield (*at, "runs"), f"{_place(score)}: training seed {seed} has no run"


@rules.error(
    "SB-RES-013",
    "A score has the number of repeats that its decoding declares.",
    condition="The repeats of all runs of a score together are not the numbers from 1 to "
    "`repeats` of its decoding. Silent where there is no run, or the repeat of one is not "
    "given. Points to `runs` of the score.",
    why="Omitted repeats may have been omitted for their scores.",
    fix="report every repeat, counted from 1",
)
def _repeats_measured(subject: Subject) -> Hits:
    declared = {d.name: reported(d.repeats) for d in items(subject.card.decoding)}
    for at, score in subject.each("results.scores"):
        expected = declared.get(score.decoding)
        repeats = {reported(run.repeat) for run in items(score.runs)}
        if expected is None or not repeats or None in repeats:
            continue
        if repeats != set(range(1, expected + 1)):
            yield (
                (*at, "runs"),
                f"{_place(score)}: repeats {', '.join(map(str, sorted(repeats)))}, "
                f"but decoding {score.decoding} declares {expected}",
            )


@rules.error(
    "SB-RES-014",
    "A change is the score minus the base model's score.",
    condition=f"`estimate` of a change differs by more than {TOLERANCE:g} from that of the "
    "score of its key minus that of the base's key, where both are there. Points to "
    "`estimate`.",
    why="Both scores are published, so readers can check the difference.",
    fix="correct the change or the scores",
)
def _change_is_difference(subject: Subject) -> Hits:
    scores = {key_of(score): reported(score.estimate) for score in subject.scores}
    for at, change in subject.each("results.changes"):
        value, after = reported(change.estimate), scores.get(key_of(change))
        before = scores.get(base_key(change))
        if value is None or after is None or before is None:
            continue
        if abs(after - before - value) > TOLERANCE:
            difference = f"{after:g} - {before:g} is {after - before:g}"
            yield (*at, "estimate"), f"the change is {value:g}, but {difference}"


@rules.error(
    "SB-RES-015",
    "The seeds that rise or fall are no more than the seeds compared.",
    condition="`seeds_up` + `seeds_down` of a change is above `seeds`. Points to `seeds_up`.",
    why="`In every seed` is the strongest claim that a small study can make.",
    fix="count each training seed once",
    each="results.changes",
)
def _directions_add_up(change: Change) -> Hits:
    up, down = reported(change.seeds_up), reported(change.seeds_down)
    seeds = reported(change.seeds)
    if None not in (up, down, seeds) and up + down > seeds:
        yield "seeds_up", f"{up} up and {down} down of {seeds} training seeds"


@rules.warning(
    "SB-RES-016",
    "The base model is measured alongside the tuned one.",
    condition="No score has the base's key of a score of another condition. Points to the score; "
    "of several with one base's key, to the first.",
    why="The effect of tuning is a difference, which needs both scores.",
    fix="measure the base model on the same prompts, with the same decoding and judge",
)
def _base_measured(subject: Subject) -> Hits:
    missing = {base_key(score) for score in subject.scores}
    missing -= {key_of(score) for score in subject.scores}
    for at, score in subject.each("results.scores"):
        if base_key(score) in missing:
            missing.remove(base_key(score))  # one finding for all of them
            yield at, f"{_place(score)}: there is no score of the base model to compare with"


@rules.error(
    "SB-RES-017",
    "Stability rests on the training seeds of the score, and on the standard's margin.",
    condition=f"`stability.margin` of a score differs from {MARGIN:g} by more than "
    f"{TOLERANCE:g}: points to it. Or `stability.seeds` is not the number of different seeds "
    "of its runs and of those that `evidence.runs`, if given, registers for its condition: "
    "points to it; silent where there is no run, or the seed of one is null or not given. Or "
    "`stability.lower` is given with fewer than three `stability.seeds`, or is above .05^(2/S) of "
    f"S seeds by more than {TOLERANCE:g}: points to `lower`.",
    why="With a margin of one's own choice, or without the runs that went wrong, every recipe is "
    "stable.",
)
def _stability_fits(subject: Subject) -> Hits:
    registered = [(run.condition, reported(run.training_seed)) for run in subject.runs]
    for at, score in subject.each("results.scores"):
        stability = reported(score.stability)
        if stability is None:
            continue
        margin, number = reported(stability.margin), reported(stability.seeds)
        if margin is not None and abs(margin - MARGIN) > TOLERANCE:
            message = f"margin is {margin:g}, but the standard's is {MARGIN:g}"
            yield (
                (*at, "stability", "margin"),
                message,
                "compute stability with the standard's margin",
            )
        lower = reported(stability.lower)
        most = 0.05 ** (2 / number) if number is not None and number >= _FEWEST else 0.0
        if number is not None and lower is not None and lower > most + TOLERANCE:
            message = f"lower is {lower:g}; {number} seeds that agree show at most {most:.3g}"
            yield (*at, "stability", "lower"), message, "compute it as stability.md says"
        seeds = {reported(run.training_seed) for run in items(score.runs)}
        if number is None or not seeds or None in seeds:
            continue
        lost = {seed for condition, seed in registered if condition == score.condition}
        lost -= {*seeds, None}
        if number != len(seeds) + len(lost):
            also = f" and {len(lost)} that were registered and lost" if lost else ""
            yield (
                (*at, "stability", "seeds"),
                f"stability is reported for {number} training seeds, "
                f"but the score has {len(seeds)}{also}",
                "correct the number; repeats of a seed are not further seeds",
            )


@rules.warning(
    "SB-RES-018",
    "Few responses are truncated, including the base model's.",
    condition=f"`truncated` is above {MOST_TRUNCATED:g} in a score with the key of an entry "
    "of `results.primary`, or with the base's key of one. Points to `truncated`.",
    why="What a response would have said after the cut decides what it is, and a change is as "
    "much of the base model's responses as of the tuned one's.",
    fix="raise max_new_tokens",
)
def _few_truncated(subject: Subject) -> Hits:
    primary = [item for _, item in subject.each("results.primary")]
    counted = {key for item in primary for key in (key_of(item), base_key(item))}
    for at, score in subject.each("results.scores"):
        truncated = reported(score.truncated)
        if key_of(score) in counted and truncated is not None and truncated > MOST_TRUNCATED:
            share = f"{percent(truncated)} of the responses were truncated at max_new_tokens"
            yield (*at, "truncated"), f"{_place(score)}: {share}"
