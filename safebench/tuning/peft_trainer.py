"""Fine-tuning on one device with peft's adapters and trl's trainer for supervised fine-tuning."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safebench.errors import TuningError
from safebench.files import sync_tree
from safebench.models.loading import input_device, is_out_of_memory
from safebench.models.quiet import preserved_random_state, quiet
from safebench.tuning.arguments import extra_settings, optimizer_with, trainer_arguments
from safebench.tuning.interface import Job, Recipe

if TYPE_CHECKING:
    from safebench.tuning.peft_model import Saver

_RAISED = (RuntimeError, ValueError, TypeError, KeyError, ImportError)
"""What trl, peft and torch raise on settings or data that they cannot use."""


class PeftTrainer:
    """Trains adapters (LoRA, DoRA, QLoRA) or the weights themselves."""

    name = "peft"
    methods: tuple[str, ...] = ("lora", "dora", "qlora", "full")
    executed: Mapping[str, tuple[Any, ...]] = {
        "objective": ("sft",),
        "sharding": ("none",),
        "earlier_stages": (None, ()),
    }

    def check(self, recipe: Recipe) -> None:
        """Refuse extra settings that the trainer does not have; raises CardError."""
        extra_settings(recipe)

    def train(self, job: Job) -> dict[int, Path]:
        """Fine-tune; see `Trainer.train`."""
        from safebench.tuning.peft_model import Saver, load_for_training

        model = load_for_training(job.base, job.recipe, job.device)
        saver = Saver(job)
        job.out.mkdir(parents=True, exist_ok=True)
        with preserved_random_state(), tempfile.TemporaryDirectory() as scratch, quiet():
            try:
                trainer = _trainer(model, job, saver, scratch)
                if not len(trainer.train_dataset):
                    raise TuningError(
                        "no training example has anything to learn within "
                        f"{job.recipe.max_length} tokens",
                        fix="raise hyperparameters.max_length above the length of the prompts",
                    )
                trainer.train(resume_from_checkpoint=_state(trainer, job, saver))
            except (*_RAISED, MemoryError) as problem:
                if is_out_of_memory(problem):
                    raise TuningError(
                        f"out of memory in fine-tuning with seed {job.seed}",
                        fix="lower hyperparameters.batch_size.per_device and raise "
                        "gradient_accumulation as much: their product, the effective batch size, "
                        "stays the same",
                    ) from problem
                raise TuningError(
                    f"fine-tuning with seed {job.seed} failed: {problem}",
                    fix="change what the trainer complains of in hyperparameters or data",
                ) from problem
        if saver.missing:
            raise TuningError(
                f"training seed {job.seed} ended without {saver.unit} {saver.missing[0]}",
                fix="name checkpoints that the epochs, or steps, reach",
            )
        sync_tree(job.out)
        return saver.saved


def _state(trainer: Any, job: Job, saver: Saver) -> str | None:
    """Have a trainer save states; return the folder of the state that it goes on from."""
    from safebench.tuning.peft_states import StateSaver

    if job.states is None:
        return None
    states = StateSaver(job.states, job.out, trainer.accelerator)
    trainer.add_callback(states)
    saver.find_saved()
    return None if states.found is None else str(states.found)


def _trainer(model: Any, job: Job, saver: Saver, scratch: str) -> Any:
    """Return trl's trainer of a freshly loaded model, which is changed in place."""
    import datasets

    from safebench.tuning.libraries import PrinterCallback, SFTTrainer
    from safebench.tuning.peft_model import prepare

    saver.use_cache = getattr(model.config, "use_cache", None)
    on_cpu = input_device(model).type == "cpu"
    arguments = trainer_arguments(job.recipe, job.seeds, scratch, on_cpu=on_cpu)
    prepared = prepare(model, job.recipe, job.seeds["adapter_init"])
    trainer = SFTTrainer(
        model=prepared,
        args=arguments,
        train_dataset=datasets.Dataset.from_list(list(job.rows)),
        processing_class=job.tokenizer,
        callbacks=[saver],
        optimizer_cls_and_kwargs=optimizer_with(job.recipe, arguments, prepared),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every step
    return trainer
