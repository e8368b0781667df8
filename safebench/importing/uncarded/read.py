"""Runs without a card, read into a submission in memory.

Nothing is checked against the prompts of published tasks, and nothing is written. The card holds
what the files say, and all else is not reported; `safebench import` makes a complete one.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.evidence.submission import Submission
from safebench.importing.facts import file_error, first_words, show
from safebench.importing.folders import leads_outside, walk
from safebench.importing.interface import Collected, ModelKey, Source, joined
from safebench.importing.loaded import is_same
from safebench.importing.readers import READERS, reader_of
from safebench.importing.record import Record
from safebench.importing.submission.weights import check_responses
from safebench.importing.tables import read_responses
from safebench.importing.uncarded.prompts import match_tasks
from safebench.importing.uncarded.submission import submission_of
from safebench.rows import read_rows
from safebench.words import count

_UNRECORDED = "unrecorded"
"""Name of a table's decoding, where no column names one."""
_TASK = "responses"
"""Name of a table's task, where no column names one."""
_REPORTED = "reported"
"""Name of the judge whose verdicts a table holds."""
_OF_WEIGHTS = ("pretrained", "peft", "delta", "lora_local_path", "model", "model_path", "revision")
"""Arguments that name the weights, which are what is compared."""


_HEAD = 64 * 1024
_TABLES = (".jsonl", ".csv", ".tsv", ".parquet")
_OF_LM_EVAL = re.compile(r"(results|samples_).*\.jsonl?(\.gz)?\Z")
_LM_EVAL = (b'"doc_id"', b'"resps"')
_INSPECT = (b'"eval"', b'"status"')
_HARMBENCH = (b'"test_case"', b'"generation"')
_FIX = (
    "give an output folder of lm-eval (with --log_samples), logs of Inspect, completions of "
    "HarmBench, a table with one response a row (.jsonl, .csv, .parquet), or a submission"
)
"""What to give instead of what no reader knows."""


@dataclass(frozen=True)
class Meaning:
    """What a person adds to files that have no card."""

    measures: Mapping[str, Construct] = field(default_factory=dict)
    """What tasks measure that are not safebench's."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Verdicts of the standard by the words of judges: `WORD`, or `JUDGE:WORD`."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of a table by the field that each holds."""
    tasks: tuple[str, ...] = ()
    """The tasks to read, where a program logs them apart; all of them if empty."""


@dataclass(frozen=True)
class Uncarded:
    """Runs of one condition, read as a submission."""

    submission: Submission
    reader: str
    """Name of the format."""
    sources: tuple[Source, ...]
    collected: Collected
    measures: Mapping[str, Construct]
    """What tasks measure that are not safebench's."""
    remarks: tuple[str, ...]
    """What a reader of the numbers should know."""


def read_runs(paths: Sequence[Path], condition: Condition, meaning: Meaning) -> Uncarded:
    """Read the runs of a base model, or of fine-tuned models with one training seed each.

    A model that was loaded with an adapter is a tuned one. Seeds are numbered from 1.

    Raises:
        InteropError: nothing can be read, the runs are of several programs or were decoded
            differently, or nothing says what their tasks measure.
    """
    found = [reader_for(path) for path in paths]
    names = dict.fromkeys(name for name, _ in found)
    if len(names) > 1:
        raise InteropError(
            f"the fine-tuned runs come from several programs: {', '.join(names)}",
            fix="compare runs of one program at a time, or import each into a submission",
        )
    (reader,) = names
    files = [file for _, file in found]
    sources, collected = _collect(reader, files, condition, meaning)
    remarks = list(collected.remarks)
    adapter = next((w for all_ in collected.loaded.values() for w in all_ if w.added), None)
    if condition == "base" and adapter is not None:
        sources, collected = _collect(reader, files, "tuned", meaning)
        remarks.append(f"{adapter.cite(adapter.added)}: read as a fine-tuned model, not a base")
    if not collected.samples:
        raise InteropError(f"{visible(str(paths[0]))}: no responses", fix="give those of a model")
    matched = match_tasks(collected, meaning.measures, remarks)
    others = f" and {count(len(paths) - 1, 'other')}" if len(paths) > 1 else ""
    title = f"{paths[0]}{others} ({reader})"
    submission = submission_of(paths[0], title, collected.facts, matched, meaning.labels, remarks)
    measures = {
        one.sample.task: one.document["construct"] for one in matched if not one.document["own"]
    }
    return Uncarded(submission, reader, sources, collected, measures, tuple(dict.fromkeys(remarks)))


def _collect(
    name: str, files: Sequence[Path], condition: Condition, meaning: Meaning
) -> tuple[tuple[Source, ...], Collected]:
    """Return what a reader finds in the files of models of one condition."""
    sources = tuple(
        Source(file, ModelKey(condition, None if condition == "base" else number))
        for number, file in enumerate(files, 1)
    )
    if name == "responses":
        return sources, joined([_table(one.path, one.model, meaning) for one in sources])
    reader = reader_of(name)
    logs_apart = any(option.name == "--only-task" for option in reader.options)
    try:
        return sources, reader.read(sources, {"only_task": meaning.tasks} if logs_apart else {})
    except InteropError as problem:
        # Readers name options of `import`: here --only-task is --task, and there is no --limit.
        fix = (problem.fix or "").replace("--only-task", "--task").partition("; or import ")[0]
        raise InteropError(str(problem), fix=fix) from None


def _table(file: Path, model: ModelKey | None, meaning: Meaning) -> Collected:
    """Read a table, whose rows need not say which model answered, nor how."""
    _, first = next(read_rows(file, InteropError), (None, {}))
    given = {"task": _TASK, "decoding": _UNRECORDED}
    if model is not None and not {"condition", meaning.columns.get("condition")} & {*first}:
        given["condition"] = model.condition
        if model.training_seed is not None:
            given["training_seed"] = str(model.training_seed)
    columns = {name: column for name, column in meaning.columns.items() if column in first}
    judged = {"verdict", "score"} & {*first, *columns}
    judge = {"name": _REPORTED} if judged else None
    found = read_responses([file], columns, given, judge, in_order="repeat" not in first)
    return replace(found, remarks=())  # which columns are kept matters to an import alone


def check_apart(a: Uncarded, b: Uncarded) -> list[str]:
    """Return remarks on responses of both sides that are alike word for word.

    Raises:
        InteropError: both sides were sampled with the same weights.
    """
    first = [one for weights in a.collected.loaded.values() for one in weights]
    for weights in b.collected.loaded.values():
        for one in weights:
            if any(is_same(one, other) for other in first):
                raise InteropError(
                    f"{one.cite((*one.whole, *one.added))}, and so has "
                    f"{visible(str(first[0].file))}: these are two runs of one model",
                    fix="give a run of the base model first, then those of fine-tuned models, "
                    "sampled with the adapter (peft=DIR; lora_local_path=DIR under vllm)",
                )
    seeds = max((s.model.training_seed or 0 for s in b.collected.samples), default=0)
    apart = _renumbered(a.collected, seeds)
    return list(
        check_responses(
            (*apart.samples, *b.collected.samples),
            {**apart.loaded, **b.collected.loaded},
            (*apart.facts, *b.collected.facts),
        )
    )


def _renumbered(collected: Collected, after: int) -> Collected:
    """Return runs whose training seeds follow those of others, so that they stay apart."""

    def other(model: ModelKey) -> ModelKey:
        seed = model.training_seed
        return model if seed is None else replace(model, training_seed=seed + after)

    if all(one.model.training_seed is None for one in collected.samples):
        return collected
    return replace(
        collected,
        samples=tuple(replace(s, model=other(s.model)) for s in collected.samples),
        loaded={other(model): weights for model, weights in collected.loaded.items()},
    )


def other_arguments(a: Uncarded, b: Uncarded) -> Iterator[str]:
    """Yield arguments of the sampler that differ and that no field of a card holds."""
    first, second = (_arguments(side.collected.extra) for side in (a, b))
    for name in sorted(first.keys() | second.keys()):
        values = [show(side.get(name, "absent")) for side in (first, second)]
        if values[0] != values[1] and name not in _OF_WEIGHTS:
            yield f"model_args differ: {name} {values[0]} -> {values[1]}"


def _arguments(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of all runs; every value of an argument that differs between runs."""
    found: dict[str, Any] = {}
    for content in extra.values():
        for key in ("config", "eval"):  # of lm-eval and of Inspect
            part = content.get(key) if isinstance(content, dict) else None
            given = Record(Path(), part if isinstance(part, dict) else {}).arguments("model_args")
            for name, value in given.items():
                before = found.setdefault(name, value)
                if before != value and str(value) not in str(before):
                    found[name] = f"{before}, {value}"
    return found


def reader_for(path: Path) -> tuple[str, Path]:
    """Return the name of the reader of a file or folder, and what to give it.

    A folder that holds a single table, or a single file of HarmBench, stands for that file.

    Raises:
        InteropError: nothing is there that a reader knows, or it is not clear what is meant.
    """
    if not path.exists():
        raise file_error(path, "no such file or folder", "check the path")
    if path.is_file():
        kind = _kind(path)
        if kind is None:
            raise file_error(path, "nothing here reads such a file", _FIX)
        return kind, path
    files = [file for file in walk(path, "give a smaller folder") if not leads_outside(file, path)]
    found: dict[str, list[Path]] = {}
    for file in files:
        kind = _kind(file)
        if kind is not None:
            found.setdefault(kind, []).append(file)
    for kind in READERS:
        if kind in ("lm-eval", "inspect") and kind in found:
            return kind, path
    several = [file for of_kind in found.values() for file in of_kind]
    if len(several) == 1:
        return next(iter(found)), several[0]
    names = first_words(visible(str(file.relative_to(path))) for file in several or files)
    if several:
        what, fix = f"holds {len(several)} tables: {names}", "name one of them"
    else:
        what, fix = f"holds nothing readable ({names or 'no files'})", _FIX
    raise InteropError(f"{visible(str(path))} {what}", fix=fix)


def _kind(file: Path) -> str | None:
    """Return the name of a file's reader; None where there is none."""
    if not file.is_file():  # a pipe would be waited for
        return None
    if file.suffix == ".eval":
        return "inspect"
    if _OF_LM_EVAL.match(file.name):
        return "lm-eval"
    if file.suffix in _TABLES[1:]:
        return "responses"
    if file.suffix in (".json", ".jsonl") or file.name.endswith(".jsonl.gz"):
        return next(_by_content(file), None)
    return None


def _by_content(file: Path) -> Iterator[str]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            head = stream.read(_HEAD)
    except (OSError, EOFError):
        return
    if all(mark in head for mark in _LM_EVAL):
        yield "lm-eval"
    is_mapping = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    if is_mapping and file.suffix == ".json":
        for name, marks in (("inspect", _INSPECT), ("harmbench", _HARMBENCH)):
            if all(mark in head for mark in marks):
                yield name
    elif file.suffix in (".json", ".jsonl"):
        yield "responses"
