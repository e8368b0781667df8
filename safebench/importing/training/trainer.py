"""What a trainer's folder says: the arguments of transformers or trl, its state, its tokenizer."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.card.read import MAX_BYTES, read_bytes
from safebench.importing.facts import INDIRECT, Absent, Fact, setting
from safebench.importing.fields import Field, Fields, kept_settings, read_fields, several
from safebench.importing.record import Read, Record

_HYPER = ("hyperparameters",)
DEFAULT_TEMPLATE = "default"
"""Name of the template that is applied, of several."""
_CLOSE = 0.01  # epochs; a trainer's epoch is a quotient of steps
_FIELDS: dict[str, tuple[str, Read]] = {
    "optimizer": ("optim", Record.text),
    "adam_beta1": ("adam_beta1", Record.number),
    "adam_beta2": ("adam_beta2", Record.number),
    "adam_epsilon": ("adam_epsilon", Record.number),
    "learning_rate": ("learning_rate", Record.number),
    "lr_scheduler": ("lr_scheduler_type", Record.text),
    "weight_decay": ("weight_decay", Record.number),
    "max_grad_norm": ("max_grad_norm", Record.number),
    "packing": ("packing", Record.flag),
    "batch_size.per_device": ("per_device_train_batch_size", Record.whole),
    "batch_size.gradient_accumulation": ("gradient_accumulation_steps", Record.whole),
}
"""Field of the card: key of the arguments, and how it is read."""
_LOSS_FLAGS = ("completion_only_loss", "assistant_only_loss")
_SET = Field("extra", "where it is not null, false or empty")
_PLACE = Field("ignored", "where files lie and what they are called")
_REPORT = Field("ignored", "what was logged, evaluated, saved or uploaded on the way")
_SPEED = Field("ignored", "memory and speed alone")
ARGUMENTS: Fields = {
    **read_fields("hyperparameters", _FIELDS),
    "optim_args": Field("card", "hyperparameters.optimizer_args"),
    "lr_scheduler_kwargs": Field("card", "hyperparameters.lr_scheduler_args"),
    "num_train_epochs": Field("card", "hyperparameters.epochs"),
    "max_steps": Field("card", "hyperparameters.steps"),
    "warmup_steps": Field("card", "hyperparameters.warmup_steps"),
    "warmup_ratio": Field("card", "hyperparameters.warmup_ratio"),
    **several("max_length max_seq_length", Field("card", "hyperparameters.max_length")),
    **several("bf16 fp16", Field("card", "hyperparameters.precision")),
    **several(" ".join(_LOSS_FLAGS), Field("card", "hyperparameters.loss_on")),
    **several("fsdp deepspeed", Field("card", "hyperparameters.sharding")),
    "seed": Field("card", "seeds.training"),
    "data_seed": Field("card", "seeds.fixed.data_order"),
    "model_init_kwargs": Field("card", "hyperparameters.quantization; the rest under extra"),
    "label_smoothing_factor": Field("extra", "where it is not 0", (0.0, 0)),
    "average_tokens_across_devices": Field("extra", "where it is false", (True,)),
    "accelerator_config": Field(
        "extra",
        "where it is not accelerate's own",
        ({"even_batches": True, "use_seedable_sampler": True},),
    ),
    "fsdp_config": Field("extra", "where it sets something", ({"min_num_params": 0},)),
    "train_sampling_strategy": Field("extra", "where it is not random", ("random",)),
    "truncation_mode": Field("extra", "where it is not keep_start", ("keep_start",)),
    "packing_strategy": Field("extra", "where it is not bfd", ("bfd",)),
    "loss_type": Field("extra", "where it is not nll", ("nll",)),
    "dataset_text_field": Field("extra", "where it is not text", ("text",)),
    "eos_token": Field("extra", "where it is one", ("<EOS_TOKEN>",)),
    "pad_token": Field("ignored", "padding is masked"),
    **several(
        "chat_template_path neftune_noise_alpha optim_target_modules tf32 torch_compile "
        "use_liger_kernel liger_kernel_config auto_find_batch_size load_best_model_at_end "
        "metric_for_best_model greater_is_better ignore_data_skip full_determinism "
        "parallelism_config dataloader_drop_last resume_from_checkpoint trust_remote_code "
        "router_aux_loss_coef dataset_kwargs shuffle_dataset padding_free",
        _SET,
    ),
    **several("output_dir logging_dir run_name project length_column_name label_names", _PLACE),
    **several(
        "report_to disable_tqdm prediction_loss_only include_num_input_tokens_seen debug "
        "bf16_full_eval fp16_full_eval enable_jit_checkpoint "
        "restore_callback_states_from_checkpoint skip_memory_metrics past_index ray_scope "
        "remove_unused_columns batch_eval_metrics",
        _REPORT,
    ),
    **several(
        "gradient_checkpointing gradient_checkpointing_kwargs activation_checkpointing "
        "activation_checkpointing_kwargs activation_offloading torch_empty_cache_steps use_cache "
        "local_rank half_precision_backend fp16_backend fp16_opt_level use_cpu no_cuda "
        "use_mps_device torch_compile_backend torch_compile_mode dataset_num_proc "
        "pad_to_multiple_of dataset_batch_size num_of_sequences chars_per_token",
        _SPEED,
    ),
}
"""Arguments of transformers' and trl's trainers."""
_REPORTED = re.compile(
    r"(per_device_eval|do|log|logging|eval|evaluation|save|hub|push|include|trackio|generation|report|wandb|tb)_"
)
_FAST = re.compile(r"dataloader_(?!drop_last)|ddp_|tpu_|_")
_NAMED = re.compile(r".*(_dir|_file|_id|_url|_project|_entity|_run_name)\Z")


def argument_field(name: str) -> Field | None:
    """Return what becomes of an argument by the form of its name; None where that tells nothing."""
    if name in ARGUMENTS:
        return ARGUMENTS[name]
    for pattern, field in ((_REPORTED, _REPORT), (_FAST, _SPEED), (_NAMED, _PLACE)):
        if pattern.match(name):
            return field
    return None


STATE: Fields = {
    "epoch": Field("card", "model.weights[].checkpoint"),
    "global_step": Field("card", "model.weights[].checkpoint"),
    "num_train_epochs": Field("card", "hyperparameters.epochs, where no arguments are there"),
    "max_steps": Field("card", "hyperparameters.steps, where no arguments are there"),
    "train_batch_size": Field("card", "hyperparameters.batch_size.per_device, likewise"),
    "log_history": Field("card", "hyperparameters.learning_rate, likewise: the highest"),
    "best_model_checkpoint": Field("ignored", "said in a note: choosing by it is a rule to report"),
}
"""Fields of `trainer_state.json`; all others are ignored, since they follow from the run."""

_NOT_SFT = ("beta", "desirable_weight", "num_generations", "kl_coef", "loss_type_weights")
"""Keys that only the arguments of another objective than supervised fine-tuning have."""


@dataclass(frozen=True)
class Progress:
    """How far a training had come when its state was saved."""

    epoch: float | None
    step: int | None

    @property
    def whole_epoch(self) -> int | None:
        """The epoch, when one had just ended."""
        if self.epoch is None or self.epoch < 1 - _CLOSE:
            return None
        nearest = round(self.epoch)
        return nearest if abs(self.epoch - nearest) < _CLOSE else None


def progress(record: Record) -> Progress:
    """Return how far training had come. Raises InteropError for an impossible value."""
    return Progress(record.number("epoch"), record.whole("global_step"))


def argument_facts(record: Record) -> Iterator[Fact]:
    """Yield what `training_args.json` says. Raises InteropError for an impossible value."""
    yield from record.facts(_HYPER, _FIELDS)
    yield from _length(record)
    yield from _warmup(record)
    yield from _precision(record)
    yield from _objective(record)
    yield from _loss(record)
    yield from _settings(record)
    yield from _quantization(record)
    yield from _seeds(record)


def _hyper(record: Record, name: str, key: str, value: Any, **more: Any) -> Fact:
    return record.fact((*_HYPER, name), key, value, **more)


def _length(record: Record) -> Iterator[Fact]:
    steps, epochs = record.whole("max_steps"), record.number("num_train_epochs")
    if steps is not None and steps > 0:  # it overrides the epochs
        yield _hyper(record, "steps", "max_steps", steps)
    elif epochs is not None and epochs == int(epochs):
        yield _hyper(record, "epochs", "num_train_epochs", int(epochs))
    elif epochs is not None:
        why = f"num_train_epochs is {epochs}; give the number of optimizer steps instead"
        yield _hyper(record, "steps", "num_train_epochs", Absent(why))
    for key in ("max_length", "max_seq_length"):
        yield from record.facts(_HYPER, {"max_length": (key, Record.whole)})


def _warmup(record: Record) -> Iterator[Fact]:
    steps, ratio = record.number("warmup_steps"), record.number("warmup_ratio")
    if steps is not None and 0 < steps < 1:  # how transformers 5 writes a ratio
        yield _hyper(record, "warmup_ratio", "warmup_steps", steps)
    elif ratio and not steps:  # transformers uses the ratio only while steps are 0
        yield _hyper(record, "warmup_ratio", "warmup_ratio", ratio)
    elif steps is not None:
        yield _hyper(record, "warmup_steps", "warmup_steps", record.whole("warmup_steps"))


def _precision(record: Record) -> Iterator[Fact]:
    mixed = {"bf16": "bfloat16", "fp16": "float16"}
    used = [key for key in mixed if record.flag(key)]
    if len(used) == 1:
        yield _hyper(record, "precision", used[0], mixed[used[0]])
    elif record.flag("bf16") is False:
        why = "bf16 and fp16 are false; the arguments do not have the type of the loaded weights"
        yield _hyper(record, "precision", "bf16", Absent(why))


def _objective(record: Record) -> Iterator[Fact]:
    other = [key for key in _NOT_SFT if record.data.get(key) is not None]
    if other:
        values = ", ".join(f"{key} {record.data[key]}" for key in other)
        why = f"the arguments have {values}, so it is not supervised fine-tuning"
        yield _hyper(record, "objective", other[0], Absent(why))
    elif "completion_only_loss" in record.data:
        note = "only trl's supervised fine-tuning has this argument"
        yield _hyper(record, "objective", "completion_only_loss", "sft", note=note, rank=INDIRECT)


def _loss(record: Record) -> Iterator[Fact]:
    flags = [record.flag(key) for key in _LOSS_FLAGS]
    if True in flags:
        yield _hyper(record, "loss_on", _LOSS_FLAGS[flags.index(True)], "completion")
    elif flags[0] is False:
        yield _hyper(record, "loss_on", _LOSS_FLAGS[0], "all")
    elif _LOSS_FLAGS[0] in record.data:
        why = "completion_only_loss is null: trl decided it by the format of the data"
        yield _hyper(record, "loss_on", _LOSS_FLAGS[0], Absent(why))


def _settings(record: Record) -> Iterator[Fact]:
    schedule = record.data.get("lr_scheduler_kwargs")
    for name, value in (schedule if isinstance(schedule, dict) else {}).items():
        if value is not None:
            place = (*_HYPER, "lr_scheduler_args", name)
            yield record.fact(place, f"lr_scheduler_kwargs.{name}", setting(value))
    for pair in (record.text("optim_args") or "").split(","):
        name, _, value = (part.strip() for part in pair.partition("="))
        if name:
            yield record.fact((*_HYPER, "optimizer_args", name), "optim_args", value)
    known = {key: field for key in record.data if (field := argument_field(key))}
    yield from kept_settings(record, (*_HYPER, "extra"), known)
    loading = record.data.get("model_init_kwargs")
    if isinstance(loading, dict):
        others = {key: value for key, value in loading.items() if key != "quantization_config"}
        inside = Record(record.file, {"model_init_kwargs": others})
        yield from kept_settings(inside, (*_HYPER, "extra"), {})
    for key in ("fsdp", "deepspeed"):
        if record.data.get(key):
            why = f"the arguments use {key}, which has a configuration of its own"
            yield _hyper(record, "sharding", key, Absent(why))


def _quantization(record: Record) -> Iterator[Fact]:
    # trl also takes a text here, which then names a file
    if not isinstance(record.data.get("model_init_kwargs"), dict):
        return
    config = record.at("model_init_kwargs", "quantization_config")
    key = next((k for k in ("load_in_4bit", "load_in_8bit") if config.flag(k)), None)
    if key is None:
        return
    place = (*_HYPER, "quantization")
    yield config.fact((*_HYPER, "method"), key, "qlora")
    if key == "load_in_8bit":
        yield config.fact((*place, "type"), key, "int8")
        return
    fields: dict[str, tuple[str, Read]] = {
        "type": ("bnb_4bit_quant_type", Record.text),
        "double": ("bnb_4bit_use_double_quant", Record.flag),
        "compute_dtype": ("bnb_4bit_compute_dtype", _dtype),
    }
    yield from config.facts(place, fields)


def _dtype(record: Record, key: str) -> str | None:
    return (record.text(key) or "").removeprefix("torch.") or None


def _seeds(record: Record) -> Iterator[Fact]:
    """Yield what the seed controls, as far as the arguments tell."""
    if record.whole("seed") is None or "data_seed" not in record.data:
        return
    order = record.whole("data_seed")
    if order is not None:
        yield record.fact(("seeds", "fixed", "data_order"), "data_seed", order, varies=True)
    examples = "the seed orders the examples too" if order is None else "data_seed orders examples"
    why = f"the seed sets dropout, {examples}; an adapter made before the trainer has its own"
    yield record.fact(("seeds", "controls"), "seed", Absent(why))


def state_facts(record: Record, *, alone: bool) -> Iterator[Fact]:
    """Yield what `trainer_state.json` says; `alone`: there are no arguments, which are exact.

    Raises:
        InteropError: a value is impossible.
    """
    yield from _planned_length(record)
    if not alone:
        return
    batch = record.whole("train_batch_size")
    if batch is not None:
        place = (*_HYPER, "batch_size", "per_device")
        yield record.fact(place, "train_batch_size", batch, note="per process", rank=INDIRECT)
    rates = [_rate(record, entry) for entry in record.items("log_history") or ()]
    logged = [rate for rate in rates if rate is not None]
    if logged:
        note = "the highest that was logged; the peak may lie between two entries"
        yield _hyper(record, "learning_rate", "log_history", max(logged), note=note, rank=INDIRECT)


def _planned_length(record: Record) -> Iterator[Fact]:
    """Yield epochs if the planned steps are whole epochs, and steps otherwise."""
    epochs, steps = record.whole("num_train_epochs"), record.whole("max_steps")
    now = progress(record)
    if not steps or steps < 0 or not epochs:
        return
    in_epochs = steps * now.epoch / now.step if now.epoch and now.step else None
    if in_epochs is not None and abs(in_epochs - epochs) < _CLOSE * epochs:
        yield _hyper(record, "epochs", "num_train_epochs", epochs, rank=INDIRECT)
    else:
        yield _hyper(record, "steps", "max_steps", steps, rank=INDIRECT)


def _rate(record: Record, entry: object) -> float | None:
    if not isinstance(entry, dict):
        raise record.wrong("log_history", entry, "a list of mappings")
    rate = entry.get("learning_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        return None
    return float(rate) if 0 < rate < float("inf") else None


def best_checkpoint(record: Record) -> str | None:
    """Return the name of the checkpoint that the trainer calls best."""
    best = record.text("best_model_checkpoint")
    return None if best is None else best.replace("\\", "/").rstrip("/").rpartition("/")[2]


def template_facts(file: Path, record: Record | None) -> Iterator[Fact]:
    """Yield a tokenizer's chat template: in a file of its own, or in its configuration `record`.

    Of several templates it is the one that is applied.
    """
    place, key = ("model", "chat_template"), "" if record is None else "chat_template"
    if record is None:
        raw = read_bytes(file)
        # as transformers reads it: a line ends with a line feed, whatever the file has
        text = io.TextIOWrapper(io.BytesIO(raw), "utf-8", "replace").read()
        text = text if len(raw) <= MAX_BYTES else ""
    else:
        text = chat_templates(record).get(DEFAULT_TEMPLATE, "")
    if text:
        digest = hashlib.sha256(text.encode()).hexdigest()
        note = "the tokenizer has it; whether it was used is not recorded"
        yield Fact((*place, "source"), "tokenizer", file, key, note=note, rank=INDIRECT)
        yield Fact((*place, "sha256"), digest, file, key, rank=INDIRECT)


def chat_templates(record: Record) -> dict[str, str]:
    """Return chat templates by name: a text, a list of names and templates, or a mapping."""
    found = record.data.get("chat_template")
    if isinstance(found, str):
        return {DEFAULT_TEMPLATE: found} if found else {}
    if isinstance(found, list):
        named = (one for one in found if isinstance(one, dict))
        found = {str(one.get("name")): one.get("template") for one in named}
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}
