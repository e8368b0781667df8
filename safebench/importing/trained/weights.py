"""The weights of every training seed and checkpoint, from adapters and trainers' folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safebench.card.results import Condition
from safebench.errors import InteropError, visible
from safebench.files import sha256_of, sha256_of_folder
from safebench.importing.draft.facts import INDIRECT, Absent, Fact, natural
from safebench.importing.names import seed_in
from safebench.importing.record import Record
from safebench.importing.trained.trainer import Reached, reached

ADAPTER = "adapter_model.safetensors"
WHOLE = "model.safetensors"
_PLACE = ("model", "weights")


@dataclass(frozen=True)
class Stated:
    """What a person says of the weights in a folder, or of those in the folders below it."""

    folder: Path
    seed: int
    form: str
    """`adapter`, `merged` or `full`."""
    checkpoint: int | None = None
    condition: Condition = "tuned"


@dataclass(frozen=True)
class Known:
    """What is known of one folder of weights."""

    folder: Path
    file: Path
    """File that says there are weights here."""
    form: str
    sha256: str | None
    seed: int | None
    seed_source: tuple[Path, str]
    """File and key, or file and the folder's name, that say the seed."""
    reached: Reached | None
    stated: Stated | None = None

    @property
    def condition(self) -> Condition:
        """Condition that they belong to."""
        return "tuned" if self.stated is None else self.stated.condition


def known_weights(
    adapters: Sequence[Path],
    whole: Sequence[Path],
    states: dict[Path, Record],
    arguments: dict[Path, Record],
    stated: Sequence[Stated] = (),
) -> list[Known]:
    """Return every set of weights once; a copy of a checkpoint is not counted beside it.

    Whole models (`whole`) count where a trainer's state lies beside them, or a person says so.

    Raises:
        InteropError: arguments and folder, or a person, name different training seeds.
    """
    by_folder = {one.folder.resolve(): one for one in stated}

    def said(folder: Path) -> Stated | None:
        resolved = folder.resolve()
        near = (by_folder.get(place) for place in (resolved, *resolved.parents))
        return next((one for one in near if one is not None), None)

    found = [_known(file, "adapter", states, arguments, said(file.parent)) for file in adapters]
    with_adapter = {one.folder for one in found}
    for folder in sorted({file.parent for file in whole}):
        told = said(folder)
        if (folder in states or told is not None) and folder not in with_adapter:
            file = min(file for file in whole if file.parent == folder)
            form = "full" if told is None or told.form == "adapter" else told.form
            found.append(_known(file, form, states, arguments, told))
    found.sort(key=lambda one: natural(one.folder))
    return [one for one in found if not _is_copy(one, found)]


def _known(
    file: Path,
    form: str,
    states: dict[Path, Record],
    arguments: dict[Path, Record],
    stated: Stated | None,
) -> Known:
    folder = file.parent
    state = states.get(folder)
    seed, source = _seed(file, arguments, stated)
    return Known(
        stated=stated,
        folder=folder,
        file=file,
        form=form,
        sha256=_digest(folder, form),
        seed=seed,
        seed_source=source,
        reached=None if state is None else reached(state),
    )


def _digest(folder: Path, form: str) -> str | None:
    if form == "adapter":
        file = folder / ADAPTER
        return sha256_of(file) if file.is_file() else None
    single = folder / WHOLE
    if single.is_file():
        return sha256_of(single)
    shards = tuple(sorted(p.name for p in folder.glob("model-*.safetensors")))
    return sha256_of_folder(folder, shards) if shards else None


def _seed(
    file: Path, arguments: dict[Path, Record], told: Stated | None
) -> tuple[int | None, tuple[Path, str]]:
    """Return the seed that a person says, of the nearest arguments, or of the folder's name."""
    folder = file.parent
    near = next((f for f in (folder, *folder.parents) if f in arguments), None)
    named = seed_in(folder)
    stated = arguments[near].whole("seed") if near is not None else None
    if told is not None:
        if near is not None and stated not in (None, told.seed):
            raise InteropError(
                f"{visible(str(folder))} is said to be of seed {told.seed}, "
                f"but {visible(str(arguments[near].file))} says seed {stated}",
                fix="a training seed is the value the trainer was given: name that one everywhere",
            )
        return told.seed, (told.folder, "said on the command line")
    if near is not None and stated is not None:
        source = arguments[near].file
        if named is not None and named[0] != stated:
            raise InteropError(
                f"the folder {visible(str(folder))} names seed {named[0]}, "
                f"but {visible(str(source))} says seed {stated}",
                fix="rename the folder, or leave one of the two out",
            )
        return stated, (source, "seed")
    if named is None:
        return None, (file, "")
    return named[0], (folder.parent / named[1], "name of the folder")


def _is_copy(one: Known, all_: Sequence[Known]) -> bool:
    """Whether weights at the top of a run are those of a checkpoint inside it."""
    return any(
        other is not one
        and one.sha256 is not None
        and other.sha256 == one.sha256
        and one.folder in other.folder.parents
        for other in all_
    )


def length_in_steps(said: Iterable[Fact]) -> Fact | None:
    """Return what says that training was counted in steps; None where epochs are said."""
    lengths = [fact for fact in said if fact.place[1:] in (("steps",), ("epochs",))]
    best = min((fact.rank for fact in lengths), default=INDIRECT)
    return next((f for f in lengths if f.rank == best and f.place[1:] == ("steps",)), None)


def checkpoint_of(one: Known, found: Sequence[Known], *, in_steps: bool) -> int | None:
    """Return epoch or step of one of several weights; None where nothing says it.

    `in_steps`: something says that training was counted in steps.
    """
    at = _checkpoint(one, _unit(found, in_steps=in_steps))
    return at if isinstance(at, int) else None


def _unit(found: Iterable[Known], *, in_steps: bool) -> str | None:
    """Return what checkpoints are counted in: epochs where every one ends an epoch."""
    states = [one.reached for one in found if one.reached is not None]
    if in_steps or not states:
        return "step" if in_steps else None
    return "epoch" if all(state.whole_epoch is not None for state in states) else "step"


def facts(found: Sequence[Known], start: Path, steps: Fact | None) -> Iterator[Fact]:
    """Yield the list of weights and what follows from it; paths begin at `start`.

    `steps` is what says that training was counted in steps.
    """
    unit = _unit(found, in_steps=steps is not None)
    if steps is not None:
        yield replace(steps, place=("hyperparameters", "checkpoint_unit"), value="step", note="")
    for number, one in enumerate(found):
        place = (*_PLACE, f"{number:06}")
        checkpoint = _checkpoint(one, unit)
        seed: object = one.seed
        if seed is None:
            seed = Absent("neither arguments nor the names of folders say it")
        yield Fact((*place, "training_seed"), seed, *one.seed_source)
        state = one.folder / "trainer_state.json" if one.reached else one.file
        key = "epoch" if unit == "epoch" else "global_step"
        yield Fact((*place, "checkpoint"), checkpoint, state, key if one.reached else "")
        if one.condition != "tuned":
            yield Fact((*place, "condition"), one.condition, None)
        yield Fact((*place, "form"), one.form, one.file)
        yield Fact((*place, "path"), _relative(one.folder, start), None)
        digest: object = one.sha256
        if digest is None:
            digest = Absent(f"there is no {ADAPTER} beside {one.file.name}")
        file = one.folder / (ADAPTER if one.form == "adapter" else WHOLE)
        yield Fact((*place, "sha256"), digest, file)
    yield from _checkpoints(found, unit)
    yield from _seeds(found)
    full = next((one for one in found if one.form == "full"), None)
    if full is not None:
        note = "a trainer saved all weights here, and no adapter"
        yield Fact(("hyperparameters", "method"), "full", full.file, note=note, rank=INDIRECT)


def _checkpoint(one: Known, unit: str | None) -> int | Absent:
    if one.stated is not None and one.stated.checkpoint is not None:
        return one.stated.checkpoint
    if one.reached is not None:
        at = one.reached.whole_epoch if unit == "epoch" else one.reached.step
        if at is not None:
            return at
    return Absent(f"{one.folder.name} has no trainer_state.json that says epoch and step")


def _checkpoints(found: Sequence[Known], unit: str | None) -> Iterator[Fact]:
    states = [one for one in found if one.reached is not None]
    at = {_checkpoint(one, unit) for one in states}
    known = sorted(place for place in at if isinstance(place, int))
    if not states or len(states) < len(found) or len(known) < len(at):
        return
    file = states[0].folder / "trainer_state.json"
    key = "epoch" if unit == "epoch" else "global_step"
    yield Fact(("hyperparameters", "checkpoints"), known, file, key)
    yield Fact(("hyperparameters", "checkpoint_unit"), unit, file, key, rank=INDIRECT)


def _seeds(found: Sequence[Known]) -> Iterator[Fact]:
    seeds = sorted({one.seed for one in found if one.seed is not None})
    if not seeds:
        return
    first = next(one for one in found if one.seed is not None)
    value: object = seeds
    if any(one.seed is None for one in found):
        value = Absent(f"known for some of the weights: {', '.join(str(s) for s in seeds)}")
    yield Fact(("seeds", "training"), value, *first.seed_source)


def seeds_of_arguments(arguments: dict[Path, Record]) -> Iterator[Fact]:
    """Yield the training seeds that arguments name, where there are no weights to ask."""
    seeds = {record.whole("seed"): record.file for record in arguments.values()}
    known = sorted(seed for seed in seeds if seed is not None)
    if known:
        yield Fact(("seeds", "training"), known, seeds[known[0]], "seed")


def _relative(folder: Path, start: Path) -> str:
    return Path(os.path.relpath(folder.resolve(), start.resolve())).as_posix()
