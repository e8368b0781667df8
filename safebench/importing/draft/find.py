"""Finding files that a card can be made from: by name in folders, by content when given alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from safebench.errors import InteropError
from safebench.importing.facts import natural
from safebench.importing.folders import leads_outside, walk
from safebench.importing.record import Record, read_record

Kind = Literal[
    "adapter",
    "weights",
    "trainer state",
    "training arguments",
    "chat template",
    "tokenizer",
    "generation config",
    "lm-eval results",
    "lm-eval samples",
    "pickle",
]
_NAMES: dict[Kind, re.Pattern[str]] = {
    "adapter": re.compile(r"adapter_config\.json\Z"),
    "weights": re.compile(r"model\.safetensors(\.index\.json)?\Z"),
    "trainer state": re.compile(r"trainer_state\.json\Z"),
    "training arguments": re.compile(r"training_args\.(json|ya?ml)\Z"),
    "chat template": re.compile(r"chat_template\.jinja\Z"),
    "tokenizer": re.compile(r"tokenizer_config\.json\Z"),
    "generation config": re.compile(r"generation_config\.json\Z"),
    "lm-eval results": re.compile(r"results_\d{4}-\d\d-\d\dT.*\.json\Z"),
    "lm-eval samples": re.compile(r"samples_.+_\d{4}-\d\d-\d\dT.*\.jsonl\Z"),
    "pickle": re.compile(r"training_args\.bin\Z"),
}
_CONTENT: dict[Kind, tuple[str, ...]] = {
    "adapter": ("peft_type",),
    "trainer state": ("log_history", "global_step"),
    "training arguments": ("per_device_train_batch_size",),
    "lm-eval results": ("results", "configs"),
}
"""Keys by which a file with another name is recognised."""
_MAIN: tuple[Kind, ...] = (*_CONTENT, "lm-eval samples")
"""Kinds that a card can be made from; the others only add to these."""
RECOGNISED = (
    "adapter_config.json (peft), trainer_state.json and training_args.json or .yaml "
    "(transformers, trl), results_*.json and samples_*.jsonl (lm-eval)"
)


@dataclass(frozen=True)
class Found:
    """A file that can be read."""

    kind: Kind
    file: Path
    """As it was given, or under the folder that was given."""


def find(paths: Iterable[Path], weights: Iterable[Path] = ()) -> list[Found]:
    """Return what can be read, each file once, in a fixed order.

    Folders are searched; a symbolic link is followed only to a file in the same folder's tree.
    `weights` are folders that need hold nothing else.

    Raises:
        InteropError: a path is not there, or holds nothing that can be read.
    """
    found: dict[Path, Found] = {}
    asked = [*((path, _MAIN) for path in paths), *((path, (*_MAIN, "weights")) for path in weights)]
    for path, enough in asked:
        here = list(_search(path) if path.is_dir() else [_file(path)])
        if not any(one.kind in enough for one in here):
            raise _nothing(path, here)
        for one in here:
            found.setdefault(one.file.resolve(), one)
    order = get_args(Kind)
    return sorted(found.values(), key=lambda f: (order.index(f.kind), natural(f.file)))


def _file(path: Path) -> Found:
    if not path.exists():
        raise InteropError(f"{path}: no such file or folder", fix="check the path after --from")
    kind = _kind(path.name)
    if kind is None and path.suffix == ".json":
        kind = _by_content(read_record(path))
    if kind is None:
        raise InteropError(f"{path} is no file that init can read", fix=f"give {RECOGNISED}")
    return Found(kind, path)


def _kind(name: str) -> Kind | None:
    return next((kind for kind, pattern in _NAMES.items() if pattern.match(name)), None)


def _by_content(record: Record) -> Kind | None:
    return next((kind for kind, keys in _CONTENT.items() if set(keys) <= set(record.data)), None)


def _search(root: Path) -> Iterator[Found]:
    fix = "give the folders of the adapters and of the results, each with --from"
    for file in walk(root, fix):
        kind = _kind(file.name)
        if kind is not None and file.is_file() and not leads_outside(file, root):
            yield Found(kind, file)


def _nothing(path: Path, here: list[Found]) -> InteropError:
    if here:
        names = ", ".join(sorted({one.file.name for one in here}))
        message = f"{path} holds {names}, which alone says too little to make a card from"
    elif path.is_dir() and any(_kind(p.name) and p.is_symlink() for p in path.iterdir()):
        message = f"{path} holds links to files outside it, which are not followed"
    else:
        message = f"{path} holds nothing that init can read"
    return InteropError(message, fix=f"give a folder with {RECOGNISED}")
