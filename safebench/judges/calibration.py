"""How well a judge agrees with people: asked about labelled responses, compared, kept in its card.

Every number is about one construct. A positive is a response that the construct counts (for harm,
one that complied); it is found if the judge counts it, too. A negative that the judge does not
count is cleared. Responses without a verdict are counted apart, and enter no other number.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from safebench.card.base import NotReported
from safebench.card.judge import Calibration
from safebench.card.judge import Judge as JudgeEntry
from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import JudgeError
from safebench.evidence.tables import COUNTED, Unread, Verdict
from safebench.judges.cache import JudgementCache
from safebench.judges.interface import Decision, Exchange, Judge, Text
from safebench.judges.labels import Label
from safebench.judges.text import THINKING, answer_of
from safebench.progress import Progress, Silent
from safebench.stats import cohen_kappa, share
from safebench.stats.agreement import CohenKappa, Share
from safebench.stats.differences import between_independent
from safebench.words import kept

Outputs = Literal["these", "other"]
FEWEST_IN_GROUP: Final = 20
"""Labelled responses from which a source model or a category has an entry of its own."""


@dataclass(frozen=True)
class Judged:
    """A labelled response and what a judge says of it."""

    label: Label
    construct: Construct
    verdict: str | None
    """A verdict, or why there is none."""
    score: float | None
    """1 where the judge counts it; None where it gave no verdict."""
    outputs: Outputs = "other"
    """Whether it is a response of the submission."""


def ask(
    judge: Judge,
    labels: Sequence[Label],
    constructs: Sequence[Construct],
    *,
    marks: tuple[str, str] = THINKING,
    progress: Progress | None = None,
    cache: JudgementCache | None = None,
) -> list[Decision]:
    """Let a judge decide labelled responses, as it decides those of a run.

    Args:
        judge: An opened judge.
        labels: Each has its prompt's text.
        constructs: What each label is about.
        marks: Around reasoning in a response, which a judge does not see unless its entry says so.
        progress: Advanced by each response; the caller has started the step.
        cache: Keeps what cost something.

    Raises:
        JudgeError: it does not decide a construct, or cannot judge.
    """
    for construct in dict.fromkeys(constructs):
        if not judge.decides(construct):
            raise JudgeError(
                f"judge {judge.entry.name} does not decide {construct}, which the labels are about",
                fix="give --construct, or labels of what it decides",
            )
    shown = judge.entry.reasoning == "shown"
    texts = []
    for one in labels:
        prompt = one.prompt or ""
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        response = one.response if shown else answer_of(one.response, marks)
        place = one.task or "labels", one.prompt_id or digest
        texts.append(Text(*place, Exchange(prompt, response), None))
    judge.begin(texts, np.ones(len(texts), dtype=np.int64), progress or Silent(), cache)
    found: dict[int, Decision] = {}
    for construct in dict.fromkeys(constructs):
        places = [at for at, own in enumerate(constructs) if own == construct]
        found |= zip(places, judge.decide(construct, places), strict=True)
    return [found[at] for at in range(len(labels))]


def judged(
    labels: Sequence[Label],
    constructs: Sequence[Construct],
    decisions: Sequence[Decision],
    outputs: Sequence[Outputs],
) -> list[Judged]:
    """Return labels beside decisions; `outputs` says which responses are the submission's."""
    rows = zip(labels, constructs, decisions, outputs, strict=True)
    return [Judged(a, b, c.verdict, c.score, d) for a, b, c, d in rows]


@dataclass(frozen=True)
class Agreement:
    """How a judge agrees with people on some responses."""

    construct: Construct
    outputs: Outputs
    condition: Condition | None
    group: str | None
    """`model gpt4`, `category violence`; None of all together or of a condition."""
    n: int
    """Labelled responses with a verdict."""
    unread: int
    """Those without one."""
    positives: int
    found: int
    negatives: int
    cleared: int
    weighted: bool
    """Whether responses stand for different numbers: rates are weighted then, and counts are not
    those of a random sample."""
    kappa: CohenKappa
    sensitivity: Share | None
    specificity: Share | None
    confusion: Mapping[tuple[str, str], int]
    """Responses by label and verdict."""

    @property
    def name(self) -> str:
        """What it is about, in a word or two."""
        return self.group or self.condition or "all"

    def entry(self, **fields: Any) -> Calibration:
        """Return the card's entry; `said` is what only the caller knows: data, digest, ..."""
        kappa = self.kappa.estimate
        counts = () if self.weighted else ("positives", "found", "negatives", "cleared")
        return Calibration.model_validate(
            {
                "outputs": self.outputs,
                "condition": self.condition,
                "construct": self.construct,
                "group": self.group,
                "n": self.n,
                "kappa": NotReported(not_reported=self.kappa.reason)
                if kappa is None
                else kept(kappa),
                "kappa_interval": _ends(self.kappa),
                **{name: getattr(self, name) for name in counts},
                **_rate("sensitivity", self.sensitivity),
                **_rate("specificity", self.specificity),
                **fields,
            }
        )


def _rate(name: str, found: Share | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {name: kept(found.estimate), f"{name}_interval": _ends(found)}


def _ends(found: Share | CohenKappa) -> dict[str, float] | None:
    if found.lower is None or found.upper is None:
        return None
    return {"lower": kept(found.lower), "upper": kept(found.upper)}


def agreements(items: Sequence[Judged]) -> list[Agreement]:
    """Return how a judge agrees: in all, by condition, by source model and by category.

    Responses of the submission and others are never mixed, nor are constructs. A model or category
    with fewer than `FEWEST_IN_GROUP` labels has no numbers of its own.

    Raises:
        JudgeError: the judge gave no verdict on any of them.
    """
    found = []
    for outputs in get_args(Outputs):
        for construct in COUNTED:
            some = [i for i in items if (i.outputs, i.construct) == (outputs, construct)]
            found += list(_each(some)) if some else []
    if not found:
        raise JudgeError(
            "the judge gave no verdict on any labelled response",
            fix="safebench judge selftest shows what it answers",
        )
    return found


def _each(some: Sequence[Judged]) -> Iterator[Agreement]:
    conditions = {one.label.condition for one in some}
    only = next(iter(conditions)) if len(conditions) == 1 else None
    parts: list[tuple[Condition | None, str | None, list[Judged]]] = [(only, None, list(some))]
    if len(conditions) > 1:
        for one in get_args(Condition):
            mine = [i for i in some if i.label.condition == one]
            parts += [(one, None, mine)] if mine else []
    of_group: dict[str, Callable[[Label], str | None]] = {
        "model": lambda label: label.model,
        "category": lambda label: label.category,
    }
    for kind, value in of_group.items():
        names = {value(one.label) for one in some} - {None}
        if len(names) > 1:
            for name in sorted(map(str, names)):
                mine = [i for i in some if value(i.label) == name]
                if len(mine) >= FEWEST_IN_GROUP:
                    parts.append((None, f"{kind} {name}", mine))
    for condition, group, mine in parts:
        if any(one.score is not None for one in mine):
            yield agreement(mine, condition, group)


def agreement(
    items: Sequence[Judged], condition: Condition | None = None, group: str | None = None
) -> Agreement:
    """Return how a judge agrees on responses of one construct; one of them has a verdict."""
    read = [one for one in items if one.score is not None and one.verdict not in get_args(Unread)]
    construct = items[0].construct
    truth = np.array([one.label.score(construct) for one in read])
    says = np.array([float(one.score or 0) for one in read])
    clusters = np.unique([repr(one.label.of_prompt) for one in read], return_inverse=True)[1]
    weights = np.array([one.label.weight for one in read])
    weighted = bool(np.ptp(weights) > 1e-9 * weights.max())
    some = weights if weighted else None

    def rate(of: float, hits: np.ndarray[Any, Any]) -> Share | None:
        mine = truth == of
        if not mine.any():
            return None
        return share(hits[mine], clusters[mine], None if some is None else some[mine])

    positive, says_so = truth == 1, says == 1
    return Agreement(
        construct=construct,
        outputs=items[0].outputs,
        condition=condition,
        group=group,
        n=len(read),
        unread=len(items) - len(read),
        positives=int(positive.sum()),
        found=int((positive & says_so).sum()),
        negatives=int((~positive).sum()),
        cleared=int((~positive & ~says_so).sum()),
        weighted=weighted,
        kappa=cohen_kappa(truth, says, clusters, some),
        sensitivity=rate(1.0, says),
        specificity=rate(0.0, 1 - says),
        confusion=Counter((one.label.label, str(one.verdict)) for one in items),
    )


@dataclass(frozen=True)
class Drift:
    """How a number of a calibration differs from an earlier one, new minus old."""

    name: str
    old: float
    new: float
    lower: float | None
    """End of the 95 % interval of the difference; None where either has no interval."""
    upper: float | None


def drift(new: Calibration, before: Iterable[Calibration]) -> list[Drift]:
    """Return how a calibration differs from the last one of the same construct and responses."""
    same = [one for one in before if _about(one) == _about(new)]
    found = []
    for name in ("kappa", "sensitivity", "specificity") if same else ():
        pair = [(getattr(one, name), getattr(one, f"{name}_interval")) for one in (new, same[-1])]
        if not all(isinstance(value, float) for value, _ in pair):
            continue
        ends: tuple[float | None, float | None] = None, None
        if all(hasattr(around, "lower") for _, around in pair):
            ends = between_independent(*((v, i.lower, i.upper) for v, i in pair))
        found.append(Drift(name, pair[1][0], pair[0][0], *ends))
    return found


def _about(entry: Calibration) -> tuple[object, ...]:
    return entry.construct or "harm", entry.condition, entry.group


def with_calibrations(entry: JudgeEntry, new: Sequence[Calibration]) -> JudgeEntry:
    """Return a judge's entry with calibrations added, in the place of earlier ones on such data."""

    def of(one: Calibration) -> tuple[object, ...]:
        return (one.data, one.outputs, *_about(one))

    given = entry.calibration
    old = () if given is None or isinstance(given, NotReported) else given
    replaced = {of(one) for one in new}
    kept_ones = tuple(one for one in old if of(one) not in replaced)
    return entry.model_copy(update={"calibration": (*kept_ones, *new)})


def table(
    confusion: Mapping[tuple[str, str], int],
) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Return the judge's verdicts that occur, and for every label the number of each."""
    order = (*get_args(Verdict), "1", "0", *get_args(Unread))
    verdicts = sorted({verdict for _, verdict in confusion}, key=order.index)
    labels = sorted({label for label, _ in confusion}, key=order.index)
    return verdicts, [(a, [confusion.get((a, b), 0) for b in verdicts]) for a in labels]
