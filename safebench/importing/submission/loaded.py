"""What samplers loaded, against what the models are said to be; and what they answered with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from safebench.errors import InteropError, visible
from safebench.importing.draft.facts import ASKED, Fact, Place
from safebench.importing.draft.merge import BASE
from safebench.importing.lm_eval.samples import LOGLIKELIHOOD
from safebench.importing.loaded import Loaded, is_same, may_be_same_name, same_name
from safebench.importing.samples import ModelKey, Sampled

_QUANTIZATION: Place = ("model", "quantization")
_ENOUGH = 6
"""So many different responses of several words two models do not share by chance."""
_FEWEST_WORDS = 4

Weights = Mapping[ModelKey, Sequence[Loaded]]


def check_loaded(loaded: Weights, base: str | None, facts: Iterable[Fact]) -> None:
    """See that every model was sampled with weights that can be its own.

    Args:
        loaded: What samplers say that they loaded.
        base: Name of the base model as the card will have it, or its folder.
        facts: What is said; what a person says of the base model and its quantization counts.

    Raises:
        InteropError: the base model was measured with an adapter, a tuned model without weights
            of its own, or models on other bases or loaded in other ways.
    """
    asked = {fact.place for fact in facts if fact.rank == ASKED}
    bases = [one for key, all_ in loaded.items() if key.condition == "base" for one in all_]
    tuned = [(key, one) for key, all_ in loaded.items() if key.condition != "base" for one in all_]
    for one in bases:
        if one.added:
            raise InteropError(
                f"{one.said(one.added)}, so what is given as --base is no base model",
                fix="give it as --tuned seed=N:DIR, with --adapter seed=N:DIR; a base model is "
                "measured without it",
            )
    for key, all_ in loaded.items():
        _check_one_model(key, all_)
    for key, one in tuned:
        _check_tuned(key, one, bases, base)
        for other in bases if BASE not in asked else ():
            _check_same_base(key, one, other)
    if _QUANTIZATION not in asked:
        _check_alike([one for one in (*bases, *(one for _, one in tuned)) if one.by_name])


def _check_one_model(key: ModelKey, runs: Sequence[Loaded]) -> None:
    """See that several runs of one model name the same weights."""
    for one, other in combinations(runs, 2):
        comparable = one.by_name and other.by_name and bool(one.added) == bool(other.added)
        names = zip(one.folders, other.folders, strict=False)
        alike = one.which == other.which and all(may_be_same_name(*pair) for pair in names)
        if comparable and not alike:
            raise InteropError(
                f"{key} was sampled with two sets of weights: "
                f"{one.said((*one.whole, *one.added, *one.which))}, but "
                f"{other.said((*other.whole, *other.added, *other.which))}",
                fix="give each model its own runs; checkpoints are told apart by "
                "seed=1,checkpoint=N:DIR",
            )


def _check_tuned(key: ModelKey, one: Loaded, bases: Iterable[Loaded], base: str | None) -> None:
    plain = one.by_name and not (one.added or one.which)
    named = base is not None and one.name is not None and same_name(one.name, base)
    if any(is_same(one, other) for other in bases) or (plain and named):
        raise InteropError(
            f"{key}: {one.said(one.whole)}, the base model, and no adapter, so the base model "
            "answered",
            fix="sample again with the adapter (peft=DIR, or lora_local_path=DIR under vllm), or "
            "with a merged model; what the base model answered is --base",
        )


def _check_same_base(key: ModelKey, one: Loaded, other: Loaded) -> None:
    if not (one.added and one.by_name and other.by_name and one.name and other.name):
        return
    if not may_be_same_name(one.name, other.name):
        raise InteropError(
            f"{key}: {one.said((*one.whole, *one.added))}, but {other.said(other.whole)} as the "
            "base model",
            fix="measure the base model that was fine-tuned; where both are one, name it: --model "
            "DIR, or model.base.id in --card",
        )


def _check_alike(runs: Sequence[Loaded]) -> None:
    """See that all weights were quantized alike when they were loaded."""
    for other in runs[1:]:
        differ = sorted({*runs[0].how} ^ {*other.how})
        if differ:
            here, there = (runs[0], other) if differ[0] in runs[0].how else (other, runs[0])
            raise InteropError(
                f"models were loaded in different ways: {here.said(differ[:1])}, and "
                f"{visible(str(there.file))} has not",
                fix="sample all the same way; if it is meant, say so in --card: model: "
                "{quantization: {not_reported: WHY}}",
            )


def same_words(samples: Iterable[Sampled], loaded: Weights, facts: Iterable[Fact]) -> Iterator[str]:
    """Yield notes on models that answered every prompt word for word as another did.

    Raises:
        InteropError: two models were sampled with the same weights, as their files or too many
            words for chance tell.
    """
    sampled = {f.place[1] for f in facts if f.place[0] == "decoding"
               and f.place[2:] == ("do_sample",) and f.value is True}  # fmt: skip
    said: dict[ModelKey, dict[str, dict[tuple[str, int, str], str]]] = {}
    for one in samples:
        if one.decoding != LOGLIKELIHOOD and one.response is not None:
            answers = said.setdefault(one.model, {}).setdefault(one.decoding, {})
            answers[one.task, one.repeat, one.prompt_id or one.prompt] = one.response
    for first, second in combinations(sorted(said, key=_base_first), 2):
        if _are_one_model(first, second):
            continue
        both = [name for name in said[first] if name in said[second]]
        same = [name for name in both if said[first][name] == said[second][name]]
        twice = _named_twice(loaded.get(first, ()), loaded.get(second, ()))
        if twice and all(name in same or name in sampled for name in both):
            raise InteropError(
                f"{first} and {second} were sampled with the same weights: {twice}",
                fix="give the runs of each model; a seed whose own weights were not measured is "
                "sampled again",
            )
        known = not twice and all(
            _is_shown(loaded.get(key, ())) for key in (first, second) if key.condition != "base"
        )
        for name in same:
            answers = said[first][name]
            telling = {text for text in answers.values() if len(text.split()) >= _FEWEST_WORDS}
            what = f"{second} answered all {len(answers):,} prompts word for word as {first} did"
            # Greedy answers are alike too where training changed nothing; draws never are.
            if known or name not in sampled or len(telling) < _ENOUGH:
                yield from [f"{what}: see that its own weights were loaded"] * (len(telling) > 1)
                continue
            raise InteropError(
                f"{what}, and no file shows that its own weights were loaded",
                fix="look at what was sampled (the model's name at the server, the adapter), and "
                "sample again with its own weights",
            )


def _base_first(key: ModelKey) -> tuple[object, ...]:
    return (key.condition != "base", key.condition, key.training_seed or 0, key.checkpoint or 0)


def _are_one_model(one: ModelKey, other: ModelKey) -> bool:
    """Whether two keys can be one model; of a checkpoint, nothing may have said it yet."""
    places = {one.checkpoint, other.checkpoint}
    alike = (one.condition, one.training_seed) == (other.condition, other.training_seed)
    return alike and (len(places) == 1 or None in places)


def _named_twice(one: Sequence[Loaded], other: Sequence[Loaded]) -> str:
    """Return where two models' runs name the same weights; empty where they do not."""
    pairs = ((a, b) for a in one for b in other)
    told = (f"{a.said((*a.whole, *a.added))}, as {visible(str(b.file))} has"
            for a, b in pairs if is_same(a, b))  # fmt: skip
    return next(told, "")


def _is_shown(weights: Sequence[Loaded]) -> bool:
    """Whether files tell which weights were loaded."""
    return bool(weights) and all(one.added or (one.by_name and one.whole) for one in weights)
