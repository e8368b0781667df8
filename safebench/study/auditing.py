"""An audit of a submission's responses: drawn at random, labelled by people who see no verdict.

The responses behind the primary numbers, and the base model's beside them, can be drawn. Every
condition, task and construct gets the same number. Within these, each response has the same chance,
spread evenly over the judge's verdicts; or every verdict gets the same number, so that rare ones
are seen more often, and each response is weighted by how many it stands for.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from safebench.card.base import require
from safebench.card.judge import Calibration
from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import EvidenceError, InputError, RunError, visible
from safebench.evidence.audit import AUDIT_FILE, COLUMNS, KEY, read_audit
from safebench.evidence.columns import distinct
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import COUNTED
from safebench.files import replace_file, sha256_of
from safebench.judges.calibration import Agreement, Judged, agreements
from safebench.judges.labels import LABELS, Label, labels_csv, majority
from safebench.rows import At, from_spreadsheet, read_rows
from safebench.stats import cohen_kappa, krippendorff_alpha
from safebench.stats.agreement import CohenKappa, KrippendorffAlpha
from safebench.study.calibrating import store
from safebench.words import count

SCHEMA: Final = "safebench/audit/1"
DRAWN_FILE: Final = "audit/audit.json"
"""What was drawn, and how: the place of every response by its id on the sheet."""
SHEET: Final = ("id", "prompt", "response", "label")
Strata = Literal["task", "verdict"]


class Place(NamedTuple):
    """What identifies a response, in the order of `KEY`."""

    condition: Condition
    training_seed: int | None
    checkpoint: int | None
    decoding: str
    repeat: int
    task: str
    prompt_id: str


@dataclass(frozen=True)
class Drawn:
    """A response that is to be labelled."""

    id: str
    place: Place
    weight: float
    """How many responses it stands for: the inverse of its chance to be drawn."""
    prompt: str
    response: str


@dataclass(frozen=True)
class Sample:
    """Responses that are to be labelled, in the order of the sheet."""

    seed: int
    strata: Strata
    population: int
    """Responses they were drawn from."""
    rows: tuple[Drawn, ...]


def draw(
    submission: Submission,
    n: int,
    *,
    seed: int | None = None,
    strata: Strata = "task",
    everywhere: bool = False,
) -> Sample:
    """Draw responses of a submission; the same seed draws the same ones.

    Args:
        submission: Carries responses.
        n: How many, over everything; fewer where there are not so many.
        seed: Of the generator. By default it follows from the outcomes' digest, so that nobody
            chooses among samples.
        strata: `task`: every response of a condition and task has the same chance; `verdict`: every
            verdict of its primary judge gets the same number.
        everywhere: Draw from all checkpoints and decodings, not only those of the primary numbers.

    Raises:
        RunError: it carries no responses, or none that a judge of verdicts has judged.
        EvidenceError: the tables cannot be read.
    """
    responses = submission.responses
    if responses is None:
        raise RunError(
            f"{submission.folder}: carries no responses, and people need them to label anything",
            fix="ask its authors for responses.parquet",
        )
    seed = int(submission.outcomes_sha256[:8], 16) if seed is None else seed
    strata_of = _strata(submission, everywhere)
    columns = [responses.column(name).to_pylist() for name in (*KEY, "prompt", "response")]
    cells: dict[tuple[str, str, str], list[tuple[str, Place, str, str]]] = {}
    for row in zip(*columns, strict=True):
        place = Place(*row[: len(KEY)])
        for construct, verdict in strata_of.get(place, ()):
            entry = (verdict, place, row[-2], row[-1] or "")
            cells.setdefault((place.condition, place.task, construct), []).append(entry)
    if not cells:
        raise RunError(
            f"{submission.folder}: no response behind a primary number is judged by verdicts",
            fix="--everywhere draws from every checkpoint and decoding",
        )
    found: list[tuple[Place, float, str, str]] = []
    left = n
    # The smallest first: what it cannot give, the others do.
    for rest, (cell, rows) in enumerate(sorted(cells.items(), key=lambda item: len(item[1]))):
        share = min(left // (len(cells) - rest), len(rows))
        left -= share
        rng = np.random.default_rng([seed, zlib.crc32("/".join(cell).encode())])
        for at, weight in _chosen(rng, [row[0] for row in rows], share, strata):
            _, place, prompt, response = rows[at]
            found.append((place, weight, prompt, response))
    order = np.random.default_rng(seed).permutation(len(found))
    drawn = tuple(Drawn(f"r{i:04d}", *found[at]) for i, at in enumerate(order, start=1))
    return Sample(seed, strata, sum(map(len, cells.values())), drawn)


def _strata(submission: Submission, everywhere: bool) -> dict[Place, list[tuple[Construct, str]]]:
    """Return what each response may be drawn for: a construct, and the primary judge's verdict."""
    wanted: dict[tuple[Any, ...], None] = {}
    for one in submission.results.primary:
        wanted[one.task, one.construct, one.judge, one.decoding, one.checkpoint] = None
        wanted[one.task, one.construct, one.judge, one.decoding, None] = None
    found: dict[Place, list[tuple[Construct, str]]] = {}
    for block in submission.blocks:
        key = (block.task, block.construct, block.judge, block.decoding, block.checkpoint)
        whole = any(key[:3] == other[:3] for other in wanted)
        if block.construct not in COUNTED or not (key in wanted or (everywhere and whole)):
            continue
        for (s, r, p), verdict in np.ndenumerate(block.verdicts):
            place = Place(
                block.condition, block.seeds[s], block.checkpoint, block.decoding, r + 1,
                block.task, block.prompts[p],
            )  # fmt: skip
            found.setdefault(place, []).append((block.construct, str(verdict)))
    return found


def _chosen(
    rng: np.random.Generator, verdicts: Sequence[str], n: int, strata: Strata
) -> list[tuple[int, float]]:
    """Return the places of the drawn responses, and how many responses each stands for."""
    groups = {v: [at for at, own in enumerate(verdicts) if own == v] for v in sorted(set(verdicts))}
    shuffled = {v: [rows[i] for i in rng.permutation(len(rows))] for v, rows in groups.items()}
    if strata == "task" or n < len(groups):  # no verdict may be without a chance
        # Every (N/n)-th from a random start: each has the chance n/N, whatever its verdict.
        ordered = [at for rows in shuffled.values() for at in rows]
        places = np.floor((rng.random() + np.arange(n)) * len(ordered) / max(n, 1)).astype(int)
        return [(ordered[i], len(ordered) / n) for i in places]
    chosen, left = [], n
    for rest, rows in enumerate(sorted(shuffled.values(), key=len)):
        share = min(left // (len(shuffled) - rest), len(rows))
        left -= share
        chosen += [(at, len(rows) / share) for at in rows[:share]]
    return chosen


def write_sample(submission: Submission, sample: Sample) -> Path:
    """Write what was drawn and the sheet to be labelled; return the sheet.

    Raises:
        RunError: the submission has an audit already.
    """
    drawn, sheet = submission.path(DRAWN_FILE), submission.path(DRAWN_FILE).with_name("sheet.csv")
    if drawn.exists():
        raise RunError(
            f"{drawn}: there is an audit already, whose labels would be lost",
            fix="read its labels with --read, or move the folder elsewhere",
        )
    content = {
        "schema": SCHEMA,
        "seed": sample.seed,
        "strata": sample.strata,
        "population": sample.population,
        "outcomes_sha256": submission.outcomes_sha256,
        "rows": [
            {"id": one.id, **one.place._asdict(), "weight": one.weight} for one in sample.rows
        ],
    }
    replace_file(drawn, (json.dumps(content, indent=1) + "\n").encode())
    replace_file(sheet, labels_csv([vars(one) for one in sample.rows], SHEET))
    return sheet


@dataclass(frozen=True)
class Read:
    """Labels of an audit, and what they show about the raters and the judges."""

    raters: tuple[str, ...]
    drawn: int
    labelled: int
    undecided: int
    """Responses whose raters disagree, none in the majority."""
    kappa: CohenKappa | None
    """Of two raters."""
    alpha: KrippendorffAlpha | None
    """Of two raters or more."""
    judges: Mapping[str, list[Agreement]]
    entries: Mapping[str, list[Calibration]]


def read_sheets(
    submission: Submission, sheets: Sequence[Path], stands_for: Mapping[str, str] | None = None
) -> Read:
    """Read labelled sheets, one for each rater, and calibrate every judge of the submission.

    The labels are written without any text; the calibrations and both files go into the card.

    Raises:
        EvidenceError: there is no audit, or it is of other outcomes.
        InputError: a sheet is not of this audit; names the line.
        JudgeError: no judge gave a verdict on what was labelled.
    """
    drawn = _drawn(submission)
    rows = {row["id"]: row for row in drawn["rows"]}
    by_rater: dict[str, dict[str, str]] = {}
    for path in sheets:
        name = path.stem if path.stem not in by_rater else f"{path.stem} {len(by_rater) + 1}"
        by_rater[name] = _sheet(path, rows, stands_for or {})
    raters = tuple(by_rater)
    labels = {id: [by_rater[r][id] for r in raters if id in by_rater[r]] for id in rows}
    labels = {id: found for id, found in labels.items() if found}
    chosen = {id: majority(found) for id, found in labels.items()}
    named = {rater: f"rater {number}" for number, rater in enumerate(raters, start=1)}
    table = [
        {**rows[id], "label": label}
        | {column: by_rater[rater].get(id) for rater, column in named.items()}
        for id, label in chosen.items()
        if label is not None
    ]
    if not table:
        raise InputError("no response has a label that most raters gave", fix="label more of them")
    path = submission.path(AUDIT_FILE)
    replace_file(path, labels_csv(table, (*COLUMNS, *named.values())))
    judges = {name: agreements(items) for name, items in _judged(submission, path).items()}
    source = {
        "data": f"audit of {count(len(table), 'response')} drawn with seed {drawn['seed']}, "
        f"{count(len(raters), 'rater')}",
        "drawn": "random" if drawn["strata"] == "task" else "stratified",
        "labels_sha256": sha256_of(path),
        "same_prompts": True,
    }
    entries = {name: [one.entry(**source) for one in found] for name, found in judges.items()}
    file = submission.path(CARD_FILE)
    store(file, submission, entries, AUDIT_FILE, DRAWN_FILE)
    kappa, alpha = _between(rows, by_rater)
    undecided = sum(label is None for label in chosen.values())
    return Read(raters, len(rows), len(chosen), undecided, kappa, alpha, judges, entries)


def _drawn(submission: Submission) -> dict[str, Any]:
    path = submission.path(DRAWN_FILE)
    if not path.is_file():
        raise EvidenceError(
            f"{path}: there is no audit to read labels of",
            fix=f"draw one first: safebench judge audit {submission.folder}",
        )
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["schema"] != SCHEMA:
            raise ValueError(f"schema {found['schema']!r}")
        for row in found["rows"]:
            _ = row["id"], row["weight"], Place(**{name: row[name] for name in KEY})
        _ = found["seed"], found["strata"]
        outcomes = found["outcomes_sha256"]
    except (ValueError, KeyError, TypeError) as problem:
        raise EvidenceError(
            f"{path}: not what an audit wrote ({problem!r})", fix="restore the file"
        ) from problem
    if outcomes != submission.outcomes_sha256 and not _same_places(submission, found):
        raise EvidenceError(
            f"{path}: was drawn from other outcomes than outcomes.parquet",
            fix="draw another audit of these",
        )
    return found


def _same_places(submission: Submission, drawn: Mapping[str, Any]) -> bool:
    """Whether every response that was drawn is still there: judges may have been added since."""
    there = set(distinct(submission.outcomes, list(KEY)))
    return all(tuple(row[name] for name in KEY) in there for row in drawn["rows"])


def _sheet(path: Path, rows: Mapping[str, Any], stands_for: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, row in read_rows(path, InputError):
        if "id" not in row or "label" not in row:
            raise InputError(
                visible(f"{path}: no column `id` or `label`; it has {', '.join(map(str, row))}"),
                fix="give the sheet of the audit, saved with commas",
            )
        id, given = str(row["id"]).strip(), row["label"]
        given = "" if given is None else from_spreadsheet(str(given)).strip()
        label = stands_for.get(given, given)
        if id not in rows:
            raise InputError(
                f"{at}: {visible(repr(id))} is no response of this audit",
                fix="give the sheet that this audit wrote",
            )
        if id in found:
            raise InputError(f"{at}: a second label of {id}", fix="one file for each rater")
        if label and label not in LABELS:
            raise InputError(
                f"{at}: label {visible(repr(given[:60]))} is none of {', '.join(LABELS)}",
                fix=f"correct it, or say what it stands for: --label-map {given[:60]}=complied",
            )
        if label:
            found[id] = label
    if not found:
        raise InputError(f"{path}: no row has a label", fix=f"give each one of {', '.join(LABELS)}")
    return found


def _judged(submission: Submission, path: Path) -> dict[str, list[Judged]]:
    """Return the labels with the verdicts of each judge that gives verdicts."""
    labels = {Place(*one.key): one for one in read_audit(path)}
    listed = require(submission.card.judge, "judge")
    people = {judge.name for judge in listed if judge.kind == "human"}
    found: dict[str, list[Judged]] = {}
    for block in submission.blocks:
        if block.construct not in COUNTED or block.judge in people:
            continue  # labels are not compared with labels
        seeds = {seed: at for at, seed in enumerate(block.seeds)}
        prompts = {prompt: at for at, prompt in enumerate(block.prompts)}
        where = (block.condition, block.checkpoint, block.decoding, block.task)
        for number, (place, one) in enumerate(labels.items(), start=2):
            same = (place.condition, place.checkpoint, place.decoding, place.task) == where
            if not same or place.training_seed not in seeds or place.prompt_id not in prompts:
                continue
            at = seeds[place.training_seed], place.repeat - 1, prompts[place.prompt_id]
            label = Label(
                At(path, number),
                "",
                one.label,
                task=place.task,
                prompt_id=place.prompt_id,
                condition=place.condition,
                category=block.categories[at[2]] or None,
                weight=one.weight,
            )
            score = None if block.unread[at] else float(block.scores[at])
            item = Judged(label, block.construct, str(block.verdicts[at]), score, "these")
            found.setdefault(block.judge, []).append(item)
    return found


def _between(
    rows: Mapping[str, Any], by_rater: Mapping[str, Mapping[str, str]]
) -> tuple[CohenKappa | None, KrippendorffAlpha | None]:
    """Return how far raters agree on the label itself; None where there is one rater."""
    if len(by_rater) < 2:
        return None, None
    ratings = np.full((len(by_rater), len(rows)), np.nan)
    for at, labels in enumerate(by_rater.values()):
        for place, id in enumerate(rows):
            if id in labels:
                ratings[at, place] = LABELS.index(labels[id])
    both = ~np.isnan(ratings).any(axis=0)
    kappa = None
    if len(by_rater) == 2 and both.any():
        prompts = [f"{row['task']}/{row['prompt_id']}" for row in rows.values()]
        clusters = np.unique(prompts, return_inverse=True)[1][both]
        kappa = cohen_kappa(ratings[0, both], ratings[1, both], clusters)
    return kappa, krippendorff_alpha(ratings)
