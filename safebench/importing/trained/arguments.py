"""What `training_args.json` knows: the arguments that transformers or trl were given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from safebench.importing.draft.facts import INDIRECT, Absent, Fact, setting
from safebench.importing.record import Record
from safebench.importing.trained.peft import extra_fact

# Field of the card -> (key of the arguments, how it is asked for).
_PLAIN: dict[str, tuple[str, Callable[[Record, str], Any]]] = {
    "optimizer": ("optim", Record.text),
    "adam_beta1": ("adam_beta1", Record.number),
    "adam_beta2": ("adam_beta2", Record.number),
    "adam_epsilon": ("adam_epsilon", Record.number),
    "learning_rate": ("learning_rate", Record.number),
    "lr_scheduler": ("lr_scheduler_type", Record.text),
    "weight_decay": ("weight_decay", Record.number),
    "max_grad_norm": ("max_grad_norm", Record.number),
    "packing": ("packing", Record.flag),
}
_BATCH = {
    "per_device": "per_device_train_batch_size",
    "gradient_accumulation": "gradient_accumulation_steps",
}
# What changes the training and has no field, with the value that means: not used.
_EXTRA: dict[str, Any] = {
    "neftune_noise_alpha": None, "label_smoothing_factor": 0.0, "group_by_length": False,
}  # fmt: skip
# Keys that only the arguments of another objective than supervised fine-tuning have.
_NOT_SFT = ("beta", "desirable_weight", "num_generations", "kl_coef", "loss_type_weights")


def facts(record: Record) -> Iterator[Fact]:
    """Yield what the arguments say. Raises InteropError for a value that makes no sense."""
    for name, (key, ask) in _PLAIN.items():
        value = ask(record, key)
        if value is not None:
            yield _fact(record, name, key, value)
    for name, key in _BATCH.items():
        value = record.whole(key)
        if value is not None:
            place = ("hyperparameters", "batch_size", name)
            yield Fact(place, value, record.file, record.key(key))
    yield from _length(record)
    yield from _warmup(record)
    yield from _precision(record)
    yield from _objective(record)
    yield from _loss(record)
    yield from _settings(record)
    yield from _quantization(record)
    yield from _seeds(record)


def _fact(record: Record, name: str, key: str, value: Any, **more: Any) -> Fact:
    return Fact(("hyperparameters", name), value, record.file, record.key(key), **more)


def _length(record: Record) -> Iterator[Fact]:
    steps, epochs = record.whole("max_steps"), record.number("num_train_epochs")
    if steps is not None and steps > 0:  # it overrides the epochs
        yield _fact(record, "steps", "max_steps", steps)
    elif epochs is not None and epochs == int(epochs):
        yield _fact(record, "epochs", "num_train_epochs", int(epochs))
    elif epochs is not None:
        why = f"num_train_epochs is {epochs}; give the optimizer steps that this came to"
        yield _fact(record, "steps", "num_train_epochs", Absent(why))
    for key in ("max_length", "max_seq_length"):
        value = record.whole(key)
        if value is not None:
            yield _fact(record, "max_length", key, value)


def _warmup(record: Record) -> Iterator[Fact]:
    steps, ratio = record.number("warmup_steps"), record.number("warmup_ratio")
    if steps is not None and 0 < steps < 1:  # how transformers 5 writes a ratio
        yield _fact(record, "warmup_ratio", "warmup_steps", steps)
    elif ratio and not steps:
        yield _fact(record, "warmup_ratio", "warmup_ratio", ratio)
    elif steps is not None:
        yield _fact(record, "warmup_steps", "warmup_steps", record.whole("warmup_steps"))


def _precision(record: Record) -> Iterator[Fact]:
    mixed = {"bf16": "bfloat16", "fp16": "float16"}
    used = [key for key in mixed if record.flag(key)]
    if len(used) == 1:
        yield _fact(record, "precision", used[0], mixed[used[0]])
    elif record.flag("bf16") is False:
        why = "bf16 and fp16 are false; the type of the loaded weights is not in the arguments"
        yield _fact(record, "precision", "bf16", Absent(why))


def _objective(record: Record) -> Iterator[Fact]:
    other = [key for key in _NOT_SFT if record.data.get(key) is not None]
    if other:
        given = ", ".join(f"{key} {record.data[key]}" for key in other)
        why = f"the arguments have {given}, so it is not supervised fine-tuning"
        yield _fact(record, "objective", other[0], Absent(why))
    elif "completion_only_loss" in record.data:
        note = "only trl's supervised fine-tuning has this argument"
        yield _fact(record, "objective", "completion_only_loss", "sft", note=note, rank=INDIRECT)


def _loss(record: Record) -> Iterator[Fact]:
    keys = ("completion_only_loss", "assistant_only_loss")
    flags = [record.flag(key) for key in keys]
    if True in flags:
        yield _fact(record, "loss_on", keys[flags.index(True)], "completion")
    elif flags[0] is False:
        yield _fact(record, "loss_on", keys[0], "all")
    elif keys[0] in record.data:
        why = "completion_only_loss is null: trl decided by the form of the data"
        yield _fact(record, "loss_on", keys[0], Absent(why))


def _settings(record: Record) -> Iterator[Fact]:
    schedule = record.data.get("lr_scheduler_kwargs")
    if isinstance(schedule, dict):
        given = {name: setting(value) for name, value in schedule.items() if value is not None}
        for name, value in given.items():
            place = ("hyperparameters", "lr_scheduler_args", name)
            yield Fact(place, value, record.file, record.key(f"lr_scheduler_kwargs.{name}"))
    for pair in (record.text("optim_args") or "").split(","):
        name, _, value = (part.strip() for part in pair.partition("="))
        if name:
            place = ("hyperparameters", "optimizer_args", name)
            yield Fact(place, value, record.file, record.key("optim_args"))
    for key, unused in _EXTRA.items():
        value = record.data.get(key)
        if value is not None and value != unused:
            yield extra_fact(record, key, value)
    for key in ("fsdp", "deepspeed"):
        value = record.data.get(key)
        if value:
            why = f"the arguments use {key}; how is in its own configuration"
            yield _fact(record, "sharding", key, Absent(why))


def _seeds(record: Record) -> Iterator[Fact]:
    """Yield what the seed sets, as far as the arguments tell."""
    if record.whole("seed") is None or "data_seed" not in record.data:
        return
    order = record.whole("data_seed")
    if order is not None:
        place = ("seeds", "fixed", "data_order")
        yield Fact(place, order, record.file, record.key("data_seed"), varies=True)
    examples = "the seed orders the examples too" if order is None else "data_seed orders examples"
    why = f"the seed sets dropout, {examples}; an adapter made before the trainer has its own"
    yield Fact(("seeds", "controls"), Absent(why), record.file, record.key("seed"))


def _quantization(record: Record) -> Iterator[Fact]:
    # trl also takes a text here, which then names a file
    init = record.data.get("model_init_kwargs")
    inner = record.mapping("model_init_kwargs") if isinstance(init, dict) else None
    given = inner.mapping("quantization_config") if inner else None
    if given is None or not (given.flag("load_in_4bit") or given.flag("load_in_8bit")):
        return
    four = bool(given.flag("load_in_4bit"))
    key = given.key("load_in_4bit" if four else "load_in_8bit")
    yield Fact(("hyperparameters", "method"), "qlora", record.file, key)
    place = ("hyperparameters", "quantization")
    kind = given.text("bnb_4bit_quant_type") if four else "int8"
    if kind is not None:
        key = given.key("bnb_4bit_quant_type") if four else key
        yield Fact((*place, "type"), kind, record.file, key)
    if not four:
        return
    double = given.flag("bnb_4bit_use_double_quant")
    if double is not None:
        key = given.key("bnb_4bit_use_double_quant")
        yield Fact((*place, "double"), double, record.file, key)
    dtype = given.text("bnb_4bit_compute_dtype")
    if dtype is not None:
        key = given.key("bnb_4bit_compute_dtype")
        yield Fact((*place, "compute_dtype"), dtype.removeprefix("torch."), record.file, key)
