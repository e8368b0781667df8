"""Checks that each model was sampled with its own weights, as far as files and responses tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

from safebench.errors import InteropError, visible
from safebench.importing.draft.settle import BASE
from safebench.importing.facts import BY_PERSON, Fact, Place
from safebench.importing.interface import ModelKey, Response
from safebench.importing.lm_eval.decoding import LOGLIKELIHOOD
from safebench.importing.loaded import LoadedWeights, is_same, may_be_same_name, same_name

_QUANTIZATION: Place = ("model", "quantization")
_ENOUGH = 6
"""So many different responses, of at least `_FEWEST_WORDS` words, two models do not share by
chance."""
_FEWEST_WORDS = 4

Weights = Mapping[ModelKey, Sequence[LoadedWeights]]
_Answers = dict[tuple[str, int, str], str]
"""Responses by task, repeat and prompt."""


def check_loaded(loaded: Weights, base: str | None, facts: Iterable[Fact]) -> None:
    """Check that every model was sampled with weights that can be its own.

    Args:
        loaded: The weights that samplers recorded.
        base: Name of the base model as the card will have it, or its folder.
        facts: All facts; what a person declares about the base model or quantization counts.

    Raises:
        InteropError: the base model was measured with an adapter or a tuned model without weights
            of its own, or two models have different bases or were loaded in different ways.
    """
    declared = {fact.place for fact in facts if fact.rank == BY_PERSON}
    bases = [one for key, all_ in loaded.items() if key.condition == "base" for one in all_]
    tuned = [(key, one) for key, all_ in loaded.items() if key.condition != "base" for one in all_]
    for one in bases:
        if one.added:
            # a delta is the difference of all weights, which no adapter's file describes
            whole = any(name == "delta" for name, _ in one.added)
            form = "--full seed=N,checkpoint=N:DIR of what both give" if whole else "--adapter"
            form += "" if whole else " seed=N:DIR"
            raise InteropError(
                f"{one.cite(one.added)}, so the responses of --base are not a base model's",
                fix=f"give them as --tuned seed=N:DIR, with {form}; a base model is measured "
                f"without {'a delta' if whole else 'an adapter'}",
            )
    for key, all_ in loaded.items():
        for one, other in combinations(all_, 2):
            _check_one_model(key, one, other)
    for key, one in tuned:
        _check_tuned(key, one, bases, base)
        for other in bases if BASE not in declared else ():
            _check_same_base(key, one, other)
    if _QUANTIZATION not in declared:
        _check_quantization([one for one in (*bases, *(one for _, one in tuned)) if one.by_name])


def _check_one_model(key: ModelKey, one: LoadedWeights, other: LoadedWeights) -> None:
    """Check that two runs of one model name the same weights."""
    comparable = one.by_name and other.by_name and bool(one.added) == bool(other.added)
    names = zip(one.names, other.names, strict=False)
    alike = one.which == other.which and all(may_be_same_name(*pair) for pair in names)
    if comparable and not alike:
        raise InteropError(
            f"{key} was sampled with two sets of weights: "
            f"{one.cite((*one.whole, *one.added, *one.which))}, but "
            f"{other.cite((*other.whole, *other.added, *other.which))}",
            fix="give the runs of one model only; seed=1,checkpoint=N:DIR tells checkpoints apart",
        )


def _check_tuned(
    key: ModelKey, one: LoadedWeights, bases: Iterable[LoadedWeights], base: str | None
) -> None:
    plain = one.by_name and not (one.added or one.which)
    named = base is not None and one.name is not None and same_name(one.name, base)
    if any(is_same(one, other) for other in bases) or (plain and named):
        raise InteropError(
            f"{key}: {one.cite(one.whole)}, the base model, and no adapter, so the base model "
            "answered",
            fix="sample again with the adapter (peft=DIR, or lora_local_path=DIR under vllm), or "
            "with a merged model; responses of the base model belong to --base",
        )


def _check_same_base(key: ModelKey, one: LoadedWeights, other: LoadedWeights) -> None:
    if not (one.added and one.by_name and other.by_name and one.name and other.name):
        return
    if not may_be_same_name(one.name, other.name):
        raise InteropError(
            f"{key}: {one.cite((*one.whole, *one.added))}, but {other.cite(other.whole)} as the "
            "base model",
            fix="measure the base model that was fine-tuned; if both are the same model, name it: "
            "--model DIR, or model.base.id in --card",
        )


def _check_quantization(runs: Sequence[LoadedWeights]) -> None:
    """Check that all weights were quantized alike when they were loaded."""
    for other in runs[1:]:
        differ = sorted({*runs[0].how} ^ {*other.how})
        if differ:
            one, two = (runs[0], other) if differ[0] in runs[0].how else (other, runs[0])
            raise InteropError(
                f"models were loaded in different ways: {one.cite(differ[:1])}, and "
                f"{visible(str(two.file))} has not",
                fix="load all models the same way; if the difference is intended, say so in "
                "--card: model: {quantization: {not_reported: WHY}}",
            )


def check_responses(
    samples: Iterable[Response], loaded: Weights, facts: Iterable[Fact]
) -> Iterator[str]:
    """Yield remarks on models whose responses are word for word those of another model.

    Raises:
        InteropError: two models were sampled with the same weights: their files say so, or they
            share more responses than chance allows.
    """
    places = [fact.place for fact in facts if fact.value is True]
    drawn = {at[1] for at in places if at[0] == "decoding" and at[2:] == ("do_sample",)}
    answers: dict[ModelKey, dict[str, _Answers]] = {}
    for one in samples:
        if one.decoding != LOGLIKELIHOOD and one.response is not None:
            of_decoding = answers.setdefault(one.model, {}).setdefault(one.decoding, {})
            of_decoding[one.task, one.repeat, one.prompt_id or one.prompt] = one.response
    for first, second in combinations(sorted(answers, key=_base_first), 2):
        if _may_be_one_model(first, second):
            continue
        both = [name for name in answers[first] if name in answers[second]]
        same = [name for name in both if answers[first][name] == answers[second][name]]
        weights = [(key, loaded.get(key, ())) for key in (first, second)]
        twice = _named_twice(weights[0][1], weights[1][1])
        if twice and all(name in same or name in drawn for name in both):
            raise InteropError(
                f"{first} and {second} were sampled with the same weights: {twice}",
                fix="give each model its own runs; sample a seed again whose own weights were not "
                "measured",
            )
        known = not twice and all(_is_known(w) for key, w in weights if key.condition != "base")
        for name in same:
            texts = answers[first][name]
            what = f"{second} answered all {len(texts):,} prompts word for word as {first} did"
            telling = {text for text in texts.values() if len(text.split()) >= _FEWEST_WORDS}
            # Greedy answers are alike too where training changed nothing; draws never are.
            if not known and name in drawn and len(telling) >= _ENOUGH:
                raise InteropError(
                    f"{what}, and no file shows that its own weights were loaded",
                    fix="check what was sampled (the model's name at the server, the adapter), "
                    "and sample again with its own weights",
                )
            if len(telling) > 1:
                yield f"{what}: check that its own weights were loaded"


def _base_first(key: ModelKey) -> tuple[object, ...]:
    return (key.condition != "base", key.condition, key.training_seed or 0, key.checkpoint or 0)


def _may_be_one_model(one: ModelKey, other: ModelKey) -> bool:
    """Whether two keys can be one model: a checkpoint that nothing gives may be any."""
    checkpoints = {one.checkpoint, other.checkpoint}
    alike = (one.condition, one.training_seed) == (other.condition, other.training_seed)
    return alike and (len(checkpoints) == 1 or None in checkpoints)


def _named_twice(one: Sequence[LoadedWeights], other: Sequence[LoadedWeights]) -> str:
    """Return where two models' runs name the same weights; empty where they do not."""
    for a, b in product(one, other):
        if is_same(a, b):
            return f"{a.cite((*a.whole, *a.added))}, as {visible(str(b.file))} has"
    return ""


def _is_known(weights: Sequence[LoadedWeights]) -> bool:
    """Whether files tell which weights were loaded."""
    return bool(weights) and all(one.added or (one.by_name and one.whole) for one in weights)
