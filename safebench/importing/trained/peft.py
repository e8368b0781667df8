"""What a folder written by peft knows: `adapter_config.json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.draft.facts import INDIRECT, Absent, Fact, Place, setting, show
from safebench.importing.names import COMMIT, model_name
from safebench.importing.record import Record

_LORA = ("hyperparameters", "lora")
_PROMPT = ("hyperparameters", "prompt")
_PROMPT_KINDS = {"PROMPT_TUNING": "prompt", "PREFIX_TUNING": "prefix", "P_TUNING": "ptuning"}
# What changes the adapter and has no field of its own, with the value that means: not used.
_EXTRA: dict[str, Any] = {
    "modules_to_save": None, "layers_to_transform": None, "layers_pattern": None,
    "rank_pattern": {}, "alpha_pattern": {}, "exclude_modules": None, "target_parameters": None,
    "init_lora_weights": True, "lora_bias": False, "use_qalora": False,
}  # fmt: skip


def facts(record: Record) -> Iterator[Fact]:
    """Yield what an adapter's configuration says.

    Raises:
        InteropError: a value makes no sense, or the method is none of the standard's.
    """
    yield from _base(record)
    kind = record.text("peft_type")
    if kind == "LORA":
        yield from _lora(record)
    elif kind in _PROMPT_KINDS:
        yield from _prompt(record, _PROMPT_KINDS[kind])
    else:
        known = ", ".join(("LORA", *_PROMPT_KINDS))
        file = visible(str(record.file))
        raise InteropError(
            f"{file}: `peft_type` is {show(kind)}; a card can describe {known}",
            fix="leave this adapter out and describe it in words, see spec/v1/card.md",
        )


def _base(record: Record) -> Iterator[Fact]:
    stated = record.text("base_model_name_or_path")
    if stated is None:
        return
    name = model_name(stated)
    yield Fact(
        ("model", "base", "id"),
        name.id,
        record.file,
        record.key("base_model_name_or_path"),
        note="last part of a path on another machine" if name.of_machine else "",
        rank=INDIRECT if name.of_machine else 0,
    )
    revision = record.text("revision") or name.revision
    if revision is not None:
        yield revision_fact(record, "revision", revision, name.id)


def revision_fact(record: Record, key: str, revision: str, base: str) -> Fact:
    """Return the base model's revision; a name that moves is written, and said to be one."""
    note = "" if COMMIT.match(revision) else "has to be a 40-digit commit"
    place = ("model", "base", "revision")
    return Fact(place, revision, record.file, record.key(key), note=note, about=base)


def _lora(record: Record) -> Iterator[Fact]:
    dora = record.flag("use_dora")
    yield Fact(
        ("hyperparameters", "method"),
        "dora" if dora else "lora",
        record.file,
        record.key("use_dora" if dora else "peft_type"),
    )
    values = {
        "r": ("r", record.whole("r")),
        "alpha": ("lora_alpha", record.number("lora_alpha")),
        "dropout": ("lora_dropout", record.number("lora_dropout")),
        "bias": ("bias", record.text("bias")),
        "rslora": ("use_rslora", record.flag("use_rslora")),
    }
    for name, (key, value) in values.items():
        if value is not None:
            yield Fact((*_LORA, name), value, record.file, record.key(key))
    yield from _targets(record, (*_LORA, "target_modules"))
    yield from _extra(record)


def _targets(record: Record, place: Place) -> Iterator[Fact]:
    value = record.data.get("target_modules")
    key = record.key("target_modules")
    if isinstance(value, str) and value != "all-linear":
        reason = f"adapter_config.json gives the pattern {show(value)}, not the names it matched"
        yield Fact(place, Absent(reason), record.file, key)
    elif value == "all-linear":
        yield Fact(place, value, record.file, key)
    elif value is not None:
        # peft keeps a set, whose order changes from process to process.
        yield Fact(place, sorted(record.texts("target_modules") or ()), record.file, key)


def _extra(record: Record) -> Iterator[Fact]:
    for key, unused in _EXTRA.items():
        value = record.data.get(key)
        if value is None or value == unused:
            continue
        yield extra_fact(record, key, value)


def extra_fact(record: Record, key: str, value: object) -> Fact:
    """Return a setting that has no field of its own."""
    place = ("hyperparameters", "extra", key)
    return Fact(place, setting(value), record.file, record.key(key))


def _prompt(record: Record, kind: str) -> Iterator[Fact]:
    yield Fact(("hyperparameters", "method"), "prompt", record.file, record.key("peft_type"))
    yield Fact((*_PROMPT, "kind"), kind, record.file, record.key("peft_type"))
    tokens = record.whole("num_virtual_tokens")
    if tokens is not None:
        key = record.key("num_virtual_tokens")
        yield Fact((*_PROMPT, "virtual_tokens"), tokens, record.file, key)
    text = record.text("prompt_tuning_init_text")
    how = record.text("prompt_tuning_init")
    if how == "TEXT" and text:
        key = record.key("prompt_tuning_init_text")
        yield Fact((*_PROMPT, "init"), text, record.file, key)
    elif how == "RANDOM":
        key = record.key("prompt_tuning_init")
        yield Fact((*_PROMPT, "init"), "random", record.file, key)
