"""The rows of the board and the groups they stand in, for the page and the downloads alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from safebench.analysis.correction import Corrected, corrections
from safebench.analysis.measures import Number
from safebench.card.base import NotReported, Unpinnable
from safebench.card.card import Card
from safebench.card.measured import (
    MeasuredChange,
    MeasuredResults,
    MeasuredScore,
    complete_results,
)
from safebench.card.results import PlaceKey, Score, base_key, find, key_of
from safebench.card.task import Task
from safebench.site.board import Board
from safebench.site.sources import Entry
from safebench.site.standing import Standing, standing_of
from safebench.words import NOT_MEASURED, count, listed, method_name, proportion

#: Fewer training seeds than this and an entry is listed but never compared.
MIN_SEEDS = 3


@dataclass(frozen=True)
class RerunBadge:
    """What reruns of a submission came to, all of them together."""

    word: str  # reproduced, not_reproduced, inconclusive, no_verdict, mixed
    count: int
    elsewhere: int  # how many another organisation signed, by the keys that the board lists


@dataclass(frozen=True)
class Stated:
    """A number that a card gives and nothing backs, as one about a paper does."""

    estimate: float | None
    runs: tuple[float, ...]
    """Scores of single runs, where no mean is given."""
    base: float | None


@dataclass(frozen=True)
class BoardRow:
    """One submission as the board shows it; None is a number that is not measured, or not whole."""

    id: str
    title: str
    organisation: str
    third_party: bool
    artefact: bool
    base_model: str
    method: str
    harm: MeasuredScore | None
    harm_base: MeasuredScore | None
    change: MeasuredChange | None
    over_refusal: MeasuredScore | None
    capability: MeasuredScore | None
    seeds: int
    level: str
    reported: int
    required: int
    rerun: RerunBadge | None
    group: tuple[str, str]  # heading of the entries measured alike, digest of their prompts
    backed: bool  # whether there is evidence that its numbers were recomputed from
    partly: frozenset[str] = frozenset()  # constructs of whose number a part is not reported
    stated: Mapping[str, Stated] = field(default_factory=dict)  # numbers given without an interval
    unit: str = "epoch"  # what checkpoints are counted in
    trials: Mapping[str, str] = field(default_factory=dict)  # task -> first 40 of 313 prompts
    corrected: Mapping[PlaceKey, Corrected] = field(default_factory=dict)  # for judge error
    standing: Standing = field(default_factory=Standing)  # what reruns and signatures show

    @property
    def ranked(self) -> bool:
        """Whether it may be read against others: measured in full, backed, enough seeds."""
        enough = self.artefact or self.seeds >= MIN_SEEDS
        return self.harm is not None and self.backed and enough and not self.trials

    def fixed(self, score: MeasuredScore | None) -> Corrected | None:
        """Return what judge error makes of a score; None where nothing was measured."""
        return None if score is None else self.corrected.get(key_of(score))

    @property
    def is_corrected(self) -> bool:
        """Whether some number of it is corrected for judge error; else one word does for all."""
        return any(isinstance(one.score, Number) for one in self.corrected.values())

    def instead(self, construct: str) -> str:
        """Return in words what a card states of a construct that has no whole number."""
        found = self.stated.get(construct)
        if found is None:
            return self.absence(construct)
        base = "" if found.base is None else f"; base {proportion(found.base)}"
        values = found.runs if found.estimate is None else (found.estimate,)
        return f"{listed(map(proportion, values))}, stated without an interval{base}"

    def absence(self, construct: str) -> str:
        """Return in words why there is no number for a construct."""
        return "not reported in full" if construct in self.partly else NOT_MEASURED


@dataclass(frozen=True)
class RowGroup:
    """Rows that were measured alike, lowest harm first."""

    heading: str
    note: str
    rows: tuple[BoardRow, ...]


def make_row(submission: Entry, standing: Standing | None = None) -> BoardRow:
    """Return the row of a submission; `standing`: what a board that lists keys says of it."""
    standing = standing or standing_of(submission, Board(), ())
    card, report = submission.card, submission.report
    results = complete_results(card)
    harm = primary(results, "harm")
    reported, required = report.completeness or (0, 0)
    return BoardRow(
        id=submission.id,
        title=shown(card.submission.title),
        organisation=card.submission.organisation,
        third_party=card.submission.relationship == "third_party",
        artefact=card.submission.object == "artefact",
        base_model=card.model.base.name or shown(card.model.base.id),
        method=method_of(card),
        harm=harm,
        harm_base=(
            find(results.scores, base_key(harm))
            if results and harm and harm.condition != "base"
            else None
        ),
        change=find(results.changes, key_of(harm)) if results and harm else None,
        over_refusal=primary(results, "over_refusal"),
        capability=primary(results, "capability"),
        seeds=seeds_of(harm),
        level=level_on_board(report.level, standing),
        reported=reported,
        required=required,
        rerun=_badge(submission, standing),
        standing=standing,
        group=_group(card, harm),
        backed=card.given_evidence is not None,
        partly=frozenset(
            estimand.construct
            for estimand in (results.primary if results else ())
            if primary(results, estimand.construct) is None
        ),
        stated=dict(_stated(card, results)),
        unit=card.checkpoint_unit,
        trials=card.trials,
        corrected={} if results is None else corrections(submission, results),
    )


def _stated(card: Card, whole: MeasuredResults | None) -> Iterator[tuple[str, Stated]]:
    """Yield the numbers of constructs that have none with an interval: the primary, or the only."""
    scores = () if card.given_results is None else card.given_results.scores
    declared = () if card.given_results is None else card.given_results.primary
    for construct in dict.fromkeys(score.construct for score in scores):
        if primary(whole, construct) is not None:
            continue
        named = {key_of(one) for one in declared if one.construct == construct}
        of_it = [s for s in scores if s.construct == construct]
        tuned = [s for s in of_it if (key_of(s) in named if named else s.condition != "base")]
        found = tuned or ([] if named else of_it)
        if len(found) != 1:
            continue
        base = find(scores, base_key(found[0])) if found[0].condition != "base" else None
        runs = () if isinstance(found[0].runs, NotReported) else found[0].runs
        of_runs = tuple(run.score for run in runs if isinstance(run.score, float))
        estimate = _number(found[0])
        if estimate is not None or of_runs:
            yield construct, Stated(estimate, of_runs, None if base is None else _number(base))


def _number(score: Score) -> float | None:
    return score.estimate if isinstance(score.estimate, float) else None


def primary(results: MeasuredResults | None, construct: str) -> MeasuredScore | None:
    """Return the score that answers for a construct: the first declared one, or None."""
    declared = results.primary if results else ()
    for estimand in declared:
        if estimand.construct == construct:
            return find(results.scores, key_of(estimand)) if results else None
    return None


def method_of(card: Card) -> str:
    """Return what was trained and how, in a word or two."""
    if isinstance(card.hyperparameters, NotReported):
        return "method not reported"
    return method_name(card.hyperparameters.method)


def shown(value: str | NotReported) -> str:
    """Return a text of a card, or words for its absence."""
    return value if isinstance(value, str) else "not reported"


def seeds_of(score: MeasuredScore | None) -> int:
    """Return how many training seeds a score rests on; an untuned model has none."""
    return len({r.training_seed for r in score.runs} - {None}) if score else 0


def level_on_board(level: str, standing: Standing) -> str:
    """Return the level of a card whose reruns are known: the last one is a board's to give."""
    return "reproduced" if level == "replicated" and standing.is_reproduced else level


def _badge(submission: Entry, standing: Standing) -> RerunBadge | None:
    if not submission.reruns:
        return None
    pairs = list(zip(submission.reruns, standing.not_counted, strict=True))
    verdicts: set[str] = {rerun.verdict.overall for rerun, why in pairs if why}
    verdicts |= {standing.pooled} if standing.pooled else set()
    elsewhere = sum(maker.who == "independent" for maker in standing.makers)
    return RerunBadge(verdicts.pop() if len(verdicts) == 1 else "mixed", len(pairs), elsewhere)


def _group(card: Card, harm: MeasuredScore | None) -> tuple[str, str]:
    """Return heading and prompt digest of entries that may be read against each other."""
    if harm is None:
        return "", ""
    task = next((t for t in card.task_list() if t.name == harm.task), Task(name=harm.task))
    heading = f"{harm.task}, {count(harm.prompts, 'prompt')}, judged by {_judge(card, harm)}"
    return heading, task.dataset_sha256 if isinstance(task.dataset_sha256, str) else ""


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


def group_rows(rows: Iterable[BoardRow]) -> list[RowGroup]:
    """Sort rows into groups that were measured alike, the largest first, the unranked last."""
    ranked: dict[tuple[bool, tuple[str, str]], list[BoardRow]] = {}
    unranked: list[BoardRow] = []
    for row in rows:
        if row.ranked:
            ranked.setdefault((row.artefact, row.group), []).append(row)
        else:
            unranked.append(row)
    groups = [
        RowGroup(
            f"{'Released models' if artefact else 'Recipes'} on {heading}",
            "the claim is about these weights, not about a recipe" if artefact else "",
            _by_harm(members),
        )
        for (artefact, (heading, _)), members in sorted(
            ranked.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1])
        )
    ]
    if unranked:
        note = (
            f"a trial, fewer than {MIN_SEEDS} training seeds, no evidence, or harm was not "
            "measured in full"
        )
        groups.append(RowGroup("Not ranked, only listed", note, _by_harm(unranked)))
    return groups


def _by_harm(rows: Iterable[BoardRow]) -> tuple[BoardRow, ...]:
    return tuple(
        sorted(rows, key=lambda r: (r.harm is None, r.harm.estimate if r.harm else 0.0, r.id))
    )
