"""The weights of every training seed and checkpoint, found in folders of adapters and trainers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from safebench.card.results import Condition
from safebench.errors import InteropError, visible
from safebench.files import sha256_of, sha256_of_folder
from safebench.importing.facts import INDIRECT, Absent, Fact, natural
from safebench.importing.record import Record
from safebench.importing.training.trainer import Progress, progress

T = TypeVar("T")

ADAPTER = "adapter_model.safetensors"
WHOLE = "model.safetensors"
_STATE = "trainer_state.json"
_SEED = re.compile(r"(?:^|[-_.])(?:seed|s)[-_=]?(\d{1,10})\Z", re.IGNORECASE)


@dataclass(frozen=True)
class DeclaredWeights:
    """What a person declares about the weights in a folder and below it."""

    folder: Path
    seed: int
    form: str
    """`adapter`, `merged` or `full`."""
    checkpoint: int | None = None
    condition: Condition = "tuned"


@dataclass(frozen=True)
class FoundWeights:
    """One folder of weights."""

    folder: Path
    file: Path
    """File by which they were found."""
    form: str
    sha256: str | None
    seed: int | None
    seed_source: tuple[Path, str]
    """File and key, or folder and a description, that the seed comes from."""
    reached: Progress | None
    declared: DeclaredWeights | None = None

    @property
    def condition(self) -> Condition:
        """Condition that they belong to."""
        return "tuned" if self.declared is None else self.declared.condition


def find_weights(
    adapters: Sequence[Path],
    whole: Sequence[Path],
    states: Mapping[Path, Record],
    arguments: Mapping[Path, Record],
    declared: Sequence[DeclaredWeights] = (),
) -> list[FoundWeights]:
    """Return every set of weights once: a copy of a checkpoint is left out.

    `adapters` are their configurations. `whole` are files of whole models, which count where a
    trainer's state lies beside them, or a person declares them. States and arguments are by folder.

    Raises:
        InteropError: arguments and folder, or a person, name different training seeds.
    """
    by_folder = {one.folder.resolve(): one for one in declared}

    def found(file: Path, form: str | None) -> FoundWeights:
        folder = file.parent
        own = _nearest(by_folder, folder.resolve())
        if form is None:
            form = "full" if own is None or own.form == "adapter" else own.form
        seed, source = _seed(file, arguments, own)
        state = states.get(folder)
        reached = None if state is None else progress(state)
        digest = _digest(folder, form)
        return FoundWeights(folder, file, form, digest, seed, source, reached, own)

    weights = [found(file, "adapter") for file in adapters]
    with_adapter = {one.folder for one in weights}
    first = {file.parent: file for file in sorted(whole, reverse=True)}
    for folder in sorted(first.keys() - with_adapter):
        if folder in states or _nearest(by_folder, folder.resolve()) is not None:
            weights.append(found(first[folder], None))
    weights.sort(key=lambda one: natural(one.folder))
    # A trainer saves its last or best checkpoint once more at the top of its folder.
    inside = {(around, o.sha256) for o in weights if o.sha256 for around in o.folder.parents}
    return [one for one in weights if (one.folder, one.sha256) not in inside]


def _nearest(by_folder: Mapping[Path, T], folder: Path) -> T | None:
    """Return what is known of a folder, or of the closest one around it."""
    near = (by_folder.get(place) for place in (folder, *folder.parents))
    return next((one for one in near if one is not None), None)


def _digest(folder: Path, form: str) -> str | None:
    single = folder / (ADAPTER if form == "adapter" else WHOLE)
    if single.is_file():
        return sha256_of(single)
    shards = () if form == "adapter" else folder.glob("model-*.safetensors")
    names = tuple(sorted(path.name for path in shards))
    return sha256_of_folder(folder, names) if names else None


def _seed(
    file: Path, arguments: Mapping[Path, Record], declared: DeclaredWeights | None
) -> tuple[int | None, tuple[Path, str]]:
    """Return the seed, and its source: a person, the nearest arguments, or the folder's name."""
    folder = file.parent
    record = _nearest(arguments, folder)
    argument = None if record is None else record.whole("seed")
    named = _seed_in_name(folder)
    if declared is not None:
        if record is not None and argument not in (None, declared.seed):
            raise InteropError(
                f"{visible(str(folder))} is declared as seed {declared.seed}, "
                f"but {visible(str(record.file))} says seed {argument}",
                fix="a training seed is the value the trainer was given: use that one everywhere",
            )
        return declared.seed, (declared.folder, "declared on the command line")
    if record is not None and argument is not None:
        if named is not None and named[0] != argument:
            raise InteropError(
                f"the folder {visible(str(folder))} names seed {named[0]}, "
                f"but {visible(str(record.file))} says seed {argument}",
                fix="rename the folder, or leave one of the two out",
            )
        return argument, (record.file, "seed")
    if named is None:
        return None, (file, "")
    return named[0], (folder.parent / named[1], "name of the folder")


def _seed_in_name(folder: Path) -> tuple[int, str] | None:
    """Return the seed in the name of a folder or of the one around it, as in `seed-3` or `s3`."""
    for part in reversed(Path.cwd().joinpath(folder).parts[-2:]):  # `.` has a name, too
        match = _SEED.search(part)
        if match and int(match[1]) < 2**32:
            return int(match[1]), part
    return None


def length_in_steps(facts: Iterable[Fact]) -> Fact | None:
    """Return the fact that training was counted in steps; None where it was counted in epochs."""
    lengths = [fact for fact in facts if fact.place[1:] in (("steps",), ("epochs",))]
    best = min((fact.rank for fact in lengths), default=INDIRECT)
    return next((f for f in lengths if f.rank == best and f.place[1:] == ("steps",)), None)


def unit_of(found: Iterable[FoundWeights], *, in_steps: bool) -> str | None:
    """Return what checkpoints are counted in: epochs where every one of them ends an epoch.

    `in_steps` tells whether training is known to be counted in steps. None where nothing tells.
    """
    reached = [one.reached for one in found if one.reached is not None]
    if in_steps or not reached:
        return "step" if in_steps else None
    return "epoch" if all(now.whole_epoch is not None for now in reached) else "step"


def in_the_unit(facts: Iterable[Fact], found: Sequence[FoundWeights]) -> Iterator[Fact]:
    """Yield facts of training, epochs as steps where a checkpoint lies within an epoch."""
    rates = [r.step / r.epoch for one in found if (r := one.reached) and r.step and r.epoch]
    in_steps = unit_of(found, in_steps=False) == "step" and bool(rates)
    for fact in facts:
        if in_steps and fact.place == ("hyperparameters", "epochs") and fact.value:
            note = f"{fact.value} epochs; a checkpoint lies within one"
            place, steps = ("hyperparameters", "steps"), round(fact.value * rates[0])
            yield replace(fact, place=place, value=steps, note=note)
        else:
            yield fact


def checkpoint_of(one: FoundWeights, unit: str | None) -> int | None:
    """Return the epoch or step of a set of weights; None where it is unknown."""
    if one.declared is not None and one.declared.checkpoint is not None:
        return one.declared.checkpoint
    if one.reached is None:
        return None
    return one.reached.whole_epoch if unit == "epoch" else one.reached.step


def facts(found: Sequence[FoundWeights], start: Path, steps: Fact | None) -> Iterator[Fact]:
    """Yield the list of weights and what follows from it; paths are relative to `start`.

    `steps` is the fact that training was counted in steps, if it was.
    """
    unit = unit_of(found, in_steps=steps is not None)
    key = "epoch" if unit == "epoch" else "global_step"
    if steps is not None:
        yield replace(steps, place=("hyperparameters", "checkpoint_unit"), value="step", note="")
    for number, one in enumerate(found):
        yield from _entry(one, ("model", "weights", f"{number:06}"), start, unit, key)
    states = [one for one in found if one.reached is not None]
    reached = {checkpoint_of(one, unit) for one in states}
    if states and len(states) == len(found) and None not in reached:
        place = ("hyperparameters", "checkpoints")
        file = states[0].folder / _STATE
        yield Fact(place, sorted(at for at in reached if at is not None), file, key)
        yield Fact(("hyperparameters", "checkpoint_unit"), unit, file, key, rank=INDIRECT)
    seeds = sorted({one.seed for one in found if one.seed is not None})
    if seeds:
        source = next(one.seed_source for one in found if one.seed is not None)
        partly = Absent(f"known for some of the weights: {', '.join(map(str, seeds))}")
        value = partly if any(one.seed is None for one in found) else seeds
        yield Fact(("seeds", "training"), value, *source)
    full = next((one for one in found if one.form == "full"), None)
    if full is not None:
        note = "a trainer saved all weights here, and no adapter"
        yield Fact(("hyperparameters", "method"), "full", full.file, note=note, rank=INDIRECT)


def _entry(
    one: FoundWeights, place: tuple[str, ...], start: Path, unit: str | None, key: str
) -> Iterator[Fact]:
    """Yield one item of the card's list of weights."""

    def fact(field: str, value: object, why: str, file: Path | None, key: str = "") -> Fact:
        return Fact((*place, field), Absent(why) if value is None else value, file, key)

    why = "neither arguments nor the names of folders have it"
    yield fact("training_seed", one.seed, why, *one.seed_source)
    why = f"{one.folder.name} has no {_STATE} with epoch and step"
    state = (one.folder / _STATE, key) if one.reached else (one.file, "")
    yield fact("checkpoint", checkpoint_of(one, unit), why, *state)
    if one.condition != "tuned":
        yield fact("condition", one.condition, "", None)
    yield fact("form", one.form, "", one.file)
    path = Path(os.path.relpath(one.folder.resolve(), start.resolve())).as_posix()
    yield fact("path", path, "", None)
    why = f"there is no {ADAPTER} beside {one.file.name}"
    weights = one.folder / (ADAPTER if one.form == "adapter" else WHOLE)
    yield fact("sha256", one.sha256, why, weights)


def seeds_of_arguments(arguments: Mapping[Path, Record]) -> Iterator[Fact]:
    """Yield the training seeds in arguments, for when no weights were found."""
    seeds = {record.whole("seed"): record.file for record in arguments.values()}
    known = sorted(seed for seed in seeds if seed is not None)
    if known:
        yield Fact(("seeds", "training"), known, seeds[known[0]], "seed")
