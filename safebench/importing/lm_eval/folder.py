"""Which results and samples in an output folder of lm-eval belong together.

lm-eval names both by the same time: `results_TIME.json`, `samples_TASK_TIME.jsonl`. `--output_path
NAME.json` gives `NAME_TIME.json`. Before 0.4.3: `results.json` and `ARGUMENTS_TASK.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safebench.importing.facts import file_error, first_words, natural, show
from safebench.importing.folders import leads_outside, walk
from safebench.importing.record import Record, read_record

_TIME = r"\d{4}-\d\d-\d\dT\d\d[-:_]\d\d[-:_]\d\d(?:\.\d+)?"
_SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<time>{_TIME}))?\.jsonl?(?:\.gz)?\Z")
_RESULTS = re.compile(rf"(?:results.*?|.*?)(?:_(?P<time>{_TIME}))?\.json\Z")
_ENDINGS = (".json", ".jsonl", ".jsonl.gz", ".json.gz")
_LOG = "run lm_eval with --log_samples"


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
        return self.of_results("configs")

    def of_results(self, section: str) -> Record:
        """Return what a section of the results holds of the task; empty where it is absent."""
        if self.results is None:
            return Record(self.samples, {})
        return self.results.at(section, self.task)


@dataclass(frozen=True)
class _Results:
    record: Record
    time: str | None

    @cached_property
    def tasks(self) -> list[str]:
        return leaf_tasks(self.record)


@dataclass(frozen=True)
class _Samples:
    file: Path
    time: str | None
    task: str


def runs_in(path: Path, tasks: Sequence[str]) -> tuple[list[Run], list[str]]:
    """Return the runs to read, one for each task, and remarks on what is left out.

    `tasks` are those to read; empty is every task.

    Raises:
        InteropError: nothing is there, samples are missing, or several runs or models are mixed.
    """
    root, results, samples = _listed(path)
    if not results and not samples:
        fix = f"give the folder after --output_path; {_LOG}"
        raise file_error(path, "holds no output of lm-eval", fix)
    present = sorted({*(task for one in results for task in one.tasks), *(s.task for s in samples)})
    chosen = list(dict.fromkeys(tasks)) or present
    for task in chosen:
        if task not in present:
            what = f"has no task {show(task)}; it has {first_words(present, 8)}"
            raise file_error(root, what, "correct --only-task")
    runs = [_run(task, root, results, samples) for task in chosen]
    _check_one_model([run.results for run in runs if run.results is not None])
    remarks = []
    left_out = [task for task in present if task not in chosen]
    if left_out:
        names = first_words(left_out, 8)
        remarks.append(f"{root}: tasks not imported, since --only-task leaves them out: {names}")
    alone = [run.task for run in runs if run.results is None]
    if alone:
        remarks.append(
            f"{root}: no file of results lists {first_words(alone, 8)}: the run is described by "
            "its samples only, and they may be incomplete"
        )
    return runs, remarks


def leaf_tasks(record: Record) -> list[str]:
    """Return the tasks that were run themselves, without groups of tasks."""
    groups = {name for name, inside in record.at("group_subtasks").data.items() if inside}
    return [name for name in record.at("configs").data if name not in groups]


def _listed(path: Path) -> tuple[Path, list[_Results], list[_Samples]]:
    """Return the folder, and what of it a path names: all, one file of results, or of samples."""
    if path.is_dir():
        files = sorted(_files(path, deep=True), key=natural)
        results = list(_results(files))
        return path, results, list(_samples(files, results))
    if not path.exists():
        raise file_error(path, "no such file or folder", "check the path")
    root = path.parent
    files = sorted(_files(root, deep=False), key=natural)
    if path.suffix == ".json" and not _SAMPLES.match(path.name):
        results = list(_results([path]))
        if not results:
            fix = "give results_*.json, or the folder it is in"
            raise file_error(path, "holds no results of lm-eval", fix)
        time = results[0].time
        samples = _samples(files, results)
        return root, results, [one for one in samples if time is None or one.time == time]
    results = list(_results(files))
    samples = (one for one in _samples(files, results) if one.file == path)
    one = next(samples, None)
    if one is None:
        fix = "give samples_*.jsonl, or the folder it is in"
        raise file_error(path, "not a file of lm-eval's samples", fix)
    # only this task is requested, so the other tasks that the results list are not missing
    narrowed = (_narrowed(found, one.task) for found in results)
    return root, [found for found in narrowed if found.tasks], [one]


def _narrowed(results: _Results, task: str) -> _Results:
    record = results.record
    configs = record.at("configs").data
    kept = {name: one for name, one in configs.items() if name == task}
    return _Results(Record(record.file, {**record.data, "configs": kept}), results.time)


def _files(root: Path, *, deep: bool) -> Iterator[Path]:
    for file in walk(root, "give the folder of one run", deep=deep):
        if not file.name.endswith(_ENDINGS):
            continue
        if leads_outside(file, root):
            what = "a link to a file outside the folder, which is not followed"
            raise file_error(file, what, "copy the file into the folder")
        if file.is_file():
            yield file


def _results(files: list[Path]) -> Iterator[_Results]:
    for file in files:
        match = _RESULTS.match(file.name)
        named = file.name.startswith("results") or (match and match["time"])
        if match is None or _SAMPLES.match(file.name) or not (named or len(files) == 1):
            continue
        record = read_record(file)
        if isinstance(record.data.get("results"), dict):
            yield _Results(record, match["time"])


def _samples(files: list[Path], results: list[_Results]) -> Iterator[_Samples]:
    known = [task for one in results for task in one.tasks]
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
        what = f"lists {show(task)}, but its samples are not in {root}"
        fix = f"{_LOG}, or name the tasks that have samples: --only-task NAME"
        raise file_error(listing[0].record.file, what, fix)
    if len(own) > 1:
        raise file_error(
            root,
            f"two runs of {show(task)} are in one folder: {_dated(own[0])} and {_dated(own[1])}",
            "import each run by its own results_*.json: as another seed, or with the number of its "
            "first repeat: seed=1,repeat=2:FILE",
        )
    (one,) = own
    beside = [r for r in listing if r.time is None or one.time is None or r.time == one.time]
    if listing and not beside:
        raise file_error(
            one.file,
            f"two runs of {show(task)} are mixed: these samples do not belong to the results "
            f"{listing[0].record.file}",
            "put the results and samples of one run into a folder of their own",
        )
    if len(beside) > 1:
        here = [found for found in beside if found.record.file.parent == one.file.parent]
        beside = here or beside
    if len(beside) > 1:
        names = " and ".join(str(found.record.file) for found in beside[:2])
        fix = "leave in the folder the one that was written with the samples"
        raise file_error(root, f"two files of results list {show(task)}: {names}", fix)
    return Run(task, one.file, beside[0].record if beside else None)


def _check_one_model(records: list[Record]) -> None:
    for record in records[1:]:
        for (what, first), (_, other) in zip(_setup(records[0]), _setup(record), strict=True):
            if first != other:
                raise file_error(
                    record.file,
                    f"two models or settings are mixed: {what} is {show(other)}, and {show(first)} "
                    f"in {records[0].file}",
                    "give the output of one model at a time",
                )


def _setup(record: Record) -> Iterable[tuple[str, object]]:
    """Return what all results of one model have in common."""
    config = record.at("config").data
    yield "model", config.get("model")
    yield "model_args", config.get("model_args")
    yield "chat template", record.data.get("chat_template_sha")
    yield "system instruction", record.data.get("system_instruction")


def _dated(one: _Samples) -> str:
    return f"{one.file.name} of {one.time}" if one.time else one.file.name
