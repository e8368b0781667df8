"""Which results and samples of an lm-eval output folder belong together.

lm-eval names both by one time: `results_TIME.json`, `samples_TASK_TIME.jsonl`. `--output_path
NAME.json` gives `NAME_TIME.json`. Before 0.4.3: `results.json` and `ARGUMENTS_TASK.jsonl`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.importing.draft.facts import first_words, natural, show
from safebench.importing.draft.find import MOST_DEPTH, MOST_ENTRIES
from safebench.importing.lm_eval.lines import AS_WRITTEN, too_deep
from safebench.importing.record import Record, read_record

_TIME = r"\d{4}-\d\d-\d\dT\d\d[-:_]\d\d[-:_]\d\d(?:\.\d+)?"
_SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<time>{_TIME}))?\.jsonl?(?:\.gz)?\Z")
_RESULTS = re.compile(rf"(?:results.*?|.*?)(?:_(?P<time>{_TIME}))?\.json\Z")
_LOG = "run lm_eval with --log_samples"


@dataclass(frozen=True)
class Run:
    """A task's samples and the results they belong to."""

    task: str
    samples: Path
    results: Record | None
    """None where there is no file of results that lists the task."""


@dataclass(frozen=True)
class _Named:
    file: Path
    time: str | None
    task: str = ""


def runs_in(path: Path, tasks: Sequence[str] | None) -> tuple[list[Run], list[str]]:
    """Return what is to be read, by task, and remarks on what is left out.

    Raises:
        InteropError: nothing is there, samples are missing, or several runs or models are mixed.
    """
    root, results, samples = _listed(path)
    if not results and not samples:
        raise InteropError(
            f"{_name(path)} holds no output of lm-eval",
            fix=f"give the folder after --output_path; {_LOG}",
        )
    known = [name for record, _ in results for name in leaf_tasks(record)]
    there = sorted({*known, *(one.task for one in samples)})
    wanted = there if tasks is None else list(dict.fromkeys(tasks))
    for task in wanted:
        if task not in there:
            held = first_words(there, 8)
            message = f"{_name(root)} has no task {show(task)}; it has {held}"
            raise InteropError(message, fix="correct --only-task")
    found = [_one(task, root, results, samples) for task in wanted]
    _one_model([run.results for run in found if run.results is not None])
    remarks = []
    left = [task for task in there if task not in wanted]
    if left:
        remarks.append(f"{_name(root)}: not imported, as not asked for: {first_words(left, 8)}")
    alone = [run.task for run in found if run.results is None]
    if alone:
        remarks.append(
            f"{_name(root)}: no file of results lists {first_words(alone, 8)}: what is known of "
            "the run was read from the samples alone, and whether they are complete is not"
        )
    return found, remarks


def leaf_tasks(record: Record) -> list[str]:
    """Return the tasks that were run themselves, without groups of tasks."""
    groups = record.mapping("group_subtasks")
    parents = {name for name, inside in groups.data.items() if inside} if groups else set()
    configs = record.mapping("configs")
    return [name for name in (configs.data if configs else ()) if name not in parents]


def _listed(path: Path) -> tuple[Path, list[tuple[Record, str | None]], list[_Named]]:
    if not path.exists():
        raise InteropError(f"{_name(path)}: no such file or folder", fix="check the path")
    root = path if path.is_dir() else path.parent
    files = sorted(_walk(root, deep=path.is_dir()), key=natural)
    results = list(_results([path] if _is_results(path) else files))
    samples = list(_samples(files, [name for record, _ in results for name in leaf_tasks(record)]))
    if _is_results(path):
        time = results[0][1] if results else None
        samples = [one for one in samples if time is None or one.time == time]
        if not results:
            message = f"{_name(path)} holds no results of lm-eval"
            raise InteropError(message, fix="give results_*.json, or the folder it is in")
    elif not path.is_dir():
        samples = [one for one in samples if one.file == path]
        if not samples:
            message = f"{_name(path)} is no file of lm-eval's samples"
            raise InteropError(message, fix="give samples_*.jsonl, or the folder it is in")
        # its own task alone is asked for, so what else the results list is not missing
        results = [(_only(record, samples[0].task), time) for record, time in results]
        results = [one for one in results if leaf_tasks(one[0])]
    return root, results, samples


def _only(record: Record, task: str) -> Record:
    configs = record.mapping("configs")
    kept = {name: one for name, one in (configs.data if configs else {}).items() if name == task}
    return Record(record.file, {**record.data, "configs": kept})


def _is_results(path: Path) -> bool:
    return path.is_file() and path.suffix == ".json" and not _SAMPLES.match(path.name)


def _walk(root: Path, *, deep: bool) -> Iterator[Path]:
    inside, entries = root.resolve(), 0
    for folder, folders, names in os.walk(root, onerror=_stop):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if not deep or len(here.relative_to(root).parts) >= MOST_DEPTH:
            folders.clear()
        entries += len(folders) + len(names)
        if entries > MOST_ENTRIES:
            message = f"{_name(root)} holds more than {MOST_ENTRIES:,} files and folders"
            raise InteropError(message, fix="give the folder of one run")
        for name in names:
            file = here / name
            if not name.endswith((".json", ".jsonl", ".jsonl.gz", ".json.gz")):
                continue
            if file.is_symlink() and not file.resolve().is_relative_to(inside):
                raise InteropError(
                    f"{_name(file)} is a link to a file outside the folder, which is not followed",
                    fix="copy the file into the folder",
                )
            if file.is_file():
                yield file


def _results(files: list[Path]) -> Iterator[tuple[Record, str | None]]:
    for file in files:
        match = _RESULTS.match(file.name)
        named = file.name.startswith("results") or (match and match["time"])
        if match is None or _SAMPLES.match(file.name) or not (named or len(files) == 1):
            continue
        record = read_record(file)
        if too_deep(record.data):
            message = f"{_name(file)} is nested too deeply"
            raise InteropError(message, fix=AS_WRITTEN)
        if isinstance(record.data.get("results"), dict):
            yield record, match["time"]


def _samples(files: list[Path], known: list[str]) -> Iterator[_Named]:
    for file in files:
        match = _SAMPLES.match(file.name)
        if match:
            yield _Named(file, match["time"], match["task"])
        elif file.name.endswith((".jsonl", ".jsonl.gz")):  # the layout before 0.4.3
            stem = file.name.split(".jsonl")[0]
            fits = [task for task in known if stem == task or stem.endswith(f"_{task}")]
            if fits:
                yield _Named(file, None, max(fits, key=len))


def _one(
    task: str, root: Path, results: list[tuple[Record, str | None]], samples: list[_Named]
) -> Run:
    mine = [one for one in samples if one.task == task]
    listing = [(record, time) for record, time in results if task in leaf_tasks(record)]
    if not mine:
        record = listing[0][0]
        raise InteropError(
            f"{_name(record.file)} lists {show(task)}, but its samples are not in {_name(root)}",
            fix=f"{_LOG}, or name the tasks that have samples: --only-task NAME",
        )
    if len(mine) > 1:
        raise InteropError(
            f"two runs of {show(task)} are in one folder: {_dated(mine[0])} and {_dated(mine[1])}",
            fix="import each run by its own results_*.json: as another seed, or with the number "
            "of its first repeat: seed=1,repeat=2:FILE",
        )
    (one,) = mine
    beside = [r for r, time in listing if time is None or one.time is None or time == one.time]
    if len(beside) > 1:
        here = [record for record in beside if record.file.parent == one.file.parent]
        beside = here or beside
    if len(beside) > 1:
        names = " and ".join(_name(record.file) for record in beside[:2])
        raise InteropError(
            f"two files of results list {show(task)}: {names}",
            fix="leave in the folder the one that was written with the samples",
        )
    if listing and not beside:
        record, time = listing[0]
        raise InteropError(
            f"two runs of {show(task)} are mixed: the samples {_dated(one)} are not of the "
            f"results {_name(record.file)} of {time}",
            fix="put the results and samples of one run into a folder of their own",
        )
    return Run(task, one.file, beside[0] if beside else None)


def _one_model(records: list[Record]) -> None:
    for record in records[1:]:
        for what, first, other in zip(
            ("model", "model_args", "chat template", "system instruction"),
            _setting(records[0]),
            _setting(record),
            strict=True,
        ):
            if first != other:
                raise InteropError(
                    f"two models or settings are mixed: {what} is {show(first)} in "
                    f"{_name(records[0].file)} and {show(other)} in {_name(record.file)}",
                    fix="give the output of one model at a time",
                )


def _setting(record: Record) -> tuple[object, ...]:
    config = record.mapping("config")
    said = config.data if config else {}
    top = record.data
    prompt = (top.get("chat_template_sha"), top.get("system_instruction"))
    return (said.get("model"), said.get("model_args"), *prompt)


def _dated(one: _Named) -> str:
    return f"{_name(one.file)} of {one.time}" if one.time else _name(one.file)


def _name(path: Path) -> str:
    return visible(str(path))


def _stop(problem: OSError) -> None:
    raise InteropError(
        f"{visible(str(problem.filename))} cannot be read: {problem.strerror}",
        fix="check who may read the folder",
    )
