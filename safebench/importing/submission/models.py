"""Which models answered: seeds, checkpoints, and the weights that they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.files import sync_tree
from safebench.importing.draft.facts import ASKED, Fact
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.merge import Filled
from safebench.importing.samples import ModelKey
from safebench.importing.submission.request import Request
from safebench.importing.submission.stated import card_seeds
from safebench.importing.trained.weights import ADAPTER, Known, checkpoint_of

_COPIED = ("adapter_config.json", ADAPTER)


class Models:
    """Tells of every model that answered which checkpoint it is, and picks their weights."""

    def __init__(self, request: Request) -> None:
        self._default = request.checkpoint
        self._loaded = {
            model: frozenset(place for one in loaded for place in one.places)
            for model, loaded in request.collected.loaded.items()
        }
        self._asked = list(dict.fromkeys(sample.model for sample in request.collected.samples))
        self.keys: dict[ModelKey, ModelKey] = {}
        """Every model as it was read, and with its checkpoint."""
        self.remarks: list[str] = []

    def choose(self, known: list[Known], in_steps: Fact | None) -> tuple[list[Known], list[Fact]]:
        """Settle every model's checkpoint; return the weights of the models that answered.

        Raises:
            InteropError: nothing, or more than one thing, says which checkpoint answered.
        """
        at: dict[tuple[str, int | None], dict[int | None, Known]] = {}
        for one in known:
            place = checkpoint_of(one, known, in_steps=in_steps is not None)
            at.setdefault((one.condition, one.seed), {})[place] = one
        for key in self._asked:
            self._check_own(key, known)
            there = at.get((key.condition, key.training_seed), {})
            self.keys[key] = self._settled(key, there)
        answered = {(k.condition, k.training_seed, k.checkpoint) for k in self.keys.values()}
        kept: list[Known] = []
        left: list[Known] = []
        for (condition, seed), found in at.items():
            for place, one in found.items():
                (kept if (condition, seed, place) in answered else left).append(one)
        if left:
            names = ", ".join(str(one.folder) for one in left[:3])
            self.remarks.append(
                f"{len(left)} sets of weights have no responses and are not listed: {names}"
            )
        return [one for one in known if one in kept], self._facts()

    def _check_own(self, key: ModelKey, known: list[Known]) -> None:
        """Raise InteropError where the sampler loaded weights that are said to be another's."""
        loaded = self._loaded.get(key, ())
        for one in known:
            own = (one.condition, one.seed) == (key.condition, key.training_seed)
            if not own and one.folder.resolve() in loaded:
                raise InteropError(
                    f"{key}: its sampler loaded {visible(str(one.folder))}, which is said to be of "
                    f"{ModelKey(one.condition, one.seed)}",
                    fix="give the responses and the weights of one seed the same seed",
                )

    def _settled(self, key: ModelKey, there: Mapping[int | None, Known]) -> ModelKey:
        if key.condition == "base" or key.checkpoint is not None:
            return key
        if self._default is not None:
            return replace(key, checkpoint=self._default)
        at = sorted(place for place in there if place is not None)
        loaded = self._loaded.get(key, frozenset())
        of_sampler = [p for p in at if there[p].folder.resolve() in loaded]
        for places in (of_sampler if len(loaded) == 1 else [], at):
            if len(places) == 1:
                return replace(key, checkpoint=places[0])
        seed = f"seed={key.training_seed}"
        if at:
            listed = ", ".join(str(place) for place in at)
            raise InteropError(
                f"{key}: its weights are of checkpoints {listed}, and nothing says which of them "
                "answered",
                fix=f"name it: {seed},checkpoint={at[-1]}:DIR",
            )
        raise InteropError(
            f"{key}: nothing says after how many epochs (or steps) it was when it answered",
            fix=f"give --checkpoint N for all, or {seed},checkpoint=N:DIR for this one",
        )

    def _facts(self) -> list[Fact]:
        tuned = [key for key in self.keys.values() if key.training_seed is not None]
        if not tuned:
            return []
        at = sorted({key.checkpoint for key in tuned if key.checkpoint is not None})
        place = ("hyperparameters", "checkpoints")
        return [Fact(place, at, None, note="those that answered", rank=ASKED)]


def seed_facts(request: Request) -> list[Fact]:
    """Return the training seeds of an import, those that were lost among them.

    Raises:
        InteropError: the card lists a seed of which there is nothing, or a seed is listed as lost
            and has responses.
    """
    samples = request.collected.samples
    answered = {s.model.training_seed for s in samples if s.model.training_seed is not None}
    for one in request.lost:
        if one.seed in {s.model.training_seed for s in samples
                        if s.model.condition == one.condition}:  # fmt: skip
            raise InteropError(
                f"{one.condition}, seed {one.seed} is said to be lost, and has responses",
                fix="take --lost away, or leave its responses out",
            )
    seeds = answered | {one.seed for one in request.lost}
    if request.card is not None:
        missing = [seed for seed in card_seeds(request.card) if seed not in seeds]
        if missing:
            raise InteropError(
                f"{request.card}: seeds.training lists {', '.join(map(str, missing))}, of which "
                "there are no responses",
                fix=f"import them too, or say what became of them: --lost seed={missing[0]}:REASON",
            )
    if not seeds:
        return []
    note = "those that answered" + (", and those that were lost" if request.lost else "")
    return [Fact(("seeds", "training"), sorted(seeds), None, note=note, rank=ASKED)]


def of_base(facts: Iterable[Fact], condition: str) -> list[Fact]:
    """Return what a file of results says, less what a tuned model's says of the base.

    A fine-tuned model in one piece is measured under its own name, which is not the base's.
    """
    if condition == "base":
        return list(facts)
    return [
        fact
        for fact in facts
        if fact.place[:2] != ("model", "base") or (fact.rank < 1 and fact.about is None)
    ]


def copy_adapters(gathered: Gathered, folder: Path) -> list[str]:
    """Copy the listed adapters into a submission; return their paths in it.

    Whole models stay where they are: the card has path and digest.
    """
    copied = []
    for number, one in enumerate(gathered.weights):
        place = ("model", "weights", f"{number:06}")
        at = gathered.filled.get((*place, "checkpoint"))
        if one.form != "adapter" or one.sha256 is None or at is None or one.seed is None:
            continue
        name = f"adapters/{one.condition}-seed-{one.seed}/checkpoint-{at.value}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in _COPIED:
            shutil.copyfile(one.folder / file, folder / name / file)
            copied.append(f"{name}/{file}")
        path = (*place, "path")
        gathered.filled[path] = Filled(name, (Fact(path, name, None, note="a copy"),))
    if copied:
        sync_tree(folder / "adapters")
    return copied
