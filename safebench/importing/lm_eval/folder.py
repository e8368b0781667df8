"""Which results and samples of an lm-eval output folder belong together.

lm-eval names both by one time: `results_TIME.json`, `samples_TASK_TIME.jsonl`. `--output_path
NAME.json` gives `NAME_TIME.json`. Before 0.4.3: `results.json` and `ARGUMENTS_TASK.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.importing.facts import first_words, natural, show
from safebench.importing.folders import leads_outside, walk
from safebench.importing.lm_eval.rows import AS_WRITTEN, too_deep
from safebench.importing.record import Record, read_record

_TIME = r"\d{4}-\d\d-\d\dT\d\d[-:_]\d\d[-:_]\d\d(?:\.\d+)?"
_SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<time>{_TIME}))?\.jsonl?(?:\.gz)?\Z")
_RESULTS = re.compile(rf"(?:results.*?|.*?)(?:_(?P<time>{_TIME}))?\.json\Z")
_ENDINGS = (".json", ".jsonl", ".jsonl.gz", ".json.gz")
_LOG = "run lm_eval with --log_samples"
_SEPARATE = "put the results and samples of one run into a folder of their own"


@dataclass(frozen=True)
class Run:
    """A task's samples and the results they belong to."""

    task: str
    samples: Path
    results: Record | None
    """None where no file of results lists the task."""

    @property
    def config(self) -> Record:
        """The task's configuration; empty where there is none."""
        return Record(self.samples, {}) if self.results is None else self.of_results("configs")

    def of_results(self, section: str) -> Record:
        """Return what a section of the results holds of the task; empty where it is absent."""
        if self.results is None:
            return Record(self.samples, {})
        return self.results.at(section, self.task)


@dataclass(frozen=True)
class _Results:
    record: Record
    time: str | None
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class _Samples:
    file: Path
    time: str | None
    task: str


def runs_in(path: Path, tasks: Sequence[str] | None) -> tuple[list[Run], list[str]]:
    """Return what is to be read, by task, and remarks on what is left out.

    Raises:
        InteropError: nothing is there, samples are missing, or several runs or models are mixed.
    """
    root, results, samples = _listed(path)
    if not results and not samples:
        message = f"{_name(path)} holds no output of lm-eval"
        raise InteropError(message, fix=f"give the folder after --output_path; {_LOG}")
    listed = {name for one in results for name in one.tasks}
    present = sorted({*listed, *(one.task for one in samples)})
    chosen = present if tasks is None else list(dict.fromkeys(tasks))
    for task in chosen:
        if task not in present:
            held = first_words(present, 8)
            message = f"{_name(root)} has no task {show(task)}; it has {held}"
            raise InteropError(message, fix="correct --only-task")
    runs = [_run(task, root, results, samples) for task in chosen]
    _check_one_model([run.results for run in runs if run.results is not None])
    remarks = []
    left = [task for task in present if task not in chosen]
    if left:
        remarks.append(f"{_name(root)}: not imported, as not asked for: {first_words(left, 8)}")
    alone = [run.task for run in runs if run.results is None]
    if alone:
        remarks.append(
            f"{_name(root)}: no file of results lists {first_words(alone, 8)}: what is known of "
            "the run was read from the samples alone, and whether they are complete is not"
        )
    return runs, remarks


def leaf_tasks(record: Record) -> list[str]:
    """Return the tasks that were run themselves, without groups of tasks."""
    groups = {name for name, inside in record.at("group_subtasks").data.items() if inside}
    return [name for name in record.at("configs").data if name not in groups]


def _listed(path: Path) -> tuple[Path, list[_Results], list[_Samples]]:
    """Return the folder, and what of it a path names: all, one file of results, or of samples."""
    if not path.exists():
        raise InteropError(f"{_name(path)}: no such file or folder", fix="check the path")
    is_results = path.is_file() and path.suffix == ".json" and not _SAMPLES.match(path.name)
    root = path if path.is_dir() else path.parent
    files = sorted(_files(root, deep=path.is_dir()), key=natural)
    results = list(_results([path] if is_results else files))
    samples = list(_samples(files, [name for one in results for name in one.tasks]))
    if is_results:
        if not results:
            message = f"{_name(path)} holds no results of lm-eval"
            raise InteropError(message, fix="give results_*.json, or the folder it is in")
        time = results[0].time
        samples = [one for one in samples if time is None or one.time == time]
    elif not path.is_dir():
        samples = [one for one in samples if one.file == path]
        if not samples:
            message = f"{_name(path)} is no file of lm-eval's samples"
            raise InteropError(message, fix="give samples_*.jsonl, or the folder it is in")
        # its own task alone is asked for, so what else the results list is not missing
        task = samples[0].task
        narrowed = (_narrowed(one, task) for one in results)
        results = [one for one in narrowed if one.tasks]
    return root, results, samples


def _narrowed(results: _Results, task: str) -> _Results:
    record = results.record
    configs = record.at("configs").data
    kept = {name: one for name, one in configs.items() if name == task}
    record = Record(record.file, {**record.data, "configs": kept})
    return _Results(record, results.time, tuple(leaf_tasks(record)))


def _files(root: Path, *, deep: bool) -> Iterator[Path]:
    for file in walk(root, "give the folder of one run", deep=deep):
        if not file.name.endswith(_ENDINGS):
            continue
        if leads_outside(file, root):
            raise InteropError(
                f"{_name(file)} is a link to a file outside the folder, which is not followed",
                fix="copy the file into the folder",
            )
        if file.is_file():
            yield file


def _results(files: list[Path]) -> Iterator[_Results]:
    for file in files:
        match = _RESULTS.match(file.name)
        named = file.name.startswith("results") or (match and match["time"])
        if match is None or _SAMPLES.match(file.name) or not (named or len(files) == 1):
            continue
        record = read_record(file)
        if too_deep(record.data):
            raise InteropError(f"{_name(file)} is nested too deeply", fix=AS_WRITTEN)
        if isinstance(record.data.get("results"), dict):
            yield _Results(record, match["time"], tuple(leaf_tasks(record)))


def _samples(files: list[Path], known: list[str]) -> Iterator[_Samples]:
    for file in files:
        match = _SAMPLES.match(file.name)
        if match:
            yield _Samples(file, match["time"], match["task"])
        elif file.name.endswith((".jsonl", ".jsonl.gz")):  # the layout before 0.4.3
            stem = file.name.split(".jsonl")[0]
            fits = [task for task in known if stem == task or stem.endswith(f"_{task}")]
            if fits:
                yield _Samples(file, None, max(fits, key=len))


def _run(task: str, root: Path, results: list[_Results], samples: list[_Samples]) -> Run:
    """Match a task's samples with its results."""
    own = [one for one in samples if one.task == task]
    listing = [one for one in results if task in one.tasks]
    if not own:
        where = _name(listing[0].record.file)
        raise InteropError(
            f"{where} lists {show(task)}, but its samples are not in {_name(root)}",
            fix=f"{_LOG}, or name the tasks that have samples: --only-task NAME",
        )
    if len(own) > 1:
        raise InteropError(
            f"two runs of {show(task)} are in one folder: {_dated(own[0])} and {_dated(own[1])}",
            fix="import each run by its own results_*.json: as another seed, or with the number "
            "of its first repeat: seed=1,repeat=2:FILE",
        )
    (one,) = own
    beside = [r for r in listing if r.time is None or one.time is None or r.time == one.time]
    if len(beside) > 1:
        here = [found for found in beside if found.record.file.parent == one.file.parent]
        beside = here or beside
    if len(beside) > 1:
        names = " and ".join(_name(found.record.file) for found in beside[:2])
        raise InteropError(
            f"two files of results list {show(task)}: {names}",
            fix="leave in the folder the one that was written with the samples",
        )
    if listing and not beside:
        raise InteropError(
            f"two runs of {show(task)} are mixed: the samples {_dated(one)} are not of the "
            f"results {_name(listing[0].record.file)} of {listing[0].time}",
            fix=_SEPARATE,
        )
    return Run(task, one.file, beside[0].record if beside else None)


def _check_one_model(records: list[Record]) -> None:
    for record in records[1:]:
        for (what, first), (_, other) in zip(_setup(records[0]), _setup(record), strict=True):
            if first != other:
                raise InteropError(
                    f"two models or settings are mixed: {what} is {show(first)} in "
                    f"{_name(records[0].file)} and {show(other)} in {_name(record.file)}",
                    fix="give the output of one model at a time",
                )


def _setup(record: Record) -> Iterable[tuple[str, object]]:
    """Return what is the same in all results of one model."""
    config = record.at("config").data
    yield "model", config.get("model")
    yield "model_args", config.get("model_args")
    yield "chat template", record.data.get("chat_template_sha")
    yield "system instruction", record.data.get("system_instruction")


def _dated(one: _Samples) -> str:
    return f"{_name(one.file)} of {one.time}" if one.time else _name(one.file)


def _name(path: Path) -> str:
    return visible(str(path))
