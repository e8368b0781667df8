"""Where the weights of a grid are: fine-tuned here, or listed by the card."""

from __future__ import annotations

import shutil
from collections.abc import Container
from pathlib import Path

from safebench.card.training import FullTraining
from safebench.evidence.store import Store
from safebench.files import sync_folder, sync_tree
from safebench.models.interface import Form, PlacedWeights
from safebench.models.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from safebench.study.cells import Block, weights_folder
from safebench.study.plan import Plan, SelfAnswered


class Checkpoints:
    """The checkpoints of a grid, which make its weights."""

    def __init__(self, plan: Plan, store: Store) -> None:
        """Take a plan and the folder of its run."""
        self.plan, self.store = plan, store

    def _listed(self) -> dict[Path, Path]:
        """Return the adapters that the card lists and the submission has not: place, origin."""
        found = {}
        for (condition, seed, checkpoint), listed in self.plan.weights.items():
            if listed.form == "adapter" and listed.folder is not None and seed is not None:
                folder = weights_folder(self.store.folder, condition, seed)
                found[folder / f"checkpoint-{checkpoint}"] = listed.folder
        return {place: origin for place, origin in found.items() if not place.is_dir()}

    def is_incomplete(self) -> bool:
        """Tell whether files are gone that finished work was made with."""
        return bool(self._listed() or self.unanswered(()))

    def unanswered(self, tuning: Container[str]) -> list[SelfAnswered]:
        """Return the self-answered sets that are not there, and are or were trained on.

        `tuning` holds the conditions that are about to be fine-tuned.
        """
        folder = self.store.folder
        return [
            one
            for one in self.plan.self_answered
            if not (folder / one.path).is_file()
            and (
                one.dataset.role in tuning
                or any((folder / "adapters").glob(f"{one.dataset.role}-seed-*"))
            )
        ]

    def copy_listed(self) -> None:
        """Copy the adapters that the card lists into the submission; whole models stay."""
        for target, origin in self._listed().items():
            scratch = self.store.work / "given"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
                shutil.copyfile(origin / name, scratch / name)
            sync_tree(scratch)
            self.store.seals.put(target, scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch.rename(target)
            sync_folder(target.parent)

    def is_missing(self, block: Block) -> bool:
        """Tell whether a block waits for a fine-tuning."""
        if block.training_seed is None or block.weights in self.plan.weights:
            return False
        return not weights_folder(self.store.folder, block.condition, block.training_seed).is_dir()

    def weights_of(self, block: Block) -> PlacedWeights | None:
        """Return the weights of a block; None where its fine-tuning did not end well."""
        if block.training_seed is None:
            return PlacedWeights(*block.weights, "base", None)
        listed = self.plan.weights.get(block.weights)
        if listed is not None:
            return listed
        folder = weights_folder(self.store.folder, block.condition, block.training_seed)
        if not folder.is_dir():
            return None
        full = isinstance(self.plan.card.hyperparameters, FullTraining)
        form: Form = "full" if full else "adapter"
        place = folder / f"checkpoint-{block.checkpoint}"
        return PlacedWeights(*block.weights, form, place, block.unit)
