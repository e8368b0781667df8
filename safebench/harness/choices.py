"""Multiple-choice tasks of lm-eval's, asked as questions that are answered with a letter.

lm-eval scores them by the log-likelihood of each choice; safebench samples answers. Which data set,
configuration and split is read out of lm-eval's own YAML, and so is the question text where it
shows the choices; the letter in a response is judged. The `dataset_kwargs` of such a task:

    lm_eval: [wmdp/wmdp_bio, wmdp/wmdp_chem]    # lm-eval's YAML files, below its folder of tasks
    layout: lm_eval        # its doc_to_text; or `lettered`, where that shows no choices
    order: published       # or `drawn`, where the right choice always comes first
"""

from __future__ import annotations

import hashlib
import importlib.util
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import TaskError
from safebench.harness.tables import (
    Row,
    cell,
    cell_list,
    found_columns,
    load_tables,
)
from safebench.harness.task_yaml import read_task_yaml
from safebench.models.quiet import raised_as

INSTRUCTION = "Answer with the letter of the right choice alone."
_LETTERS = string.ascii_uppercase
_COLUMNS_FIX = "give the columns question, choices (a list), answer (index or letter), [subset]"


@dataclass(frozen=True)
class Question:
    """One question with its choices."""

    text: str
    choices: tuple[str, ...]
    right: int
    """Index of the right choice."""
    subset: str
    """lm-eval's configuration that it is from; empty where a local copy does not say."""


@dataclass(frozen=True)
class Origin:
    """What lm-eval's own YAML says of a task."""

    path: str
    name: str | None
    split: str
    text: str


def choice_documents(options: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a document per question: prompt with lettered choices, target the right letter.

    Raises:
        TaskError: lm-eval has no such task, or the data cannot be read; names file and row.
    """
    prefix, layout, order = (options[name] for name in ("prefix", "layout", "order"))
    if layout not in ("lm_eval", "lettered") or order not in ("published", "drawn"):
        raise TaskError(
            f"task of prefix {prefix!r}: layout is {layout!r} and order {order!r}",
            fix="write layout: lm_eval or lettered, order: published or drawn",
        )
    origins = origins_of(options)
    made = []
    for number, question in enumerate(questions(options), start=1):
        asked = drawn(question) if order == "drawn" else question
        text = _rendered(asked, origins[0].text) if layout == "lm_eval" else lettered(asked)
        made.append(
            {
                "prompt_id": f"{prefix}-{number:04d}",
                "prompt": f"{INSTRUCTION}\n\n{text}",
                "category": question.subset if len(origins) > 1 else "",
                "construct": "capability",
                "target": _LETTERS[asked.right],
            }
        )
    return made


def origins_of(options: Mapping[str, Any]) -> list[Origin]:
    """Return what lm-eval says of each of its tasks that `dataset_kwargs` names."""
    return [lm_eval_origin(name, str(options["dataset_id"])) for name in options["lm_eval"]]


def lm_eval_origin(name: str, dataset_id: str) -> Origin:
    """Read lm-eval's own YAML of a task, e.g. `wmdp/wmdp_bio`, without importing lm-eval.

    Raises:
        TaskError: lm-eval is not installed, or its task is another one now.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise TaskError("lm-eval is not installed", fix="pip install 'safebench[run]'")
    path = Path(next(iter(spec.submodule_search_locations))) / "tasks" / f"{name}.yaml"
    config = read_task_yaml(path)
    origin = Origin(
        path=str(config.get("dataset_path")),
        name=config.get("dataset_name"),
        split=str(config.get("test_split") or config.get("validation_split")),
        text=str(config.get("doc_to_text")),
    )
    if origin.path != dataset_id:
        raise TaskError(
            f"lm-eval's {name} reads {origin.path}, but this task names {dataset_id}",
            fix="install an lm-eval that pyproject.toml allows",
        )
    return origin


def questions(options: Mapping[str, Any]) -> list[Question]:
    """Read every question, of the local copy if one is named, else of each configuration.

    Raises:
        TaskError: it cannot be loaded, or a row is not a question; names file and row.
    """
    origins = origins_of(options)
    subsets = [origin.name or "" for origin in origins]
    made = []
    for table in load_tables(options, [(origin.name, origin.split) for origin in origins]):
        origin = table.origin if table.config is None else f"{table.origin} {table.config}"
        if not table.rows:
            raise TaskError(f"{origin}: no prompts")
        for number, row in enumerate(table.rows, start=1):
            where = f"{origin}: row {number}"
            made.append(_question(row, where, table.config or _subset(row, subsets, where)))
    return made


def _subset(row: Row, subsets: Sequence[str], where: str) -> str:
    """Return the configuration that a row of a local copy is from, written in full or not."""
    value = cell(row.get("subset"))
    if not value:
        return ""
    written = value.replace("_", "-")
    for name in subsets:
        if written == name.replace("_", "-") or name.endswith(f"-{written}"):
            return name
    raise TaskError(f"{where}: subset is {value!r}, not {' or '.join(subsets)}")


def _question(row: Row, where: str, subset: str) -> Question:
    text = cell(row.get("question"))
    if isinstance(row.get("mc1_targets"), Mapping):
        choices, right = _mc1(row["mc1_targets"], where)
    elif {"choices", "answer"} <= set(row):
        choices = cell_list(row["choices"], where, what="choices")
        right = _answer(cell(row["answer"]), len(choices), where)
    else:
        found = ", ".join(found_columns([row]))
        raise TaskError(f"{where}: column choices, answer missing; found {found}", fix=_COLUMNS_FIX)
    if not text:
        raise TaskError(f"{where} has no question", fix=_COLUMNS_FIX)
    if not 2 <= len(choices) <= len(_LETTERS):
        raise TaskError(f"{where}: {len(choices)} choices", fix=_COLUMNS_FIX)
    return Question(text, tuple(choices), right, subset)


def _mc1(targets: Mapping[str, Any], where: str) -> tuple[list[str], int]:
    """Return the choices as TruthfulQA publishes them, with a label 1 for the right one."""
    choices = cell_list(targets.get("choices"), where, what="mc1_targets.choices")
    labels = list(targets.get("labels") or [])
    if len(labels) != len(choices) or sorted(labels) != [0] * (len(choices) - 1) + [1]:
        raise TaskError(f"{where}: mc1_targets.labels mark not exactly one choice as right")
    return choices, labels.index(1)


def _answer(value: str, choices: int, where: str) -> int:
    """Return the index that an answer names: `2`, or the letter `C`."""
    if len(value) == 1 and value.upper() in _LETTERS:
        index = _LETTERS.index(value.upper())
    else:
        index = int(value) if value.isascii() and value.isdigit() else -1
    if not 0 <= index < choices:
        raise TaskError(f"{where}: answer is {value!r}, of {choices} choices", fix=_COLUMNS_FIX)
    return index


def drawn(question: Question) -> Question:
    """Return a question with its choices in an order that its text decides.

    They are sorted by the SHA-256 of question and choice, so that neither where the right one was
    published nor anything random has a say.
    """

    def key(index: int) -> tuple[bytes, int]:
        text = f"{question.text}\n{question.choices[index]}"
        return hashlib.sha256(text.encode()).digest(), index

    order = sorted(range(len(question.choices)), key=key)
    return Question(
        question.text,
        tuple(question.choices[index] for index in order),
        order.index(question.right),
        question.subset,
    )


def lettered(question: Question) -> str:
    """Return the question with a choice a line, as lm-eval lays out WMDP."""
    lines = [f"{_LETTERS[n]}. {choice}" for n, choice in enumerate(question.choices)]
    return "\n".join([question.text, *lines, "Answer:"])


def _rendered(question: Question, template: str) -> str:
    from lm_eval.utils import apply_template

    values = {"question": question.text, "choices": list(question.choices)}
    with raised_as(TaskError, "lm-eval's question text cannot be made"):
        text: str = apply_template(template, {**values, "answer": question.right})
    missing = [choice for choice in question.choices if choice not in text]
    if missing:
        raise TaskError(
            f"{question.text[:60]!r} has {len(question.choices)} choices, "
            "but lm-eval's question text does not show all of them",
            fix=_COLUMNS_FIX,
        )
    return text
