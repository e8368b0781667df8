"""Names of models, and the weights that a sampler loaded: a whole model, and adapters on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import visible
from safebench.importing.facts import Fact
from safebench.importing.record import Record

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_CACHE = re.compile(r"models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]([0-9a-f]{40})[/\\]?\Z")
_ABSOLUTE = re.compile(r"(/|~|\\\\|[A-Za-z]:[/\\])")

_ADDED = (
    "peft delta lora_local_path lora_path lora_paths lora_modules lora_dir adapter adapters "
    "adapter_path adapter_name_or_path steer_path"
)
"""Arguments of samplers for what changes the weights of the whole model."""
_WHICH = "revision subfolder gguf_file ckpt_step"
"""Arguments that choose between weights of the same name."""
_HOW = (
    "load_in_4bit load_in_8bit bnb_4bit_quant_type bnb_4bit_use_double_quant "
    "bnb_4bit_compute_dtype quantization quantization_config autogptq gptqmodel gguf_file"
)
"""Arguments that quantize the weights, or choose quantized ones."""
_UNSET = ("", "none", "null", "false")

Arguments = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ModelName:
    """A model's name for a card, without the paths of a machine."""

    id: str
    revision: str | None = None
    """Commit, where the path names it."""
    of_machine: bool = False
    """Whether it is the last part of an absolute path on another machine."""


def model_name(text: str) -> ModelName:
    """Return a model's name for a card, from the name or path that a program was given.

    A path into the cache of huggingface_hub names model and commit.
    """
    cached = _CACHE.search(text)
    if cached:
        return ModelName(f"{cached[1]}/{cached[2]}", cached[3])
    if _ABSOLUTE.match(text):
        last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
        return ModelName(last or text, of_machine=True)
    return ModelName(text)


def revision_fact(record: Record, key: str, revision: str, base: str) -> Fact:
    """Return the base model's revision; a branch is kept, with a note that it must be a commit."""
    note = "" if COMMIT.match(revision) else "must be a 40-digit commit"
    return record.fact(("model", "base", "revision"), key, revision, note=note, about=base)


@dataclass(frozen=True)
class LoadedWeights:
    """The weights of one run, as its file names them."""

    file: Path
    key: str
    """Key of its arguments in the file."""
    whole: Arguments = ()
    """Argument and name of the whole model, where one is named."""
    added: Arguments = ()
    """Argument and name of each adapter on it."""
    which: Arguments = ()
    """Arguments that choose between weights of the same name."""
    how: Arguments = ()
    """Arguments that quantize."""
    by_name: bool = False
    """Whether the sampler loaded the weights of that name itself, instead of asking a server."""

    @property
    def name(self) -> str | None:
        """The whole model."""
        return self.whole[0][1] if self.whole else None

    @property
    def names(self) -> tuple[str, ...]:
        """What tells these weights from others: what was added, else the whole model."""
        return tuple(name for _, name in self.added or self.whole)

    @property
    def folders(self) -> frozenset[Path]:
        """Their folders, where those are on this machine."""
        return frozenset(Path(name).resolve() for name in self.names if _exists(name))

    def cite(self, arguments: Iterable[tuple[str, str]]) -> str:
        """Return file, key and arguments, for messages."""
        listed = ", ".join(f"{name}={value}" for name, value in arguments)
        return visible(f"{self.file}: {self.key} has {listed}")


def loaded_by(
    record: Record, key: str, arguments: Mapping[str, Any], named: str, *, by_name: bool
) -> LoadedWeights:
    """Return the weights that arguments name; `named` is the argument for the whole model."""
    whole = _set(arguments, named) if isinstance(arguments.get(named), str) else ()
    added = _set(arguments, _ADDED)
    if whole and by_name and _exists(f"{whole[0][1]}/adapter_config.json"):
        # transformers loads such a folder as an adapter, on the base that its file names
        whole, added = (), (*whole, *added)
    which, how = _set(arguments, _WHICH), _set(arguments, _HOW)
    return LoadedWeights(record.file, key, whole, added, which, how, by_name)


def _set(arguments: Mapping[str, Any], names: str) -> Arguments:
    """Return the arguments that are set, as texts; `revision=main` is the default."""
    found = ((name, arguments[name]) for name in names.split() if name in arguments)
    texts = ((name, str(value).strip().rstrip("/")) for name, value in found)
    return tuple(
        (name, text)
        for name, text in texts
        if text.lower() not in _UNSET and (name, text) != ("revision", "main")
    )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a file can hold any text as a model's name
        return False


def is_same(one: LoadedWeights, other: LoadedWeights) -> bool:
    """Whether two runs certainly loaded the same weights; a server's names never tell."""
    if not (one.by_name and other.by_name and one.names):
        return False
    same_whole = one.whole == other.whole or same_name(one.name or "", other.name or "")
    return one.added == other.added and one.which == other.which and same_whole


def same_name(one: str, other: str) -> bool:
    """Whether two names are certainly of one model."""
    named = model_name(one), model_name(other)
    if one == other or (named[0] == named[1] and not named[0].of_machine):
        return True
    return _exists(one) and _exists(other) and Path(one).resolve() == Path(other).resolve()


def may_be_same_name(one: str, other: str) -> bool:
    """Whether two names may be of one model: folders usually keep the last part of its name."""
    last = [Path(model_name(name).id).name.lower() for name in (one, other)]
    return last[0] == last[1] or same_name(one, other)
