"""Which models answered: their seeds, checkpoints and weights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.files import sync_tree
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.settle import FieldValue
from safebench.importing.facts import BY_PERSON, Fact
from safebench.importing.interface import ModelKey
from safebench.importing.submission.declared import card_seeds
from safebench.importing.submission.request import Request
from safebench.importing.training.weights import ADAPTER, FoundWeights, checkpoint_of

_COPIED = ("adapter_config.json", ADAPTER)


class Models:
    """Decides the checkpoint of every model that answered, and picks their weights."""

    def __init__(self, request: Request) -> None:
        self._default = request.checkpoint
        self._loaded = {
            model: frozenset(folder for one in loaded for folder in one.folders)
            for model, loaded in request.collected.loaded.items()
        }
        self._answered = list(dict.fromkeys(sample.model for sample in request.collected.samples))
        self.keys: dict[ModelKey, ModelKey] = {}
        """Every model as it was read, and with its checkpoint."""
        self.remarks: list[str] = []

    def choose(
        self, found: list[FoundWeights], unit: str | None
    ) -> tuple[list[FoundWeights], list[Fact]]:
        """Settle every model's checkpoint; return the weights of the models that answered.

        Args:
            found: All weights.
            unit: What their checkpoints are counted in.

        Raises:
            InteropError: it cannot be told which checkpoint answered.
        """
        by_model = {
            ModelKey(one.condition, one.seed, checkpoint_of(one, unit)): one for one in found
        }
        for key in self._answered:
            self._check_own(key, found)
            self.keys[key] = self._settled(key, by_model)
        answered = set(self.keys.values())
        left = [str(one.folder) for model, one in by_model.items() if model not in answered]
        if left:
            self.remarks.append(
                f"{len(left)} sets of weights have no responses and are not listed: "
                f"{', '.join(left[:3])}"
            )
        tuned = [key for key in self.keys.values() if key.training_seed is not None]
        at = sorted({key.checkpoint for key in tuned if key.checkpoint is not None})
        place = ("hyperparameters", "checkpoints")
        fact = Fact(place, at, None, note="those that answered", rank=BY_PERSON)
        listed = [one for model, one in by_model.items() if model in answered]
        return listed, [fact] if tuned else []

    def _check_own(self, key: ModelKey, found: list[FoundWeights]) -> None:
        """Raise InteropError where the sampler loaded weights that are declared as another's."""
        loaded = self._loaded.get(key, ())
        for one in found:
            own = (one.condition, one.seed) == (key.condition, key.training_seed)
            if not own and one.folder.resolve() in loaded:
                raise InteropError(
                    f"{key}: its sampler loaded {visible(str(one.folder))}, which is declared as "
                    f"the weights of {ModelKey(one.condition, one.seed)}",
                    fix="declare the same seed for the responses and for the weights",
                )

    def _settled(self, key: ModelKey, by_model: Mapping[ModelKey, FoundWeights]) -> ModelKey:
        """Return a model with its checkpoint; the weights of its own run may tell it."""
        if key.condition == "base" or key.checkpoint is not None:
            return key
        if self._default is not None:
            return replace(key, checkpoint=self._default)
        own = {
            model.checkpoint: one.folder.resolve()
            for model, one in by_model.items()
            if model.checkpoint is not None and replace(model, checkpoint=None) == key
        }
        at, loaded = sorted(own), self._loaded.get(key, frozenset())
        # A sampler that loaded several folders does not tell which of them answered.
        of_sampler = [n for n in at if own[n] in loaded] if len(loaded) == 1 else []
        for checkpoints in (of_sampler, at):
            if len(checkpoints) == 1:
                return replace(key, checkpoint=checkpoints[0])
        seed = f"seed={key.training_seed}"
        if at:
            listed = ", ".join(map(str, at))
            raise InteropError(
                f"{key}: it has weights of checkpoints {listed}, and nothing says which of them "
                "answered",
                fix=f"name it: {seed},checkpoint={at[-1]}:DIR",
            )
        raise InteropError(
            f"{key}: nothing says after how many epochs (or steps) of training it answered",
            fix=f"give --checkpoint N for all models, or {seed},checkpoint=N:DIR for this one",
        )


def seed_facts(request: Request) -> list[Fact]:
    """Return the training seeds of an import, including those that were lost.

    Raises:
        InteropError: a seed that the card lists has no responses and was not lost, or a seed that
            is declared as lost has responses.
    """
    models = {sample.model for sample in request.collected.samples}
    for one in request.lost:
        if any(m.condition == one.condition and m.training_seed == one.seed for m in models):
            raise InteropError(
                f"{one.condition}, seed {one.seed} is declared as lost, but has responses",
                fix="leave out --lost, or its responses",
            )
    answered = {model.training_seed for model in models if model.training_seed is not None}
    seeds = answered | {one.seed for one in request.lost}
    listed = () if request.card is None else card_seeds(request.card)
    missing = [seed for seed in listed if seed not in seeds]
    if missing:
        raise InteropError(
            f"{request.card}: seeds.training lists {', '.join(map(str, missing))}, without "
            "responses",
            fix=f"import them too, or say what became of them: --lost seed={missing[0]}:REASON",
        )
    note = "those that answered" + (", and those that were lost" if request.lost else "")
    fact = Fact(("seeds", "training"), sorted(seeds), None, note=note, rank=BY_PERSON)
    return [fact] if seeds else []


def copy_adapters(gathered: Gathered, folder: Path) -> list[str]:
    """Copy the listed adapters into a submission; return their paths in it.

    Whole models stay where they are: the card has their path and digest.
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
        gathered.filled[path] = FieldValue(name, (Fact(path, name, None, note="a copy"),))
    if copied:
        sync_tree(folder / "adapters")
    return copied
