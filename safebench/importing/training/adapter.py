"""What a folder written by peft says: `adapter_config.json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.facts import BY_FILE, INDIRECT, Absent, Fact, Place, show
from safebench.importing.fields import kept_settings
from safebench.importing.loaded import model_name, revision_fact
from safebench.importing.record import Read, Record
from safebench.importing.training.settings import PEFT

_METHOD: Place = ("hyperparameters", "method")
_LORA: Place = ("hyperparameters", "lora")
_PROMPT: Place = ("hyperparameters", "prompt")
_PROMPT_KINDS = {"PROMPT_TUNING": "prompt", "PREFIX_TUNING": "prefix", "P_TUNING": "ptuning"}
_FIELDS: dict[str, tuple[str, Read]] = {
    "r": ("r", Record.whole),
    "alpha": ("lora_alpha", Record.number),
    "dropout": ("lora_dropout", Record.number),
    "bias": ("bias", Record.text),
    "rslora": ("use_rslora", Record.flag),
}


def facts(record: Record) -> Iterator[Fact]:
    """Yield what an adapter's configuration says.

    Raises:
        InteropError: a value is impossible, or the standard does not have the method.
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
    yield from kept_settings(record, ("hyperparameters", "extra"), PEFT)


def _base(record: Record) -> Iterator[Fact]:
    key = "base_model_name_or_path"
    path = record.text(key)
    if path is None:
        return
    name = model_name(path)
    note = "last part of a path on another machine" if name.of_machine else ""
    rank = INDIRECT if name.of_machine else BY_FILE
    yield record.fact(("model", "base", "id"), key, name.id, note=note, rank=rank)
    revision = record.text("revision") or name.revision
    if revision is not None:
        yield revision_fact(record, "revision", revision, name.id)


def _lora(record: Record) -> Iterator[Fact]:
    dora = record.flag("use_dora")
    yield record.fact(_METHOD, "use_dora" if dora else "peft_type", "dora" if dora else "lora")
    yield from record.facts(_LORA, _FIELDS)
    targets: Any = record.data.get("target_modules")
    if isinstance(targets, str) and targets != "all-linear":
        pattern = show(targets)
        targets = Absent(
            f"adapter_config.json has the pattern {pattern}, not the names that it matched"
        )
    elif targets is not None and targets != "all-linear":
        # peft keeps a set, whose order changes from process to process.
        targets = sorted(record.texts("target_modules") or ())
    if targets is not None:
        yield record.fact((*_LORA, "target_modules"), "target_modules", targets)


def _prompt(record: Record, kind: str) -> Iterator[Fact]:
    yield record.fact(_METHOD, "peft_type", "prompt")
    yield record.fact((*_PROMPT, "kind"), "peft_type", kind)
    yield from record.facts(_PROMPT, {"virtual_tokens": ("num_virtual_tokens", Record.whole)})
    text, how = record.text("prompt_tuning_init_text"), record.text("prompt_tuning_init")
    if how == "TEXT" and text:
        yield record.fact((*_PROMPT, "init"), "prompt_tuning_init_text", text)
    elif how == "RANDOM":
        yield record.fact((*_PROMPT, "init"), "prompt_tuning_init", "random")
