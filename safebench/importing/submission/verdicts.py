"""Who judged imported responses: verdicts that came along, and the judges that are asked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import pyarrow as pa

from safebench.card.card import Card
from safebench.card.judge import Judge
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.evidence.tables import OUTCOMES, make_table
from safebench.harness.tasks import LoadedTask
from safebench.importing.draft.facts import Absent, Fact, first_words, show
from safebench.importing.draft.frame import RULE
from safebench.importing.samples import Judged, wrong
from safebench.importing.submission.tasks import Answered
from safebench.judges.interface import Verdict, score_of

_WITH_VERDICTS = ("harm", "over_refusal")
_VERDICTS = get_args(Verdict)


def came_along(found: Iterable[Answered]) -> dict[str, list[Construct]]:
    """Return the judges whose verdicts came along, with what they decide."""
    judges: dict[str, dict[Construct, None]] = {}
    for one in found:
        for name in one.sample.judged:
            judges.setdefault(name, {})[one.document["construct"]] = None
    return {name: list(constructs) for name, constructs in judges.items()}


def judge_facts(facts: Sequence[Fact], found: Sequence[Answered]) -> list[Fact]:
    """Return what the card says of its judges beside what files and a person said.

    The rule judge is asked where neither a card names judges nor verdicts came along; where they
    came along, it is asked beside them about harm and over-refusal.
    """
    theirs = came_along(found)
    described = {f.place[1] for f in facts if f.place[0] == "judge"}
    covered = {_pair(one) for one in found if one.sample.judged}
    asked = bool(described - set(theirs))
    here = not asked and any(
        _pair(one) not in covered or one.document["construct"] in _WITH_VERDICTS for one in found
    )
    made: list[Fact] = []
    if here:
        values = {**RULE, "sees": "prompt_and_response", "votes": 1, "primary": True}
        for field, value in values.items():
            note = "asked here" if field == "name" else ""
            made.append(Fact(("judge", RULE["name"], field), value, None, note=note))
    decided: set[Construct] = set()
    for name, constructs in theirs.items():
        whole = _decides_all(name, constructs, found)
        if whole and not _stated(facts, name, "constructs"):
            note = "of these its verdicts came along"
            made.append(Fact(("judge", name, "constructs"), constructs, None, note=note))
        first = whole and not decided & set(constructs)
        alone = not (here or asked) and name == next(iter(theirs))
        if (first or alone) and not any(_stated(facts, n, "primary") for n in described):
            decided |= set(constructs)
            note = "chosen after the fact: no plan names one"
            made.append(Fact(("judge", name, "primary"), True, None, note=note))
    return made


def _decides_all(name: str, constructs: Sequence[Construct], found: Iterable[Answered]) -> bool:
    """Whether a judge decided every response to prompts that measure some things."""
    return all(
        name in one.sample.judged for one in found if one.document["construct"] in constructs
    )


def _pair(one: Answered) -> tuple[str, str]:
    return one.sample.task, str(one.document["construct"])


def _stated(facts: Iterable[Fact], judge: str, field: str) -> bool:
    return any(f.place == ("judge", judge, field) and f.value is not None for f in facts)


def primary_judge(judges: Sequence[Judge], task: LoadedTask, found: Sequence[Answered]) -> str:
    """Return the judge that a task's estimand names when no plan does.

    The primary one; where it says nothing of the task, one whose verdicts came along.
    """
    here = [one for one in found if one.sample.task == task.name]
    theirs = list(came_along(here))
    primary = [j for j in judges if j.primary and (j.name in theirs or j.constructs is None)]
    names = [j.name for j in primary if j.name in theirs or j.name not in came_along(found)]
    mine = [name for name in names if name not in theirs]
    covered = theirs and all(one.sample.judged for one in here)
    if covered and not (set(task.constructs) & set(_WITH_VERDICTS)):
        return theirs[0]  # nobody else was asked
    return next(iter([*mine, *names]), judges[0].name)


def their_outcomes(
    found: Sequence[Answered], names: dict[str, str], card: Card, labels: Mapping[str, str]
) -> pa.Table:
    """Return the outcomes that came along.

    Args:
        found: The responses.
        names: Decodings' names by their keys.
        card: Says who judges, and from which score a response counts.
        labels: Verdicts of the standard by the words of judges, `WORD` or `JUDGE:WORD`.

    Raises:
        InteropError: a verdict is missing, or cannot be what it has to be.
    """
    judges = {judge.name: judge for judge in _listed(card)}
    rows = []
    for name, constructs in came_along(found).items():
        tasks = {one.sample.task for one in found if name in one.sample.judged}
        for one in found:
            if one.sample.task not in tasks or one.document["construct"] not in constructs:
                continue
            said = one.sample.judged.get(name)
            if said is None:
                raise wrong(
                    one.sample.at,
                    f"{name} says nothing of this response, and does of others of "
                    f"{one.sample.task}",
                    "a judge decides every response of a task, or none",
                )
            construct = one.document["construct"]
            verdict = _verdict(name, said, construct, judges.get(name), labels)
            decided = _decided(one, said, verdict)
            if decided is None:
                raise _unknown(name, one, found)
            rows.append({**_row(one, names), "judge": name, **decided})
    return make_table(rows, OUTCOMES)


def _listed(card: Card) -> tuple[Judge, ...]:
    return card.judge if isinstance(card.judge, tuple) else ()


def _row(one: Answered, names: dict[str, str]) -> dict[str, Any]:
    sample = one.sample
    return {
        "condition": sample.model.condition,
        "training_seed": sample.model.training_seed,
        "checkpoint": sample.model.checkpoint,
        "decoding": names[sample.decoding],
        "repeat": sample.repeat,
        "generation_seed": sample.generation_seed,
        "task": sample.task,
        "construct": one.document["construct"],
        "category": one.document["category"] or None,
        "prompt_id": one.document["prompt_id"],
        "status": sample.status,
    }


def _decided(one: Answered, said: Judged, verdict: str | None) -> dict[str, Any] | None:
    """Return verdict and score of one response as the standard has them; None: nothing says it."""
    construct = one.document["construct"]
    if construct in _WITH_VERDICTS:
        if verdict is None:
            return None
        return {"verdict": verdict, "score": score_of(construct, verdict)}
    if said.score is None:
        raise wrong(
            one.sample.at,
            f"a verdict ({said.word}) of {construct}, which has a score in [0, 1]",
            "let its judge give a score; in a table, name its column: --column score=COLUMN",
        )
    return {"verdict": None, "score": said.score}


def _verdict(
    name: str, said: Judged, construct: str, judge: Judge | None, labels: Mapping[str, str]
) -> str | None:
    """Return what a judge said of harm or a refusal; None where nothing tells what it means.

    True, C and 1 are harm to one scorer, and a refusal to the next. A score of harm counts where
    a card says from which one on.
    """
    words = (said.grade, said.grade.lower())
    for key in (*(f"{name}:{word}" for word in words), *words):
        if key in labels:
            return labels[key]
    if said.word in _VERDICTS:
        return said.word
    threshold = getattr(judge, "threshold", None)
    if construct == "harm" and said.score is not None and isinstance(threshold, int | float):
        return "complied" if said.score >= threshold else "refused"
    return None


def _unknown(name: str, one: Answered, found: Sequence[Answered]) -> InteropError:
    """Return the error for grades that nothing tells the meaning of: which there are, of whom."""
    construct = one.document["construct"]
    here = [f.sample.judged[name] for f in found
            if f.document["construct"] == construct and name in f.sample.judged]  # fmt: skip
    unknown = [said for said in here if said.word not in _VERDICTS]
    counts = Counter(said.grade for said in unknown)
    scores = {said.grade: -1.0 if said.score is None else said.score for said in unknown}
    grades = sorted(counts, key=lambda grade: -scores[grade])
    listed = first_words((f"{grade} ({counts[grade]})" for grade in grades), 8)
    several = len({judge for f in found for judge in f.sample.judged}) > 1
    shown = [f"{name}:{grade}" if several else grade for grade in grades]
    if len(grades) > len(_VERDICTS):
        fix = f"say what each means: --label '{shown[0]}=VERDICT', one of {', '.join(_VERDICTS)}"
    else:
        ways = (
            _labels(shown, *ends) for ends in (("complied", "refused"), ("refused", "complied"))
        )
        fix = f"say what they mean, e.g. {', or the other way round: '.join(ways)}"
    if construct == "harm" and any(0 < score < 1 for score in scores.values()):
        fix += "; or give `threshold` of this judge in --card, from which a score is harm"
    return wrong(
        one.sample.at,
        f"{name} says {show(one.sample.judged[name].grade)} of a response, and nothing says what "
        f"that means for {construct}; of {len(here)} responses it says {listed}",
        visible(fix),
    )


def _labels(words: Sequence[str], first: str, last: str) -> str:
    """Return options that give words their verdicts, from one end of a scale to the other."""
    verdicts = [first, *("partial" for _ in words[2:]), last]
    return " ".join(
        f"--label '{word}={verdict}'" for word, verdict in zip(words, verdicts, strict=False)
    )


def needs_here(found: Sequence[Answered], card: Card) -> list[str]:
    """Return the names of the tasks that judges of this card are asked about here."""
    theirs = came_along(found)
    here = [judge for judge in _listed(card) if judge.name not in theirs]
    covered = {_pair(one) for one in found if one.sample.judged}
    names = dict.fromkeys(
        task
        for task, construct in dict.fromkeys(_pair(one) for one in found)
        if any(judge.constructs is None or construct in judge.constructs for judge in here)
        and ((task, construct) not in covered or construct in _WITH_VERDICTS)
    )
    return list(names)


def check_described(facts: Sequence[Fact], found: Sequence[Answered]) -> None:
    """See that every judge whose verdicts came along says what kind it is.

    Raises:
        InteropError: it does not.
    """
    for name in came_along(found):
        kinds = [f for f in facts if f.place == ("judge", name, "kind")]
        if not any(not isinstance(fact.value, Absent) for fact in kinds):
            raise InteropError(
                f"verdicts of {name} came along, and nothing says what kind of judge it is",
                fix=f"describe it in --card, e.g. judge: [{{name: {name}, kind: human, ...}}]",
            )


def with_judges(tasks: Sequence[LoadedTask], names: Iterable[str]) -> Iterator[LoadedTask]:
    """Yield the tasks of these names."""
    wanted = set(names)
    yield from (task for task in tasks if task.name in wanted)
