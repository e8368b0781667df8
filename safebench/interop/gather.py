"""From files to what they say together: one value per field, and no silent choice between two."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import InteropError
from safebench.interop import arguments, lm_eval, lm_eval_tasks, peft, trainer, weights
from safebench.interop.facts import Absent, Fact, Nothing, Place, first_words, show, visible
from safebench.interop.find import Found, Kind, find
from safebench.interop.record import Record, read_record

BASE: Place = ("model", "base", "id")
_TIMED = re.compile(r"(results|samples_.+)_\d{4}-\d\d-\d\dT[^.]*(?:\.\d+)?(\.jsonl?)\Z")
METHOD: Place = ("hyperparameters", "method")
# Of two fields, a card has one: training is counted in epochs or in steps.
_INSTEAD: dict[Place, Place] = {
    ("hyperparameters", "steps"): ("hyperparameters", "epochs"),
    ("hyperparameters", "warmup_ratio"): ("hyperparameters", "warmup_steps"),
}


@dataclass(frozen=True)
class Filled:
    """A field's value, and everything that says it."""

    value: Any
    facts: tuple[Fact, ...]

    @property
    def comment(self) -> str:
        """Where the value came from, as the draft says it."""
        keys: dict[str, list[str]] = {}
        for fact in self.facts:
            if fact.file is not None:
                keys.setdefault(short_name(fact.file), []).append(fact.key)
        text = ""
        if keys:
            name, said = next(iter(keys.items()))
            shown = first_words(dict.fromkeys(k for k in said if k), 1)
            files = len({fact.file for fact in self.facts if fact.file is not None})
            text = f"{name}: {shown}" if shown else name
            text += f" ({files} files)" if files > 1 else ""
        notes = dict.fromkeys(fact.note for fact in self.facts if fact.note)
        return "; ".join([text, *notes] if text else notes)


@dataclass(frozen=True)
class Gathered:
    """What all files say."""

    filled: dict[Place, Filled]
    paths: tuple[Path, ...] = ()
    """What was given to be read."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know and no field holds."""


def short_name(file: Path) -> str:
    """Return a file's name as comments say it: lm-eval's without the time it bears."""
    return _TIMED.sub(r"\1_*\2", file.name)


def gather(paths: Iterable[Path], start: Path, extra: Sequence[Fact] = ()) -> Gathered:
    """Read everything under the paths; folders of weights are named from `start`.

    `extra` are facts from elsewhere, such as options of a command line.

    Raises:
        InteropError: nothing can be read, a file is damaged, or two files contradict each other.
    """
    given = tuple(paths)
    found = find(given)
    remarks: list[str] = []
    facts = [*extra, *_facts(found, start, remarks)]
    filled = merge(facts, remarks)
    files = tuple(one.file for one in found if one.kind not in ("pickle", "generation config"))
    if METHOD not in filled:
        _see_method(filled)
        remarks.append(
            "no file says whether and how the model was fine-tuned: give the adapter's folder with "
            "--from, or --method"
        )
    return Gathered(filled, given, files, tuple(dict.fromkeys(remarks)))


def _see_method(filled: dict[Place, Filled]) -> None:
    """Stop where a training is described of which nothing says what was trained."""
    for place, one in filled.items():
        if place[0] == "hyperparameters":
            raise InteropError(
                f"{one.facts[0].file} says how something was trained, but no file says what: all "
                "weights, or an adapter",
                fix="add the adapter's folder with --from, or give --method full (or lora, ...)",
            )


def _facts(found: list[Found], start: Path, remarks: list[str]) -> Iterator[Fact]:
    by_kind: dict[Kind, list[Path]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one.file)
    states = {file.parent: read_record(file) for file in by_kind.get("trainer state", ())}
    given = {file.parent: read_record(file) for file in by_kind.get("training arguments", ())}
    adapters = by_kind.get("adapter", [])
    for file in adapters:
        yield from peft.facts(read_record(file))
    for record in given.values():
        yield from arguments.facts(record)
    for folder, record in states.items():
        alone = not any(around in given for around in (folder, *folder.parents))
        yield from trainer.facts(record, alone=alone)
        best = trainer.best_checkpoint(record)
        if best is not None:
            remarks.append(
                f"{record.file} calls {best} the best checkpoint: if the numbers are about it for "
                "that reason, say so in model.checkpoint_rule"
            )
    known = weights.known_weights(adapters, by_kind.get("weights", []), states, given)
    yield from weights.facts(known, start)
    if not known:
        yield from weights.seeds_of_arguments(given)
    yield from _templates(by_kind)
    yield from _lm_eval(by_kind)
    remarks.extend(_remarks(by_kind, given))


def _templates(by_kind: dict[Kind, list[Path]]) -> Iterator[Fact]:
    for file in by_kind.get("chat template", ()):
        yield from trainer.template_facts(file, None)
    for file in by_kind.get("tokenizer", ()):
        yield from trainer.template_facts(file, read_record(file))


def _lm_eval(by_kind: dict[Kind, list[Path]]) -> Iterator[Fact]:
    told: set[tuple[Path, str]] = set()
    for file in by_kind.get("lm-eval results", ()):
        record = read_record(file)
        yield from lm_eval.facts(record)
        configs = record.mapping("configs")
        told.update((file.parent, task) for task in (configs.data if configs else ()))
    for file in by_kind.get("lm-eval samples", ()):
        task = file.name.removeprefix("samples_").rpartition("_")[0]
        if (file.parent, task) not in told:
            yield from lm_eval_tasks.sample_facts(lm_eval_tasks.first_line(file), task)


def _remarks(by_kind: dict[Kind, list[Path]], given: dict[Path, Record]) -> Iterator[str]:
    for file in by_kind.get("pickle", ()):
        if file.parent not in given and not any(p in given for p in file.parent.parents):
            yield (
                f"{file} is a pickle, which can run code and is never loaded: write "
                "trainer.args.to_json_string() to training_args.json beside it"
            )
    for file in by_kind.get("generation config", ()):
        record = read_record(file)
        values = ((key, record.number(key)) for key in ("temperature", "top_p", "top_k"))
        told = ", ".join(f"{key} {value:g}" for key, value in values if value is not None)
        if told:
            yield (
                f"{file} has {told}, the model's own settings: a user meets them, so measure "
                "them as a decoding"
            )


def merge(facts: Iterable[Fact], remarks: list[str]) -> dict[Place, Filled]:
    """Return one value per field; what differs from it, and may, becomes a remark.

    Raises:
        InteropError: two sources state different values for one field.
    """
    slots: dict[Place, list[Fact]] = {}
    for fact in facts:
        slots.setdefault(_INSTEAD.get(fact.place, fact.place), []).append(fact)
    base = _settle(slots.pop(BASE, []), remarks)
    methods = slots.get(METHOD, [])
    if any(fact.value == "qlora" for fact in methods):
        # An adapter's own file cannot tell whether the weights below it were quantized.
        slots[METHOD] = [fact for fact in methods if fact.value != "lora"]
    filled = {BASE: base} if base else {}
    for said in slots.values():
        here = [f for f in said if base is None or f.about in (None, base.value)]
        settled = _settle(here, remarks)
        if settled is not None:
            filled[settled.facts[0].place] = settled
    return filled


def _settle(said: list[Fact], remarks: list[str]) -> Filled | None:
    values = [fact for fact in said if not isinstance(fact.value, Absent)]
    if not said:
        return None
    best = min(fact.rank for fact in values or said)
    chosen = [fact for fact in values or said if fact.rank == best]
    first, *others = _distinct(chosen)
    if others and not isinstance(first.value, Absent):
        if not all(fact.varies for fact in chosen):
            raise _conflict(first, others[0])
        told = "; ".join(f"{show(f.value)} ({_where(f, short=True)})" for f in (first, *others[:3]))
        return Filled(Absent(f"it differs: {told}"), tuple(chosen))
    for fact in _distinct([first, *(f for f in values if f.rank != best)])[1:]:
        remarks.append(
            f"{_where(fact)} says {_name(fact)} is {show(fact.value)}; the draft has "
            f"{show(first.value)}, from {_where(first)}"
        )
    same = [fact for fact in chosen if _same(fact) == _same(first)]
    return Filled(first.value, tuple(same))


def _distinct(facts: list[Fact]) -> list[Fact]:
    found: dict[str, Fact] = {}
    for fact in facts:
        found.setdefault(_same(fact), fact)
    return list(found.values())


def _same(fact: Fact) -> str:
    """Return a text that is equal for equal values of the same field; 8 and 8.0 are equal."""
    value = fact.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{fact.place} {float(value)!r}"
    if isinstance(value, Absent | Nothing):
        return f"{fact.place} {value}"
    return f"{fact.place} {json.dumps(value, sort_keys=True)}"


def _name(fact: Fact) -> str:
    return visible(".".join(part if len(part) < 40 else "..." for part in fact.place))


def _where(fact: Fact, *, short: bool = False) -> str:
    if fact.file is None:
        return fact.key
    return f"{fact.file.name if short else fact.file}: {fact.key}".removesuffix(": ")


def _conflict(one: Fact, other: Fact) -> InteropError:
    names = dict.fromkeys((_name(one), _name(other)))
    what = f"{' or '.join(names)}: two sources differ"
    told = "\n".join(f"  {_where(f)} is {show(f.value)}" for f in (one, other))
    fix = "a card is about one recipe: give the files of one, or make a card of each"
    return InteropError(f"{what}\n{told}", fix=fix)
