"""Two submissions, or two conditions of one, on the prompts they share.

The difference is paired by prompt id; prompts and runs are both samples. Nothing is read from the
cards' own results: every number is computed from outcomes.parquet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from safebench.analysis.flips import CategoryDifference, Flips, by_category, find_flips
from safebench.analysis.matching import (
    Choice,
    block_of,
    blocks_beside,
    match_scores,
)
from safebench.analysis.paired import ByJudge, Pair, PairedChange, by_other_judges, paired_change
from safebench.analysis.same_text import differing_prompts
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.differences import (
    ProtocolDifferences,
    environment_differences,
    protocol_differences,
    same_entry,
)
from safebench.card.measured import MeasuredScore
from safebench.card.task import Construct
from safebench.errors import EvidenceError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import (
    final_checkpoint,
    lost_seeds,
    measure,
)
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES_FILE


@dataclass(frozen=True)
class Submitted:
    """One of the two submissions."""

    id: str
    organisation: str
    protocol: str
    outcomes_sha256: str
    checkpoint_unit: str
    """What its checkpoints are counted in: `epoch` or `step`."""
    runs: str | None = None
    """Where nobody submitted it: the files of runs that it was read from."""


@dataclass(frozen=True)
class Comparison:
    """One estimand on both sides."""

    task: str
    construct: Construct
    a: MeasuredScore
    b: MeasuredScore
    difference: PairedChange
    flips: Flips
    categories: tuple[CategoryDifference, ...]
    by_judge: tuple[ByJudge, ...]
    """The difference as every other judge of both sides decides it."""
    variables: tuple[str, ...]
    """What differs between the protocols and can change this difference."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class SubmissionComparison:
    """Everything that was compared, and what was not."""

    a: Submitted
    b: Submitted
    one_folder: bool
    protocol: ProtocolDifferences
    environment: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    not_compared: tuple[str, ...]
    warnings: tuple[str, ...]


def compare_submissions(
    a: Submission, b: Submission, choice: Choice | None = None, flips: int = 10
) -> SubmissionComparison:
    """Compare what two submissions measured on the same prompts; B minus A.

    Tasks are matched by name and construct, prompts by id. `flips` is how many of the prompts that
    changed most are named.

    Raises:
        EvidenceError: outcomes are missing or incomplete, or nothing can be compared; the message
            says why for every task.
    """
    pair = a, b
    protocol = protocol_differences(a.card, b.card)
    not_compared: list[str] = []
    matches = list(match_scores(pair, choice or Choice(), not_compared))
    texts = differing_prompts(pair, {place.task for place, _ in matches}) if matches else {}
    found = []
    for places in matches:
        one, other = (block_of(s, p) for s, p in zip(pair, places, strict=True))
        ids, same = {*one.prompts} & {*other.prompts}, texts.get(one.task)
        shared = sorted(ids - {*(same or ())})
        if not shared:
            apart = f"; {len(ids)} ids are in both, with different text" if ids else ""
            not_compared.append(
                f"{one.task} ({one.construct}): no prompt in common (A has "
                f"{len(one.prompts)} prompts, B {len(other.prompts)}{apart})"
            )
            continue
        others = tuple(blocks_beside(s, p) for s, p in zip(pair, places, strict=True))
        cards = a.card, b.card
        found.append(_compare(cards, (one, other), others, protocol, same, shared, flips))
    if not matches and not not_compared:
        not_compared.append("neither submission has outcomes of the chosen task or construct")
    if not found:
        raise EvidenceError(
            "nothing can be compared:\n" + "\n".join(f"  {line}" for line in not_compared),
            fix="choose what both measured, by --task, --construct, --decoding, --checkpoint, "
            "--judge; --protocol-only compares the two protocols alone",
        )
    return SubmissionComparison(
        a=_submitted(a, protocol.digests[0]),
        b=_submitted(b, protocol.digests[1]),
        one_folder=a.folder.resolve() == b.folder.resolve(),
        protocol=protocol,
        environment=tuple(environment_differences(a.card, b.card, names=("A", "B"))),
        comparisons=tuple(found),
        not_compared=tuple(not_compared),
        warnings=tuple(_warnings(pair, found)),
    )


def _submitted(submission: Submission, protocol: str) -> Submitted:
    about = submission.card.submission
    unit = submission.card.checkpoint_unit
    runs = about.title if isinstance(about.submitter, NotReported) else None
    return Submitted(
        about.id,
        about.organisation,
        protocol,
        submission.outcomes_sha256,
        unit,
        runs=runs if isinstance(runs, str) else None,
    )


def _warnings(pair: tuple[Submission, Submission], found: list[Comparison]) -> Iterator[str]:
    for side, submission in zip("AB", pair, strict=True):
        evidence = submission.card.given_evidence
        listed = {f.path: f.sha256 for f in evidence.files} if evidence is not None else {}
        digest = submission.outcomes_sha256
        if listed.get(OUTCOMES_FILE, digest) != digest:
            yield f"{side}'s {OUTCOMES_FILE} is not the one in its card; run `safebench validate`"
    compared = {comparison.task for comparison in found}
    for side, submission in zip("AB", pair, strict=True):
        for task, extent in submission.card.trials.items():
            if task in compared:
                yield f"{side} is a trial, not a result: {task}, {extent}"
    for side, scores in (("A", [c.a for c in found]), ("B", [c.b for c in found])):
        tuned = [score for score in scores if score.condition != "base"]
        if tuned and all(len({run.training_seed for run in score.runs}) == 1 for score in tuned):
            yield (
                f"{side} is one training seed: the interval is about these weights alone, and "
                "nothing says whether another seed would come out alike; give three or more"
            )
    same = pair[0].outcomes_sha256 == pair[1].outcomes_sha256
    if same and all(c.a.condition == c.b.condition for c in found):
        yield (
            "A and B hold the same outcomes, so their agreement is no evidence; the intervals "
            "treat them as two independent sets of runs"
        )


def _compare(
    cards: tuple[Card, Card],
    pair: Pair,
    others: tuple[Sequence[OutcomeArray], ...],
    protocol: ProtocolDifferences,
    texts: tuple[str, ...] | None,
    shared: list[str],
    flips: int,
) -> Comparison:
    one, other = pair
    picked = one.only(prompts=shared), other.only(prompts=shared)
    both = {*(texts or ())} & {*one.prompts} & {*other.prompts}
    variables = _variables(cards, pair, protocol, same_text=texts is not None and not both)
    return Comparison(
        task=one.task,
        construct=one.construct,
        a=measure(one, lost_seeds(cards[0], one)),
        b=measure(other, lost_seeds(cards[1], other)),
        difference=paired_change(pair, picked),
        flips=find_flips(*picked, flips),
        categories=by_category(*picked),
        by_judge=by_other_judges(pair, shared, others),
        variables=tuple(variables),
        warnings=tuple(_cautions(cards, pair, picked, sorted(both))),
    )


def _variables(
    cards: tuple[Card, Card],
    pair: Pair,
    protocol: ProtocolDifferences,
    *,
    same_text: bool,
) -> Iterator[str]:
    """Yield what may have caused a difference: of the protocols, and of what was chosen."""
    one, other = pair
    touching = protocol.touching(
        {one.condition, other.condition},
        {one.decoding} & {other.decoding},
        {one.judge} & {other.judge},
        {one.task},
    )
    for variable in touching:
        if not (same_text and variable.section == "tasks"):
            yield str(variable)
    if one.condition != other.condition:
        yield f"condition {one.condition} -> {other.condition}"
    elif one.checkpoint != other.checkpoint:
        # Two last checkpoints differ because the recipes do in length, which was yielded above.
        last = all(b.checkpoint == final_checkpoint(c) for c, b in zip(cards, pair, strict=True))
        if not (last and any(v.name.endswith((".epochs", ".steps", ".length")) for v in touching)):
            yield f"checkpoint {one.checkpoint} -> {other.checkpoint}"
    for section in ("decoding", "judge"):
        names = getattr(one, section), getattr(other, section)
        if names[0] != names[1] and not same_entry(section, cards[0], names[0], cards[1], names[1]):
            yield f"{section} {names[0]} -> {names[1]}"


def _cautions(
    cards: tuple[Card, Card],
    pair: Pair,
    picked: tuple[OutcomeArray, OutcomeArray],
    other_text: list[str],
) -> Iterator[str]:
    names = [block.judge for block in pair]
    if not same_entry("judge", cards[0], names[0], cards[1], names[1]):
        who = [_judge(card, name) for card, name in zip(cards, names, strict=True)]
        yield (
            f"different judges: A by {who[0]}, B by {who[1]}; a stricter judge alone makes a "
            "difference"
        )
    if other_text:
        yield (
            f"{len(other_text)} prompt{'s' if len(other_text) > 1 else ''} with the same id but "
            f"different text: {_some(other_text)}; they are not paired"
        )
    moved = [
        prompt
        for prompt, *places in zip(
            picked[0].prompts, picked[0].categories, picked[1].categories, strict=True
        )
        if places[0] != places[1]
    ]
    if moved:
        yield (
            f"{len(moved)} shared prompts have another category in B: {_some(moved)}; they are "
            "left out of the comparison by category"
        )
    families = [
        task.clusters for card in cards for task in card.task_list() if task.name == pair[0].task
    ]
    count = next((n for n in families if isinstance(n, int)), None)
    if count is not None:
        yield (
            f"the prompts belong to {count} families that {OUTCOMES_FILE} does not record: the "
            "interval treats them as independent and is too narrow"
        )


def _judge(card: Card, name: str) -> str:
    judges = () if isinstance(card.judge, NotReported) else card.judge
    found = next((judge for judge in judges if judge.name == name), None)
    if found is None:
        return name
    parts = [name, *(p for p in (found.id, found.revision) if isinstance(p, str))]
    return f"{parts[0]} ({' '.join(parts[1:]) or found.kind})"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")
