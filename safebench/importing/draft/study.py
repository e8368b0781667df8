"""The plan of a new study: what a person answered, and what the model's own files say."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.errors import InputError
from safebench.files import folder_at_once
from safebench.harness.catalogue import entry
from safebench.importing.draft.draft import Draft, make_draft
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.settle import settle
from safebench.importing.draft.start import RULE, TASKS, CardBasics, drafted, first_facts
from safebench.importing.facts import Fact, short_id
from safebench.importing.record import Record, read_record
from safebench.judges.interface import DEFAULT_CONSTRUCTS
from safebench.judges.pinned import cached_commit
from safebench.judges.prompted.presets import preset
from safebench.models.loading import COMMIT
from safebench.resources import builtin_model_dir
from safebench.tuning.examples import read_examples

PLAN = "plan.yaml"
_DTYPES = ("float32", "bfloat16", "float16")
_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx")
"""Keys of a model's configuration that say how many tokens it reads."""
_LENGTH, _NEW_TOKENS = 1024, 256
"""Longest example and longest response, in tokens, where the model reads enough of them."""
_RECIPE: dict[str, Any] = {
    "lr_scheduler": "linear",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "batch_size.per_device": 8,
    "epochs": 3,
    "checkpoints": [3],
    "loss_on": "completion",
}
_ADAPTER: dict[str, Any] = {"r": 8, "alpha": 16.0, "dropout": 0.0, "target_modules": "all-linear"}
_START = "a common start, to be changed"


@dataclass(frozen=True)
class Answers:
    """What a person says about a new study; whatever is left out is marked in the plan."""

    model: str | None = None
    """A folder, `builtin:NAME`, or an id of the Hub, `owner/name@COMMIT`."""
    data: str | None = None
    """A file of training examples, or a set of the Hub, `owner/name@COMMIT`."""
    tasks: Sequence[str] = TASKS
    judges: Sequence[str] = ("rule",)
    seeds: int = 5
    basics: CardBasics = field(default_factory=CardBasics)

    @property
    def is_tuned(self) -> bool:
        """Whether anything is fine-tuned."""
        return self.basics.method != "none"


def write_study(folder: Path, answers: Answers) -> Draft:
    """Write plan.yaml, and the training data beside it, into a new folder.

    Raises:
        InputError: the folder holds something, or there is no such model or file of data.
        TuningError, TaskError, JudgeError: the data cannot be read, no such task or judge.
        InteropError: a card cannot have a value that was given.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not empty", fix="give a new folder")
    facts = list(study_facts(folder, answers))
    read = tuple(dict.fromkeys(one.file for one in facts if one.file is not None))
    with folder_at_once(folder) as made:
        if answers.data is not None and Path(answers.data).is_file():
            shutil.copyfile(answers.data, made / Path(answers.data).name)
        gathered = Gathered(settle(facts, []), files=read)
        draft = make_draft(gathered, made, PLAN, plan=True)
        (made / PLAN).write_text(draft.text, encoding="utf-8")
    return draft


def study_facts(folder: Path, answers: Answers) -> Iterator[Fact]:
    """Yield the fields of a plan that will lie in `folder`. Raises as `write_study`."""
    files: Path | None = None
    if answers.model is not None:
        model, files = _model(answers.model, folder)
        yield from model
    config = None if files is None else _read(files / "config.json")
    dtype, context = _facts_of(config)
    yield from dtype
    is_chat = files is not None and _has_template(files)
    if files is not None:
        note = "the tokenizer has one" if is_chat else "the tokenizer has none"
        yield drafted("model.chat_template.source", "tokenizer" if is_chat else "none", note)
    for one in first_facts(answers.basics, plan=True):
        if one.place[0] not in ("data", "judge", "tasks") and one.place != ("seeds", "training"):
            yield one
    if answers.is_tuned:
        yield drafted("seeds.training", answers.seeds, "how many; a run fills in the values")
        yield from _data(answers.data, is_chat=is_chat or files is None)
        yield from _recipe(answers, min(_LENGTH, context or _LENGTH))
    else:
        yield drafted("seeds.training", 1)
    for name in ("greedy", "t07"):
        # half of a short context is left to the prompt
        longest = min(_NEW_TOKENS, (context or 2 * _NEW_TOKENS) // 2)
        yield drafted(f"decoding.{name}.max_new_tokens", longest, "responses are cut here")
    for name in answers.tasks:
        yield drafted(f"tasks.{entry(name).name}.name", name)
    yield from _judges(answers, folder)


def _model(text: str, folder: Path) -> tuple[list[Fact], Path | None]:
    """Return what names the base model, and the folder of its files where this machine has them."""
    source = "--model"
    if Path(text).is_dir():
        place = os.path.relpath(Path(text).resolve(), folder.resolve())
        return [drafted("model.base.id", Path(place).as_posix(), source)], Path(text)
    if text.startswith("builtin:"):
        files = builtin_model_dir(text.removeprefix("builtin:"))
        if files is None:
            raise InputError(f"--model {text}: no such model", fix="give builtin:tiny-chat")
        return [drafted("model.base.id", text, source)], files
    name, commit = _of_hub(text, source, "a folder")
    files = cached_commit(name, commit or "*")
    note = source if commit else "the copy on this machine"
    commit = commit or (files.name if files is not None else None)
    facts = [drafted("model.base.id", name, source)]
    facts += [drafted("model.base.revision", commit, note)] if commit else []
    return facts, files


def _of_hub(text: str, option: str, otherwise: str) -> tuple[str, str | None]:
    """Return id and commit of `owner/name` or `owner/name@COMMIT`."""
    name, _, commit = text.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or (commit and not COMMIT.fullmatch(commit)):
        raise InputError(
            f"{option} {text}: no such {otherwise.split()[-1]}, and no id of the Hub",
            fix=f"give {otherwise}, or owner/name@COMMIT with a commit of 40 digits",
        )
    return name, commit or None


def _read(file: Path) -> Record | None:
    return read_record(file) if file.is_file() else None


def _facts_of(config: Record | None) -> tuple[list[Fact], int | None]:
    """Return the type of a model's weights as facts, and how many tokens it reads."""
    if config is None:
        return [], None
    inner = config.at("text_config") if "text_config" in config.data else config
    facts: list[Fact] = []
    for record, key in ((r, k) for r in (config, inner) for k in ("dtype", "torch_dtype")):
        if record.data.get(key) in _DTYPES and not facts:
            facts.append(record.fact(("model", "dtype"), key, record.data[key]))
    lengths = (inner.whole(key) for key in _CONTEXT)
    return facts, next((length for length in lengths if length), None)


def _has_template(files: Path) -> bool:
    if (files / "chat_template.jinja").is_file():
        return True
    tokenizer = _read(files / "tokenizer_config.json")
    return tokenizer is not None and bool(tokenizer.data.get("chat_template"))


def _data(text: str | None, *, is_chat: bool) -> Iterator[Fact]:
    at = "data.tuned"
    name = "tuned" if text is None else short_id(Path(text.partition("@")[0]).stem, "tuned")
    yield drafted(f"{at}.name", name, "a name of your own")
    yield drafted(f"{at}.role", "tuned")
    template = "chat" if is_chat else "plain"
    yield drafted(f"{at}.template", template, "chat: through the chat template; plain: joined")
    if text is None:
        return
    if Path(text).is_file():
        yield drafted(f"{at}.path", Path(text).name, "a copy of --data")
        count = len(read_examples(Path(text)))
        yield drafted(f"{at}.examples", count, "all; a smaller number takes the first")
        return
    id_, commit = _of_hub(text, "--data", "a file")
    yield drafted(f"{at}.id", id_, "--data")
    if commit:
        yield drafted(f"{at}.revision", commit, "--data")


def _recipe(answers: Answers, length: int) -> Iterator[Fact]:
    method = answers.basics.method or "lora"
    rate = 2e-5 if method == "full" else 2e-4
    for name, value in {"learning_rate": rate, **_RECIPE, "max_length": length}.items():
        yield drafted(f"hyperparameters.{name}", value, _START)
    if method in ("lora", "dora", "qlora"):
        for name, value in _ADAPTER.items():
            yield drafted(f"hyperparameters.lora.{name}", value, _START)


def _judges(answers: Answers, folder: Path) -> Iterator[Fact]:
    """Yield the judges; the rule judge decides what the others do not."""
    asked = dict.fromkeys(c for name in answers.tasks for c in entry(name).constructs)
    open_ = [construct for construct in asked if construct in DEFAULT_CONSTRUCTS]
    entries: list[dict[str, Any]] = []
    for name in answers.judges:
        chosen = dict(RULE) if name == "rule" else preset(name).filled(folder)
        decided = [c for c in open_ if c in chosen.get("constructs", DEFAULT_CONSTRUCTS)]
        open_ = [construct for construct in open_ if construct not in decided]
        entries.append(chosen | ({"primary": True} if decided else {}))
    if open_ and "rule" not in answers.judges:
        entries.append({**RULE, "constructs": open_, "primary": True})
    for chosen in entries:
        for name, value in chosen.items():
            yield drafted(f"judge.{chosen['name']}.{name}", value)
