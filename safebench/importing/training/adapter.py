"""What a folder written by peft says: `adapter_config.json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.importing.facts import BY_FILE, INDIRECT, Absent, Fact, Place, file_error, show
from safebench.importing.fields import Field, Fields, kept_settings, read_fields, several
from safebench.importing.loaded import model_name, revision_fact
from safebench.importing.record import Read, Record

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
_SHAPE = Field("ignored", "the shape of the base model")
_SET = Field("extra", "where it is not null, false or empty")
PEFT: Fields = {
    "peft_type": Field("card", "hyperparameters.method, hyperparameters.prompt.kind"),
    "base_model_name_or_path": Field("card", "model.base.id, model.base.revision"),
    "revision": Field("card", "model.base.revision"),
    "use_dora": Field("card", "hyperparameters.method"),
    **read_fields("hyperparameters.lora", _FIELDS),
    "target_modules": Field("card", "hyperparameters.lora.target_modules"),
    "num_virtual_tokens": Field("card", "hyperparameters.prompt.virtual_tokens"),
    "prompt_tuning_init_text": Field("card", "hyperparameters.prompt.init"),
    "prompt_tuning_init": Field("extra", "where it is not RANDOM or TEXT", ("RANDOM", "TEXT")),
    "task_type": Field("extra", "where it is not CAUSAL_LM", ("CAUSAL_LM",)),
    "init_lora_weights": Field("extra", "where it is not true", (True,)),
    "megatron_core": Field("extra", "where it is not megatron.core", ("megatron.core",)),
    "qalora_group_size": Field("extra", "where it is not 16", (16,)),
    "encoder_reparameterization_type": Field("extra", "where it is not MLP", ("MLP",)),
    "encoder_num_layers": Field("extra", "where it is not 2", (2,)),
    "encoder_dropout": Field("extra", "where it is not 0", (0.0, 0)),
    "peft_version": Field("ignored", "the program that wrote the file"),
    "inference_mode": Field("ignored", "true in every adapter that was saved"),
    "fan_in_fan_out": Field("ignored", "how the base model keeps its matrices"),
    "auto_mapping": Field("ignored", "the class of the base model"),
    **several("token_dim num_transformer_submodules num_attention_heads num_layers", _SHAPE),
    "tokenizer_name_or_path": Field("ignored", "the base model's"),
    **several(
        "exclude_modules modules_to_save layers_to_transform layers_pattern rank_pattern "
        "alpha_pattern layer_replication target_parameters trainable_token_indices lora_bias "
        "ensure_weight_tying use_qalora use_bdlora loftq_config eva_config corda_config "
        "lora_ga_config velora_config monteclora_config kasa_config arrow_config megatron_config "
        "alora_invocation_tokens runtime_config encoder_hidden_size prefix_projection init_weights "
        "tokenizer_kwargs",
        _SET,
    ),
}
"""Fields of `adapter_config.json`."""


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
        raise file_error(
            record.file,
            f"`peft_type` is {show(kind)}; a card can describe {known}",
            "leave this adapter out and describe it in words, see spec/v1/card.md",
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
