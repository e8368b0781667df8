"""What the prompts of runs without a card are, and which of them every run answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from safebench.card.task import Construct
from safebench.errors import InteropError
from safebench.harness.task_yaml import shipped_constructs
from safebench.harness.tasks import read_task
from safebench.importing.facts import single_spaced
from safebench.importing.interface import Collected, Response, row_error
from safebench.importing.submission.tasks import MatchedResponse, prompt_id_of
from safebench.words import count

_Run = tuple[object, ...]
"""Model, decoding and repeat."""


def match_tasks(
    collected: Collected, measures: Mapping[str, Construct], remarks: list[str]
) -> list[MatchedResponse]:
    """Return every response to a prompt that all runs answered, with what the prompt is.

    A task is left out, with a remark, where nothing says what it measures.

    Raises:
        InteropError: no task is left, or the runs of one were decoded differently.
    """
    by_task: dict[str, list[Response]] = {}
    for sample in collected.samples:
        by_task.setdefault(sample.task, []).append(sample)
    found: list[MatchedResponse] = []
    problems: list[InteropError] = []
    for name, samples in by_task.items():
        try:
            of_task = _matched(name, samples, measures.get(name), collected)
        except InteropError as problem:
            problems.append(problem)
            continue
        _check_decodings(name, samples)
        found += _answered_by_all(name, of_task, remarks)
    if not found:
        raise (
            problems[0]
            if problems
            else InteropError(
                f"{', '.join(by_task)}: no prompt was answered in every run",
                fix="give runs of the same prompts",
            )
        )
    remarks += [f"left out: {problem}; {problem.fix}" for problem in problems]
    return found


def _matched(
    name: str, samples: Sequence[Response], given: Construct | None, collected: Collected
) -> list[MatchedResponse]:
    shipped = shipped_constructs(name)
    known: dict[str, Mapping[str, Any]] = {}
    if shipped is not None and any(one.construct is None for one in samples):
        task = read_task(name)
        known = {single_spaced(d["prompt"]): d for d in task.documents} if task else {}
    single = shipped[0] if shipped is not None and len(shipped) == 1 else None
    otherwise = single or _by_direction(name, samples, collected)
    found = []
    for one in samples:
        document = dict(known.get(single_spaced(one.prompt), {}))
        prompt_id = document.get("prompt_id") or one.prompt_id or prompt_id_of(one.prompt)
        construct = given or one.construct or document.get("construct") or otherwise
        if construct is None:
            raise row_error(
                one.at,
                f"nothing says what task {name!r} measures, nor which way is better",
                f"give --measures {name}=harm, over_refusal, capability or severity",
            )
        document |= {
            "prompt_id": str(prompt_id),
            "prompt": one.prompt or document.get("prompt", ""),
            "construct": construct,
            "category": one.category or document.get("category") or "",
            "target": one.target or document.get("target") or "",
            "own": shipped is not None,
        }
        found.append(MatchedResponse(one, document))
    return found


def _by_direction(name: str, samples: Iterable[Response], collected: Collected) -> Construct | None:
    """Return `capability` where the files themselves say that a higher score is better."""
    place = ("tasks", name, "direction")
    directions = {str(fact.value) for fact in collected.facts if fact.place == place}
    scored = all(one.judged for one in samples)
    return "capability" if scored and directions == {"higher_is_better"} else None


def _check_decodings(name: str, samples: Sequence[Response]) -> None:
    """Check that every model answered a task under the same decodings."""
    first = samples[0]
    decodings: dict[Any, set[str]] = {}
    for one in samples:
        decodings.setdefault(one.model, set()).add(one.decoding)
    for model, keys in decodings.items():
        if keys != decodings[first.model]:
            other = next(one for one in samples if one.model == model)
            raise row_error(
                other.at,
                f"{name} was decoded by {model} with {', '.join(sorted(keys))}, and by "
                f"{first.model} with {', '.join(sorted(decodings[first.model]))}",
                "compare runs that were decoded alike: their spread would not be that of seeds",
            )


def _answered_by_all(
    name: str, matched: Sequence[MatchedResponse], remarks: list[str]
) -> list[MatchedResponse]:
    """Return the responses to prompts that every run answered; a remark counts the others."""
    answered: dict[_Run, set[str]] = {}
    prompts: dict[str, None] = {}
    for one in matched:
        sample, prompt = one.sample, one.document["prompt_id"]
        run = (sample.model, sample.decoding, sample.repeat)
        answered.setdefault(run, set())
        prompts[prompt] = None
        if sample.response is not None and sample.status not in ("error", "not_run"):
            answered[run].add(prompt)
    shared = set.intersection(*answered.values())
    if len(shared) < len(prompts):
        lost = len(prompts) - len(shared)
        runs = count(len(answered), "run")
        remarks.append(
            f"{name}: {count(lost, 'prompt')} of {len(prompts):,} left out, since not every one of "
            f"{runs} has a response to it"
        )
    return [one for one in matched if one.document["prompt_id"] in shared]
