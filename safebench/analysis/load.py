"""A submission as a small Python object: `safebench.load(folder)`.

The numbers are those of `safebench score`; the tables are pandas DataFrames, one row per number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from safebench.analysis.measures import Measure, NotMeasured
from safebench.analysis.report import ScoreReport, make_report
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.card.measured import MeasuredResults, MeasuredRun, MeasuredScore, MeasuredStability
from safebench.card.results import Place
from safebench.errors import MissingDependencyError
from safebench.evidence.arrays import outcome_arrays
from safebench.evidence.scoring import block_flips
from safebench.evidence.tables import read_outcomes
from safebench.words import rounded

if TYPE_CHECKING:
    import pandas as pd

_PLACE = tuple(Place.model_fields)
_MEASURE = ("estimate", "lower", "upper", "n", "method", "not_measured")
_WHOLE = (
    "checkpoint", "training_seed", "generation_seed", "stability_seeds", "stability_pairs",
)  # fmt: skip
"""Columns of whole numbers in which the base model has none."""
_TABLES = (
    "outcomes", "scores", "runs", "changes", "components", "primary", "diagnostics",
    "projections", "flips", "not_measured",
)  # fmt: skip


def load(folder: Path | str) -> Submission:
    """Read the submission in a folder: its card.yaml and its outcomes.parquet.

    Raises:
        CardError: the card cannot be read, or is wrong at a place that is named.
        EvidenceError: the outcomes are absent, damaged or incomplete.
    """
    where = Path(folder)
    return Submission(where, load_card(where / "card.yaml"), read_outcomes(where))


class Submission:
    """A card, its outcomes, and what they come to.

    `card` and `results` are the models of the standard; `report` adds what `safebench score`
    prints. Each table is a DataFrame, made when it is first asked for:

    outcomes      one row per judged response, as in outcomes.parquet
    scores        one row per combination that was measured, with interval, n and stability
    runs          one row per run score
    changes       one row per change from base
    components    one row per task and source of variation: shares with intervals
    primary       one row per primary estimand, with the seeds a rerun's verdict needs
    diagnostics   one row per primary estimand and diagnostic
    projections   one row per primary estimand and design
    flips         one row per prompt of every tuned combination with several seeds
    not_measured  what these outcomes say nothing about, and why
    """

    def __init__(self, folder: Path, card: Card, table: pa.Table) -> None:
        self.folder = folder
        self.card = card
        self._table = table

    def __repr__(self) -> str:
        lines = [f"<safebench submission {self.card.submission.id!r} in {str(self.folder)!r}"]
        for one in self.report.primaries:
            score, place = one.score, one.estimand
            where = "/".join(str(v) for v in (place.condition, place.checkpoint, place.decoding))
            lines.append(
                f"  {place.task} {place.construct} ({where}): {rounded(score.estimate, 3)} "
                f"[{rounded(score.lower, 3)}, {rounded(score.upper, 3)}], n = {score.n}"
                + (
                    f", trial: {self.card.trials[place.task]}"
                    if place.task in self.card.trials
                    else ""
                )
            )
        lines.append(f"  {self._table.num_rows} outcomes; tables: {', '.join(_TABLES)}>")
        return "\n".join(lines)

    @cached_property
    def report(self) -> ScoreReport:
        """Everything that `safebench score` prints."""
        return make_report(self.card, self._table)

    @property
    def results(self) -> MeasuredResults:
        """The card's section `results`, recomputed from the outcomes."""
        return self.report.results

    def _trial(self, place: Place) -> dict[str, str | None]:
        """Return the column that says of a trial which prompts it was limited to."""
        return {"trial": self.card.trials.get(place.task)}

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """One row per judged response."""
        _pandas()
        return _whole(self._table.to_pandas())

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per combination that was measured."""
        plain = [n for n in MeasuredScore.model_fields if n not in ("runs", "stability")]
        stable = tuple(MeasuredStability.model_fields)
        rows = [
            self._trial(score)
            | {name: _value(getattr(score, name)) for name in plain}
            | {f"stability_{name}": getattr(score.stability, name, None) for name in stable}
            for score in self.results.scores
        ]
        return _frame(rows, (*plain, *(f"stability_{name}" for name in stable), "trial"))

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
        columns = (*(type(changes[0]).model_fields if changes else _PLACE), "trial")
        return _frame([change.model_dump() | self._trial(change) for change in changes], columns)

    @cached_property
    def components(self) -> pd.DataFrame:
        """One row per source of variation and variance it has a share of (`of`)."""
        rows = [
            {
                "task": one.task,
                "construct": one.construct,
                "judge": one.judge,
                "condition": one.condition,
                "effect": effect.name,
                "levels": effect.levels,
                "fixed": effect.fixed,
                "of": of,
                "variance": effect.variance if of == "answers" else None,
            }
            | _measure(effect.of_answers if of == "answers" else effect.of_runs)
            for one in self.report.variations
            for of in ("answers", "runs")
            for effect in one.effects
        ]
        head = (
            "task",
            "construct",
            "judge",
            "condition",
            "effect",
            "levels",
            "fixed",
            "of",
            "variance",
        )
        return _frame(rows, (*head, *_MEASURE))

    @cached_property
    def primary(self) -> pd.DataFrame:
        """One row per primary estimand."""
        needs = ("seeds_needed", "seeds_needed_lower", "seeds_needed_upper")
        rows = []
        for one in self.report.primaries:
            needed = one.seeds_needed
            seeds = (
                (None, None, None)
                if isinstance(needed, NotMeasured)
                else (needed.seeds, needed.seeds_lower, needed.seeds_upper)
            )
            rows.append(
                _place(one.estimand)
                | {name: getattr(one.score, name) for name in ("estimate", "lower", "upper", "n")}
                | {
                    "change": None if one.change is None else one.change.estimate,
                    "change_lower": None if one.change is None else one.change.lower,
                    "change_upper": None if one.change is None else one.change.upper,
                }
                | dict(zip(needs, seeds, strict=True))
                | self._trial(one.estimand)
            )
        more = ("change", "change_lower", "change_upper")
        columns = (*_PLACE, "estimate", "lower", "upper", "n", *more, *needs, "trial")
        return _frame(rows, columns, whole=needs)

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
        for block in outcome_arrays(self._table):
            found = block_flips(block)
            if found is None or block.condition == "base":
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
        return _whole(pandas.concat(frames, ignore_index=True))

    @cached_property
    def not_measured(self) -> pd.DataFrame:
        """What these outcomes say nothing about, and why."""
        return _frame([vars(gap) for gap in self.report.not_measured], ("what", "reason"))


def _value(value: Any) -> Any:
    """Return a field as a table has it: nothing where it is not reported."""
    return None if isinstance(value, NotReported) else value


def _place(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in _PLACE}


def _measure(value: Measure) -> dict[str, Any]:
    if isinstance(value, NotMeasured):
        return {"not_measured": value.reason}
    n = ", ".join(f"{count} {name}" for name, count in value.n.items())
    found = {name: getattr(value, name) for name in ("estimate", "lower", "upper", "method")}
    return found | {"n": n}


def _frame(
    rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...], whole: tuple[str, ...] = ()
) -> pd.DataFrame:
    table = _pandas().DataFrame(list(rows), columns=list(columns))
    return _whole(table, whole)


def _whole(table: pd.DataFrame, more: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a table in which a seed or an epoch that is absent does not make floats of others."""
    kinds = {name: "Int64" for name in (*_WHOLE, *more) if name in table.columns}
    return table.astype(kinds)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as problem:
        raise MissingDependencyError(
            "the tables of safebench.load need pandas, which is not installed",
            fix="pip install 'pandas>=2.2'",
        ) from problem
    return pandas
