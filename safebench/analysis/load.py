"""A submission as a small Python object: `safebench.load(folder)`.

The numbers are those of `safebench score`; the tables are pandas DataFrames, one row per number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.analysis.report import ScoreReport, make_report
from safebench.analysis.selection import Selection
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredResults, MeasuredRun, MeasuredScore, MeasuredStability
from safebench.card.results import Place, key_of
from safebench.errors import MissingDependencyError
from safebench.evidence.scoring import block_flips
from safebench.evidence.submission import Submission
from safebench.words import rounded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TABLES = (
    "outcomes",
    "scores",
    "runs",
    "changes",
    "components",
    "primary",
    "diagnostics",
    "projections",
    "flips",
    "doubts",
    "not_measured",
)
_PLACE = tuple(Place.model_fields)
_INTERVAL = ("estimate", "lower", "upper")
_MEASURE = (*_INTERVAL, "n", "method", "not_measured")
_CHANGE = ("change", "change_lower", "change_upper")
_CORRECTED = ("corrected", "corrected_lower", "corrected_upper", "judge_error")
"""A number corrected for judge error, and how it was made, or why there is none."""
_SEEDS_NEEDED = ("seeds_needed", "seeds_needed_lower", "seeds_needed_upper")
_NULLABLE = {
    "checkpoint",
    "training_seed",
    "generation_seed",
    "stability_seeds",
    "stability_pairs",
    *_SEEDS_NEEDED,
}
"""Columns of whole numbers in which a row may have none, as the base model has no seed."""


def load(folder: Path | str) -> LoadedSubmission:
    """Read the submission in a folder: its card.yaml and its outcomes.parquet.

    Raises:
        CardError: the card cannot be read, or is wrong at a place that is named.
        EvidenceError: the outcomes are absent, damaged or incomplete.
    """
    submission = Submission.read(Path(folder))
    _ = submission.outcomes  # what is wrong with them is an error of loading
    return LoadedSubmission(submission)


class LoadedSubmission:
    """A submission's numbers as tables.

    `card` and `results` are the models of the standard; `report` adds what `safebench score`
    prints, and `plot` draws the answer. The tables in TABLES are attributes: DataFrames, made when
    they are first asked for.
    """

    def __init__(self, submission: Submission, selection: Selection | None = None) -> None:
        self._submission = submission
        self._selection = selection or Selection()

    @property
    def card(self) -> Card:
        """The card."""
        return self._submission.card

    @property
    def folder(self) -> Path:
        """Where the submission lies."""
        return self._submission.folder

    def __repr__(self) -> str:
        lines = [f"<safebench submission {self.card.submission.id!r} in {str(self.folder)!r}"]
        for one in self.report.primaries:
            score, place = one.score, one.estimand
            where = "/".join(str(v) for v in (place.condition, place.checkpoint, place.decoding))
            trial = self.card.trials.get(place.task)
            reading = self.report.readings.get(key_of(place))
            lines.append(
                f"  {place.task} {place.construct} ({where}): {rounded(score.estimate, 3)} "
                f"[{rounded(score.lower, 3)}, {rounded(score.upper, 3)}], n = {score.n}"
                + (f", read as {reading.shown}" if reading is not None else "")
                + (f", trial: {trial}" if trial else "")
            )
        rows = self._submission.outcomes.num_rows
        lines.append(f"  {rows} outcomes; tables: {', '.join(TABLES)}>")
        return "\n".join(lines)

    @cached_property
    def report(self) -> ScoreReport:
        """Everything that `safebench score` prints."""
        return make_report(self._submission, self._selection)

    @property
    def results(self) -> MeasuredResults:
        """The card's section `results`, recomputed from the outcomes."""
        return self.report.results

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the changes from base with their intervals, seeds and readings.

        Into `axes` of matplotlib, or into a new figure; returns the axes. Of an untuned model, the
        scores.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            EvidenceError: no primary number was measured.
        """
        from safebench.analysis.figure import draw, new_axes

        return draw(self.report, new_axes() if axes is None else axes)

    def _trial(self, place: Place) -> dict[str, str | None]:
        """Return the column that says of a trial which prompts it was limited to."""
        return {"trial": self.card.trials.get(place.task)}

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """One row per judged response."""
        _pandas()
        found = _with_whole_numbers(self._submission.outcomes.to_pandas())
        wanted: dict[str, list[Any]] = {}
        for name, value in self._selection.given():
            wanted.setdefault(name, []).append(value)
        for name, values in wanted.items():
            held = found[name].isin(values)
            found = found[held | found[name].isna() if name == "checkpoint" else held]
        return found.reset_index(drop=True)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per combination that was measured."""
        plain = [n for n in MeasuredScore.model_fields if n not in ("runs", "stability")]
        stable = {f"stability_{name}": name for name in MeasuredStability.model_fields}
        rows = [
            self._trial(score)
            | {name: _reported(getattr(score, name)) for name in plain}
            | {column: getattr(score.stability, name, None) for column, name in stable.items()}
            | _corrected(self.report.corrections[key_of(score)].score)
            for score in self.results.scores
        ]
        return _frame(rows, (*plain, *stable, *_CORRECTED, "trial"))

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run: a training seed and repeat of a combination."""
        rows = [
            _place(score) | run.model_dump() | self._trial(score)
            for score in self.results.scores
            for run in score.runs
        ]
        return _frame(rows, (*_PLACE, *MeasuredRun.model_fields, "trial"))

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row per change from base."""
        changes = self.results.changes
        columns = (*(type(changes[0]).model_fields if changes else _PLACE), *_CORRECTED, "trial")
        rows = [
            change.model_dump()
            | _corrected(self.report.corrections[key_of(change)].change)
            | self._trial(change)
            for change in changes
        ]
        return _frame(rows, columns)

    @cached_property
    def components(self) -> pd.DataFrame:
        """One row per source of variation and variance it has a share of (`of`)."""
        whole = ("task", "construct", "judge", "condition")
        rows = [
            {name: getattr(one, name) for name in whole}
            | {"effect": effect.name, "levels": effect.levels, "fixed": effect.fixed, "of": of}
            | {"variance": effect.variance if of == "answers" else None}
            | _measure(effect.of_answers if of == "answers" else effect.of_runs)
            for one in self.report.variations
            for of in ("answers", "runs")
            for effect in one.effects
        ]
        return _frame(rows, (*whole, "effect", "levels", "fixed", "of", "variance", *_MEASURE))

    @cached_property
    def primary(self) -> pd.DataFrame:
        """One row per primary estimand."""
        rows = []
        for one in self.report.primaries:
            seeds = ("seeds", "seeds_lower", "seeds_upper")  # absent where nothing is measured
            needed = [getattr(one.seeds_needed, name, None) for name in seeds]
            change = [getattr(one.change, name, None) for name in _INTERVAL]
            rows.append(
                _place(one.estimand)
                | {name: getattr(one.score, name) for name in (*_INTERVAL, "n")}
                | dict(zip(_CHANGE, change, strict=True))
                | self._reading(one.estimand)
                | _corrected(self.report.corrections[key_of(one.estimand)].score)
                | dict(zip(_SEEDS_NEEDED, needed, strict=True))
                | self._trial(one.estimand)
            )
        columns = (
            *(*_PLACE, *_INTERVAL, "n", *_CORRECTED, *_CHANGE),
            *("read_as", "beyond_margin", *_SEEDS_NEEDED, "trial"),
        )
        return _frame(rows, columns)

    def _reading(self, place: Place) -> dict[str, Any]:
        found = self.report.readings.get(key_of(place))
        if found is None:
            return {}
        return {"read_as": found.word, "beyond_margin": found.is_beyond_margin}

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """One row per primary estimand and diagnostic."""
        rows = [
            _place(one.estimand) | {"diagnostic": name} | _measure(value)
            for one in self.report.primaries
            for name, value in (*one.diagnostics.items(), ("seed_share", one.seed_share))
        ]
        return _frame(rows, (*_PLACE, "diagnostic", *_MEASURE))

    @cached_property
    def projections(self) -> pd.DataFrame:
        """One row per primary estimand and design; the first is the design as it is."""
        rows = [
            _place(one.estimand) | vars(projection)
            for one in self.report.primaries
            if not isinstance(one.projections, NotMeasured)
            for projection in one.projections
        ]
        return _frame(rows, (*_PLACE, "seeds", "repeats", "prompts", "se", "lower", "upper"))

    @cached_property
    def flips(self) -> pd.DataFrame:
        """One row per prompt: how often its outcome differs between two training seeds."""
        pandas = _pandas()
        columns = (*_PLACE, "prompt_id", "category", "score", "flip_rate", "seeds")
        frames = []
        for block in self._submission.blocks:
            found = block_flips(block)
            if found is None or block.condition == "base" or not self._selection.holds(block):
                continue
            values: dict[str, Any] = {name: getattr(block, name) for name in _PLACE}
            values |= {
                "prompt_id": np.asarray(block.prompts, dtype=object),
                "category": np.asarray([c or None for c in block.categories], dtype=object),
                "score": block.scores.mean(axis=(0, 1)),
                "flip_rate": found.per_prompt,
                "seeds": found.n_runs,
            }
            frames.append(pandas.DataFrame(values, columns=columns))
        if not frames:
            return _frame([], columns)
        return _with_whole_numbers(pandas.concat(frames, ignore_index=True))

    @cached_property
    def doubts(self) -> pd.DataFrame:
        """What could make a reading wrong, that which could move a primary number most first."""
        columns = ("kind", "text", "moves", "is_measured", "remedy")
        return _frame([vars(doubt) for doubt in self.report.doubts], columns)

    @cached_property
    def not_measured(self) -> pd.DataFrame:
        """What these outcomes say nothing about, and why."""
        return _frame([vars(gap) for gap in self.report.not_measured], ("what", "reason"))


def _reported(value: Any) -> Any:
    """Return a field as a table has it: nothing where it is not reported."""
    return None if isinstance(value, NotReported) else value


def _place(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in _PLACE}


def _corrected(value: Measure | None) -> dict[str, Any]:
    if not isinstance(value, Number):
        return {"judge_error": None if value is None else value.reason}
    ends = (value.estimate, value.lower, value.upper, value.method)
    return dict(zip(_CORRECTED, ends, strict=True))


def _measure(value: Measure) -> dict[str, Any]:
    if isinstance(value, NotMeasured):
        return {"not_measured": value.reason}
    n = ", ".join(f"{count} {name}" for name, count in value.n.items())
    return {name: getattr(value, name) for name in (*_INTERVAL, "method")} | {"n": n}


def _frame(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    return _with_whole_numbers(_pandas().DataFrame(list(rows), columns=list(columns)))


def _with_whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which a seed that is absent does not make floats of the others."""
    return table.astype({name: "Int64" for name in table.columns if name in _NULLABLE})


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as problem:
        raise MissingDependencyError(
            "the tables of safebench.load need pandas, which is not installed",
            fix="pip install 'pandas>=2.2'",
        ) from problem
    return pandas
