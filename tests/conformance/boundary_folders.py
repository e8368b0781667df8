"""Reports and submissions on either side of what each rule decides; plans are in boundaries.py."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from safebench.card.card import Card
from safebench.card.write import plain
from safebench.evidence.commitments import COMMITMENTS, Salts, commit
from safebench.evidence.tables import RESPONSES, make_table
from safebench.files import sha256_of
from tests.checks.forged import Forgery, Row
from tests.conformance.boundaries import (
    ARTEFACT,
    CALIBRATION,
    CLASSIFIER,
    CONTROL,
    DROP,
    UNKNOWN,
    Edits,
    More,
)
from tests.conformance.edits import COMMIT, OTHER, WEIGHTS
from tests.conformance.signed import spoil_signature, write_registered, write_signed

# Where the report's numbers stand: base and tuned, greedy first.
HARM_BASE, REFUSAL_BASE, ABLE_BASE, HARM, REFUSAL, ABLE, HARM_BASE_T07, HARM_T07 = (
    f"results.scores.{n}" for n in range(8)
)
HARM_CHANGE, REFUSAL_CHANGE, ABLE_CHANGE, HARM_T07_CHANGE = (
    f"results.changes.{n}" for n in range(4)
)


def plus(amount: float) -> Callable[[Any], Any]:
    """Return what adds to a value that stands there."""
    return lambda value: value + amount


PEOPLE: Row = {
    "name": "raters",
    "kind": "human",
    "id": "three students",
    "revision": "guide",
    "votes": 3,
}

# changes of the report of a third party, which has no evidence
REPORTS: dict[str, Edits] = {
    "SB-CARD-010/keeps-no-environment-and-says-so": {"environment": UNKNOWN},
    "levels/incomplete-no-environment": {"environment": DROP},
    "levels/incomplete-no-default-for-a-paper": {"hyperparameters.optimizer": DROP},
    "levels/incomplete-no-word-on-the-system-prompt": {"prompting.system_prompt": DROP},
    "levels/incomplete-a-bound-left-out": {f"{HARM_T07}.lower": DROP},
    "SB-CARD-003/breaks-null-for-n": {f"{HARM_BASE}.n": None},
    "SB-CARD-003/keeps-null-checkpoint": {f"{HARM_BASE}.checkpoint": None},
    "SB-MOD-003/breaks-one": {"model.weights.0": DROP},
    "SB-MOD-003/keeps-unknown": {"model.weights": UNKNOWN},
    "SB-MOD-003/breaks-another-condition": {"model.weights.1.condition": "control"},
    "SB-MOD-003/keeps-the-base-and-no-checkpoint": {
        f"{HARM_BASE}.checkpoint": 1,
        f"{HARM_BASE}.runs.0.training_seed": 7,
        f"{ABLE}.checkpoint": None,
    },
    "SB-MOD-003/keeps-a-run-of-an-unknown-seed": {
        "model.weights": lambda entries: sorted(entries, key=lambda e: e["training_seed"])[1:],
        f"{HARM}.runs.0.training_seed": UNKNOWN,
        f"{REFUSAL}.runs.0.training_seed": UNKNOWN,
        f"{ABLE}.runs.0.training_seed": UNKNOWN,
        f"{HARM_T07}.runs.0.training_seed": UNKNOWN,
        f"{HARM_T07}.runs.1.training_seed": UNKNOWN,
    },
    "SB-SEED-002/breaks-by-one-digit": {"seeds.training.1": plus(1)},
    "SB-SEED-002/keeps-unknown-seeds": {"seeds.training": UNKNOWN},
    "SB-SEED-002/breaks-in-another-order": {"seeds.training": lambda seeds: seeds[::-1]},
    "SB-SEED-002/breaks-after-another-protocol": {"hyperparameters.max_length": 129},
    "SB-SEED-002/keeps-beside-an-unknown-field": {"seeds.training.1": plus(1), "weather": "sunny"},
    "SB-SEED-003/breaks-by-one-digit": {"seeds.generation": plus(-1)},
    "SB-SEED-003/keeps-unknown": {"seeds.generation": UNKNOWN},
    # --- results
    "SB-RES-001/breaks-judge": {f"{HARM_CHANGE}.judge": "other"},
    "SB-RES-001/breaks-task": {f"{HARM_CHANGE}.task": "safebench_other"},
    "SB-RES-001/breaks-checkpoint": {f"{HARM_CHANGE}.checkpoint": 2},
    "SB-RES-001/breaks-in-primary": {"results.primary.0.decoding": "t10"},
    "SB-RES-001/breaks-in-scores": {f"{HARM_BASE_T07}.decoding": "t10"},
    "SB-RES-001/keeps-unknown-decodings": {
        "decoding": UNKNOWN,
        f"{HARM_CHANGE}.decoding": "t10",
    },
    "SB-RES-001/keeps-unknown-judges": {"judge": UNKNOWN, f"{HARM_CHANGE}.judge": "other"},
    "SB-RES-001/keeps-unknown-tasks": {"tasks": UNKNOWN, f"{HARM_CHANGE}.task": "other"},
    "SB-RES-001/keeps-unknown-checkpoints": {
        "hyperparameters.checkpoints": UNKNOWN,
        f"{HARM_CHANGE}.checkpoint": 2,
    },
    "SB-RES-001/breaks-checkpoint-of-nothing": {
        "hyperparameters": {"method": "none"},
        "data": [],
        "seeds.training": 1,
    },
    "SB-RES-002/keeps-in-tolerance": {f"{HARM_BASE}.lower": 0.2 + 0.9e-9},
    "SB-RES-002/breaks-tolerance": {f"{HARM_BASE}.lower": 0.2 + 1.1e-9},
    "SB-RES-002/keeps-in-tolerance-above": {f"{HARM_BASE}.upper": 0.2 - 0.9e-9},
    "SB-RES-002/breaks-tolerance-above": {f"{HARM_BASE}.upper": 0.2 - 1.1e-9},
    "SB-RES-002/breaks-beside-a-wrong-length": {
        f"{HARM_BASE}.lower": 0.3,
        "hyperparameters.max_length": "many",
    },
    "SB-RES-002/breaks-beside-an-unknown-field": {
        f"{HARM_BASE}.lower": 0.3,
        f"{HARM_BASE}.weather": "sunny",
    },
    "SB-RES-002/breaks-in-changes": {f"{HARM_CHANGE}.upper": -0.5, f"{HARM_CHANGE}.lower": -0.9},
    "SB-RES-002/keeps-unknown": {f"{HARM_BASE}.lower": UNKNOWN, f"{HARM_BASE}.upper": 0.1},
    "SB-RES-003/keeps-in-tolerance": {f"{HARM_BASE}.runs.0.score": 0.2 + 0.9e-9},
    "SB-RES-003/breaks-tolerance": {f"{HARM_BASE}.runs.0.score": 0.2 + 1.1e-9},
    "SB-RES-003/breaks-tolerance-below": {f"{HARM_BASE}.runs.0.score": 0.2 - 1.1e-9},
    "SB-RES-003/keeps-unknown": {
        f"{HARM_BASE}.runs.0.score": 0.9,
        f"{HARM_BASE}.runs.0.total": UNKNOWN,
    },
    "SB-RES-003/breaks-in-the-second": {f"{HARM}.runs.1.score": 0.9},
    "SB-RES-004/breaks-by-one": {f"{HARM_BASE}.n": 11},
    "SB-RES-004/breaks-below": {f"{HARM_BASE}.n": 9},
    "SB-RES-004/breaks-the-prompts": {f"{HARM_BASE}.prompts": 11},
    "SB-RES-004/breaks-one-run": {
        f"{HARM_T07}.runs.0.n": 9,
        f"{HARM_T07}.runs.1.n": 11,
        f"{HARM_T07}.runs.0.score": UNKNOWN,
        f"{HARM_T07}.runs.1.score": UNKNOWN,
    },
    "SB-RES-004/keeps-unknown": {f"{HARM_BASE}.n": UNKNOWN},
    "SB-RES-004/keeps-unknown-prompts": {f"{HARM_BASE}.prompts": UNKNOWN},
    "SB-RES-004/keeps-unknown-run": {f"{HARM_BASE}.n": 9, f"{HARM_BASE}.runs.0.n": UNKNOWN},
    "SB-RES-004/keeps-unknown-runs": {f"{HARM_BASE}.n": 9, f"{HARM_BASE}.runs": UNKNOWN},
    "SB-RES-004/keeps-no-runs": {f"{HARM_BASE}.n": 9, f"{HARM_BASE}.runs": []},
    "SB-RES-005/breaks-by-one": {f"{HARM}.runs.0.training_seed": plus(1)},
    "SB-RES-005/breaks-null": {f"{HARM}.runs.0.training_seed": None},
    "SB-RES-005/keeps-unknown": {f"{HARM}.runs.0.training_seed": UNKNOWN},
    "SB-RES-005/keeps-unknown-of-the-base": {f"{HARM_BASE}.runs.0.training_seed": UNKNOWN},
    "SB-RES-005/breaks-a-declared-seed-of-the-base": {
        f"{HARM_BASE}.runs.0.training_seed": 3576837086,
    },
    "SB-RES-005/keeps-unlisted": {
        "seeds.training": UNKNOWN,
        f"{HARM}.runs.0.training_seed": plus(1),
    },
    "SB-RES-006/keeps-in-tolerance": {f"{HARM_T07}.estimate": plus(0.9e-9)},
    "SB-RES-006/breaks-tolerance": {
        f"{HARM_T07}.estimate": plus(1.1e-9),
        HARM_T07_CHANGE: DROP,
    },
    "SB-RES-006/breaks-tolerance-below": {
        f"{HARM_T07}.estimate": plus(-1.1e-9),
        HARM_T07_CHANGE: DROP,
    },
    "SB-RES-006/keeps-unknown": {f"{HARM_T07}.estimate": UNKNOWN},
    "SB-RES-006/keeps-unknown-total": {
        f"{HARM_T07}.estimate": plus(0.01),
        f"{HARM_T07}.runs.0.total": UNKNOWN,
        HARM_T07_CHANGE: DROP,
    },
    "SB-RES-006/keeps-unknown-n": {
        f"{HARM_T07}.estimate": plus(0.01),
        f"{HARM_T07}.runs.0.n": UNKNOWN,
        HARM_T07_CHANGE: DROP,
    },
    "SB-RES-007/breaks-decoding": {"tasks.0.primary.decoding": "t07"},
    "SB-RES-007/breaks-judge": {"results.primary.0.judge": "other"},
    "SB-RES-007/breaks-checkpoint": {"results.primary.0.checkpoint": None},
    "SB-RES-007/keeps-unknown": {
        "tasks.0.primary": UNKNOWN,
        "results.primary.0.decoding": "t07",
    },
    "SB-RES-007/keeps-an-undeclared-task": {"results.primary.0.task": "other"},
    "SB-RES-008/breaks-in-primary": {"results.primary": lambda p: [*p, p[0]]},
    "SB-RES-008/breaks-in-changes": {"results.changes": lambda c: [*c, c[1]]},
    "SB-RES-008/breaks-with-another-number": {
        "results.scores": lambda s: [*s, {**s[0], "truncated": 0.05}],
    },
    "SB-RES-009/breaks-decoding": {
        "results.primary.1.decoding": "t07",
        "tasks.1.primary.decoding": "t07",
    },
    "SB-RES-009/keeps-another": {
        "results.primary.0.decoding": "t07",
        "tasks.0.primary.decoding": "t07",
    },
    "SB-RES-010/breaks-n": {f"{HARM_BASE}.n": UNKNOWN},
    "SB-RES-010/breaks-upper": {f"{HARM}.upper": UNKNOWN},
    "SB-RES-010/breaks-in-changes": {f"{HARM_CHANGE}.lower": UNKNOWN},
    "SB-RES-010/keeps-unknown-prompts": {f"{HARM_BASE}.prompts": UNKNOWN},
    "SB-RES-011/breaks-base": {
        f"{HARM_BASE}.runs": lambda runs: runs * 2,
        f"{HARM_BASE}.n": 20,
    },
    "SB-RES-011/breaks-tuned": {
        f"{HARM}.runs": lambda runs: [*runs, runs[0]],
        f"{HARM}.n": UNKNOWN,
        f"{HARM}.estimate": UNKNOWN,
    },
    "SB-RES-011/keeps-unknown-seeds": {
        f"{HARM}.runs.0.training_seed": UNKNOWN,
        f"{HARM}.runs.1.training_seed": UNKNOWN,
    },
    "SB-RES-011/keeps-unknown-repeats": {
        f"{HARM_T07}.runs.0.repeat": UNKNOWN,
        f"{HARM_T07}.runs.1.repeat": UNKNOWN,
    },
    "SB-RES-012/breaks-one": {f"{HARM}.runs.0": DROP},
    "SB-RES-012/keeps-unknown": {f"{HARM}.runs.0.training_seed": UNKNOWN},
    "SB-RES-012/keeps-unknown-runs": {f"{HARM}.runs": UNKNOWN},
    "SB-RES-012/breaks-no-runs": {f"{HARM}.runs": []},
    "SB-RES-013/breaks-one-less": {"decoding.1.repeats": 3},
    "SB-RES-013/breaks-one-more": {"decoding.1.repeats": 1},
    "SB-RES-013/breaks-from-0": {f"{HARM_T07}.runs.0.repeat": 3},
    "SB-RES-013/keeps-unknown": {f"{HARM_T07}.runs.1.repeat": UNKNOWN},
    "SB-RES-013/keeps-unknown-number": {"decoding.1.repeats": UNKNOWN},
    "SB-RES-013/keeps-unknown-runs": {f"{HARM_T07}.runs": UNKNOWN},
    "SB-RES-014/keeps-in-tolerance": {f"{HARM_CHANGE}.estimate": plus(0.9e-9)},
    "SB-RES-014/breaks-tolerance": {f"{HARM_CHANGE}.estimate": plus(1.1e-9)},
    "SB-RES-014/breaks-tolerance-below": {f"{HARM_CHANGE}.estimate": plus(-1.1e-9)},
    "SB-RES-014/keeps-unknown": {f"{HARM_CHANGE}.estimate": UNKNOWN},
    "SB-RES-014/keeps-unknown-base": {
        f"{HARM_BASE}.estimate": UNKNOWN,
        f"{HARM_CHANGE}.estimate": plus(0.01),
    },
    "SB-RES-014/keeps-unknown-score": {
        f"{HARM}.estimate": UNKNOWN,
        f"{HARM_CHANGE}.estimate": plus(0.01),
    },
    "SB-RES-015/keeps-all": {f"{HARM_CHANGE}.seeds_up": 2, f"{HARM_CHANGE}.seeds_down": 1},
    "SB-RES-015/breaks-by-one": {f"{HARM_CHANGE}.seeds_up": 2, f"{HARM_CHANGE}.seeds_down": 2},
    "SB-RES-015/keeps-fewer": {f"{HARM_CHANGE}.seeds_up": 1, f"{HARM_CHANGE}.seeds_down": 1},
    "SB-RES-015/keeps-unknown": {
        f"{HARM_CHANGE}.seeds_up": 9,
        f"{HARM_CHANGE}.seeds_down": UNKNOWN,
    },
    "SB-RES-015/keeps-unknown-seeds": {
        f"{HARM_CHANGE}.seeds_up": 9,
        f"{HARM_CHANGE}.seeds": UNKNOWN,
    },
    "SB-RES-016/breaks-t07": {HARM_BASE_T07: DROP, HARM_T07_CHANGE: DROP},
    "SB-RES-016/keeps-base-alone": {HARM_T07: DROP, HARM_T07_CHANGE: DROP},
    "SB-RES-017/keeps-in-tolerance": {f"{HARM}.stability.margin": 0.1 + 0.9e-9},
    "SB-RES-017/breaks-tolerance": {f"{HARM}.stability.margin": 0.1 + 1.1e-9},
    "SB-RES-017/breaks-tolerance-below": {f"{HARM}.stability.margin": 0.1 - 1.1e-9},
    "SB-RES-017/keeps-unknown-margin": {f"{HARM}.stability.margin": UNKNOWN},
    "SB-RES-017/breaks-4-seeds": {f"{HARM}.stability.seeds": 4},
    "SB-RES-017/breaks-2-seeds": {f"{HARM}.stability.seeds": 2},
    "SB-RES-017/keeps-unknown": {f"{HARM}.stability": UNKNOWN},
    "SB-RES-017/keeps-lower-at-the-cap": {f"{HARM}.stability.lower": 0.05 ** (2 / 3)},
    "SB-RES-017/breaks-lower-above-the-cap": {f"{HARM}.stability.lower": 0.05 ** (2 / 3) + 1e-6},
    "SB-RES-017/keeps-unknown-runs": {f"{HARM}.stability.seeds": 4, f"{HARM}.runs": UNKNOWN},
    "SB-RES-017/keeps-an-unknown-run": {
        f"{HARM}.stability.seeds": 4,
        f"{HARM}.runs.0.training_seed": UNKNOWN,
    },
    "SB-RES-017/keeps-unknown-seeds": {f"{HARM}.stability.seeds": UNKNOWN},
    "SB-RES-018/keeps-a-tenth": {f"{HARM}.truncated": 0.1},
    "SB-RES-018/breaks-a-tenth": {f"{HARM}.truncated": 0.101},
    "SB-RES-018/breaks-of-the-base": {f"{HARM_BASE}.truncated": 0.101},
    "SB-RES-018/keeps-what-is-not-primary": {f"{HARM_T07}.truncated": 0.5},
    "SB-RES-018/keeps-unknown": {f"{HARM}.truncated": UNKNOWN},
    "SB-EVI-002/breaks-a-first-party": {"submission.relationship": "first_party"},
    "SB-EVI-002/keeps-a-third-party": {},
    "SB-SUB-004/breaks-in-a-report": ARTEFACT,
    "SB-HYP-001/breaks-in-a-report": {"hyperparameters.checkpoints": [1, 2]},
    "SB-DEC-009/breaks-in-a-report": {"decoding.1.temperature": 2.5},
    "SB-JUD-001/breaks-in-a-report": {"judge.0.primary": DROP},
    "SB-TASK-003/breaks-in-a-report": {"tasks.1": DROP},
    "SB-TASK-010/breaks-in-a-report": {"tasks.1.direction": "higher_is_better"},
    "SB-DATA-004/breaks-in-a-report": {"data.0.revision": "main"},
    "SB-DATA-001/breaks-in-a-report": {"data": []},
}


# --- submissions ---------------------------------------------------------------------------------

Change = Callable[[Forgery], Any]
FOLDERS: dict[str, Change] = {}
"""Changes after which digests, rows and numbers are made to follow."""
AFTERWARDS: dict[str, Change] = {}
"""Changes after which nothing follows."""


def _is(row: Row, **wanted: Any) -> bool:
    return all(row[name] == value for name, value in wanted.items())


def _each(name: str, change: Callable[[Row], Row | None], *tables: str) -> None:
    """Declare a change of rows: of the outcomes, the responses, or both."""

    def changed(f: Forgery) -> None:
        for table in tables or ("outcomes", "responses"):
            rows = [new for row in getattr(f, table) if (new := change(dict(row))) is not None]
            setattr(f, table, rows)

    FOLDERS[name] = changed


def _edit(name: str, change: Callable[[Row], Any]) -> None:
    FOLDERS[name] = lambda f: change(f.card)


def _after(name: str, change: Callable[[Row], Any]) -> None:
    AFTERWARDS[name] = lambda f: change(f.card)


def _calibrated(n: Any = 100, kappa: Any = 0.6, **other: Any) -> Callable[[Row], None]:
    def changed(card: Row) -> None:
        entry = {**CALIBRATION, "n": n, "kappa": kappa}
        card["judge"][0]["calibration"] = [
            {**entry, "condition": "base"},
            {**entry, **other},
        ]

    return changed


def _declared(card: Row) -> None:
    """Say that seeds were declared, so that another protocol has no other seeds."""
    seeds = card["seeds"]
    card["seeds"] = {"scheme": "declared", "origin": "drawn before this card"} | {
        name: seeds[name] for name in ("training", "generation", "controls")
    }


def _number(f: Row, **wanted: Any) -> Row:
    found: Row = next(s for s in f["results"]["scores"] if _is(s, **wanted))
    return found


_edit("levels/evidenced", lambda c: None)
_edit("levels/replicated", _calibrated())
_edit("levels/evidenced-99-labels", _calibrated(n=99))
_edit("levels/evidenced-kappa-.599", _calibrated(kappa=0.599))
_edit("levels/evidenced-unknown-kappa", _calibrated(kappa=UNKNOWN))
_edit("levels/evidenced-unknown-labels", _calibrated(n=UNKNOWN))
_edit("levels/evidenced-other-outputs", _calibrated(outputs="other"))
_edit("levels/evidenced-no-tuned-labels", _calibrated(condition="control"))
_edit(
    "levels/replicated-a-second-judge-without-labels",
    lambda c: (
        _calibrated()(c),
        _declared(c),
        c["judge"].append(PEOPLE),
    ),
)
_edit("levels/incomplete-unknown-judge", lambda c: (_declared(c), c.update(judge=UNKNOWN)))
_after(
    "levels/declared",
    lambda c: (
        c.pop("evidence"),
        c["submission"].update(relationship="third_party"),
        c.update(said_in_full(c)),
    ),
)
_after("levels/incomplete-an-error", lambda c: c["results"]["scores"][0].update(n=9))
_after(
    "levels/incomplete-a-field",
    lambda c: (_calibrated()(c), c["environment"].update(device=UNKNOWN)),
)


def _one_seed_less(f: Forgery) -> None:
    _calibrated()(f.card)
    lost = f.card["seeds"]["training"].pop()
    f.outcomes = [row for row in f.outcomes if row["training_seed"] != lost]
    f.responses = [row for row in f.responses if row["training_seed"] != lost]
    f.card["evidence"]["runs"].pop()
    f.card["model"]["weights"].pop()
    f.journal = f.journal[:-1]


FOLDERS["levels/evidenced-2-seeds"] = _one_seed_less


def _no_capability(f: Forgery) -> None:
    _calibrated()(f.card)
    _declared(f.card)
    f.card["tasks"].pop()
    f.outcomes = [row for row in f.outcomes if row["construct"] != "capability"]
    f.responses = [row for row in f.responses if row["task"] != "safebench_capability"]


FOLDERS["levels/evidenced-no-capability"] = _no_capability


def _greedy_alone(f: Forgery) -> None:
    _calibrated()(f.card)
    _declared(f.card)
    f.card["decoding"].pop()
    f.outcomes = [row for row in f.outcomes if row["decoding"] == "greedy"]


FOLDERS["levels/evidenced-greedy-alone"] = _greedy_alone


def _artefact(f: Forgery, *, tuned: bool = False, repeats: int = 3) -> None:
    """Make released weights of it, or the base model alone: one run, sampled some times."""
    _calibrated()(f.card)
    _declared(f.card)
    card, seed = f.card, f.card["seeds"]["training"][0]
    card["submission"]["object"] = "artefact"
    card["seeds"]["training"] = [seed]
    card["decoding"][1]["repeats"] = repeats
    for task in card["tasks"]:
        task["primary"]["decoding"] = "t07"
    for entries in (card["evidence"]["runs"], card["model"]["weights"], f.outcomes):
        entries[:] = [one for one in entries if one["training_seed"] in (None, seed)]
    if not tuned:
        card.update(hyperparameters={"method": "none"}, data=[])
        del card["model"]["weights"]
        card["judge"][0]["calibration"].pop()
        for task in card["tasks"]:
            del task["primary"]["checkpoint"]
        for entries in (card["evidence"]["runs"], f.outcomes):
            entries[:] = [one for one in entries if one["condition"] == "base"]
    if repeats == 3:
        f.outcomes += [row | {"repeat": 3} for row in f.outcomes if row["repeat"] == 2]


FOLDERS["levels/replicated-the-base-model-alone"] = _artefact
FOLDERS["levels/evidenced-2-repeats"] = lambda f: _artefact(f, repeats=2)
FOLDERS["levels/evidenced-an-artefact-of-unrated-stability"] = lambda f: _artefact(f, tuned=True)

# --- numbers against outcomes
for _name, _values in {
    "estimate": {"estimate": 0.200000001},
    "interval": {"upper": 0.6},
    "n": {"n": 11},
    "prompts": {"prompts": 11},
    "truncated": {"truncated": 0.05},
    "bound": {"bound": 0.3},
    "unknown-estimate": {"estimate": UNKNOWN},
    "no-runs": {"runs": []},
    "unknown-runs": {"runs": UNKNOWN},
    "method": {"method": "exact, and approved by everybody"},
}.items():
    _after(
        f"SB-EVI-008/breaks-{_name}",
        lambda c, values=_values: _number(c, construct="harm", condition="base").update(values),
    )
_after(
    "SB-EVI-008/keeps-unknown-method", lambda c: _number(c, construct="harm").update(method=UNKNOWN)
)
_after(
    "SB-EVI-008/breaks-stability",
    lambda c: _number(c, construct="harm", condition="tuned")["stability"].update(lower=0.9),
)
_after("SB-EVI-008/breaks-change", lambda c: c["results"]["changes"][0].update(seeds_up=1))
_after("SB-EVI-008/breaks-change-interval", lambda c: c["results"]["changes"][0].update(lower=-1))
_after("SB-EVI-008/breaks-a-score-left-out", lambda c: c["results"]["scores"].pop())
_after("SB-EVI-008/breaks-a-change-left-out", lambda c: c["results"]["changes"].pop())
_after(
    "SB-EVI-008/breaks-a-run",
    lambda c: _number(c, construct="harm", condition="tuned")["runs"][0].update(total=9.0),
)
_after("SB-EVI-008/keeps-another-order", lambda c: c["results"]["scores"].reverse())
_after(
    "SB-EVI-008/breaks-an-additional-score",
    lambda c: c["results"]["scores"].append({**c["results"]["scores"][0], "judge": "other"}),
)


def _half_a_harm(row: Row) -> Row:
    return row | {"score": 0.5} if _is(row, verdict="complied", construct="harm") else row


def _half_a_harm_and_other_numbers(f: Forgery) -> None:
    f.outcomes = [_half_a_harm(row) for row in f.outcomes]
    f.write()
    f.card["results"]["scores"][0]["estimate"] = 0.123


AFTERWARDS["SB-EVI-008/keeps-beside-rows-that-are-wrong"] = _half_a_harm_and_other_numbers


def _a_row_dropped(f: Forgery) -> None:
    kept = f.card["results"]
    f.outcomes = f.outcomes[1:]
    f.write()
    f.card["results"] = kept


def _a_row_and_results_dropped(f: Forgery) -> None:
    f.outcomes = f.outcomes[1:]
    f.write()
    del f.card["results"]


AFTERWARDS["SB-EVI-009/keeps-no-results"] = _a_row_and_results_dropped
AFTERWARDS["SB-EVI-009/breaks-a-row-left-out"] = _a_row_dropped
_each("SB-EVI-009/breaks-no-rows", lambda r: None)


def _without(name: str) -> Change:
    def changed(f: Forgery) -> None:
        f.write()
        (f.folder / name).unlink()

    return changed


def _text(name: str, text: str) -> Change:
    return lambda f: (f.folder / name).write_text(text)


AFTERWARDS["SB-EVI-007/breaks-no-manifest-at-all"] = _text("manifest.json", "[]")
_after("SB-EVI-001/breaks-no-results", lambda c: c.pop("results"))
_after("SB-EVI-002/keeps-evidence", lambda c: None)
_after(
    "SB-EVI-003/breaks-absolute",
    lambda c: c["evidence"]["files"].append({"path": "/notes.txt", "sha256": WEIGHTS}),
)
_after(
    "SB-EVI-004/breaks-two",
    lambda c: c["evidence"]["files"].extend(
        [{"path": "a.txt", "sha256": WEIGHTS}, {"path": "b.txt", "sha256": WEIGHTS}]
    ),
)
_after("SB-EVI-005/breaks-by-one-digit", lambda c: c["evidence"]["files"][0].update(sha256=WEIGHTS))
_after(
    "SB-EVI-006/breaks-by-one",
    lambda c: next(f for f in c["evidence"]["files"] if f.get("rows")).update(rows=361),
)
_after(
    "SB-EVI-010/breaks-no-outcomes-listed",
    lambda c: c["evidence"].update(
        files=[f for f in c["evidence"]["files"] if f["path"] != "outcomes.parquet"]
    ),
)
_after("SB-EVI-011/breaks-a-recipe", lambda c: c["submission"].update(relationship="third_party"))
_after(
    "SB-EVI-011/keeps-an-artefact",
    lambda c: c["submission"].update(relationship="third_party", object="artefact"),
)


def _reruns(*reruns: Row) -> Callable[[Row], None]:
    def changed(card: Row) -> None:
        card["evidence"]["reruns"] = [
            {
                "id": f"rerun-{n}",
                "kind": "retrain",
                "organisation": "Another Lab",
                "sha256": f"{n}" * 64,
                "training_seeds": [n],
                "verdict": "reproduced",
                **rerun,
            }
            for n, rerun in enumerate(reruns, start=1)
        ]

    return changed


_after("SB-EVI-012/keeps-two", _reruns({}, {}))
_after("SB-EVI-012/breaks-the-same-outcomes", _reruns({}, {"sha256": "1" * 64}))
_after("SB-EVI-012/keeps-unknown-outcomes", _reruns({"sha256": UNKNOWN}, {"sha256": UNKNOWN}))
_after(
    "SB-EVI-012/breaks-both", _reruns({}, {"id": "rerun-1", "sha256": "1" * 64}, {"id": "rerun-1"})
)
_after("SB-EVI-013/keeps-regenerated", _reruns({"kind": "regenerate"}, {"training_seeds": [1]}))
_after("SB-EVI-013/breaks-another-rerun", _reruns({}, {"training_seeds": [1]}))
_after(
    "SB-EVI-013/breaks-the-original",
    lambda c: _reruns({"training_seeds": [7, c["seeds"]["training"][0]]})(c),
)
_after("SB-EVI-013/keeps-unknown", _reruns({"training_seeds": UNKNOWN}, {}))


def _ended(status: str, **more: Any) -> Change:
    """Return a change that loses the last seed, and says how in journal and card."""

    def changed(f: Forgery) -> None:
        lost = f.card["seeds"]["training"][-1]
        for table in ("outcomes", "responses"):
            setattr(f, table, [r for r in getattr(f, table) if r["training_seed"] != lost])
        f.card["model"]["weights"].pop()
        f.card["evidence"]["runs"][-1] |= {"status": status, **more}
        f.journal.append(
            {"event": status, "condition": "tuned", "training_seed": lost, "reason": "collapsed"}
        )

    return changed


FOLDERS["SB-EVI-014/keeps-a-reason"] = _ended("failed", reason="collapsed")
FOLDERS["SB-EVI-014/breaks-failed"] = _ended("failed")
FOLDERS["SB-EVI-014/breaks-withdrawn"] = _ended("withdrawn")
FOLDERS["SB-EVI-014/keeps-an-unknown-reason"] = _ended("failed", reason=UNKNOWN)
_after("SB-EVI-015/keeps-unknown", lambda c: c["evidence"].update(runs=UNKNOWN))
_after(
    "SB-EVI-015/breaks-another-condition",
    lambda c: c["evidence"]["runs"][1].update(condition="control"),
)
_after("SB-EVI-016/breaks-public", lambda c: c["evidence"].update(response_policy="public"))


def _public_capability(f: Forgery) -> None:
    f.card["tasks"] = f.card["tasks"][2:]
    f.outcomes = [row for row in f.outcomes if row["construct"] == "capability"]
    f.responses = [row for row in f.responses if row["task"] == "safebench_capability"]
    f.card["evidence"]["response_policy"] = "public"


FOLDERS["SB-EVI-016/keeps-harmless"] = _public_capability

# --- rows
_each("SB-EVI-017/breaks-verdict", lambda r: r | {"verdict": "harmless"}, "outcomes")
_each(
    "SB-EVI-017/breaks-base-with-a-seed",
    lambda r: r | {"training_seed": 7} if _is(r, condition="base") else r,
)
_each(
    "SB-EVI-018/breaks-half-a-harm",
    _half_a_harm,
    "outcomes",
)
_each(
    "SB-EVI-018/breaks-no-verdict",
    lambda r: r | {"verdict": None} if _is(r, construct="harm") else r,
    "outcomes",
)

# --- the grid
_each("SB-EVI-019/breaks-a-repeat", lambda r: None if _is(r, repeat=2) else r)
_each("SB-EVI-019/breaks-repeat-1-of-2", lambda r: None if _is(r, decoding="t07", repeat=1) else r)
_each(
    "SB-EVI-019/breaks-base-at-t07",
    lambda r: None if _is(r, decoding="t07", condition="base") else r,
)
_each("SB-EVI-019/keeps-no-base", lambda r: None if _is(r, condition="base") else r)


def _unknown_repeats(f: Forgery) -> None:
    f.card["decoding"][1].update(repeats=UNKNOWN)
    f.outcomes = [row for row in f.outcomes if not _is(row, decoding="t07", repeat=1)]


FOLDERS["SB-EVI-019/keeps-unknown-repeats"] = _unknown_repeats
_edit(
    "SB-EVI-019/breaks-a-judge",
    lambda c: c["judge"].append({**c["judge"][0], "name": "second", "primary": False}),
)
_edit(
    "SB-EVI-019/keeps-people",
    lambda c: c["judge"].append(PEOPLE),
)
_edit(
    "SB-EVI-019/keeps-a-judge-of-severity",
    lambda c: c["judge"].append({**CLASSIFIER, "constructs": ["severity"]}),
)
_edit(
    "SB-EVI-019/breaks-a-judge-of-harm",
    lambda c: c["judge"].append({**CLASSIFIER, "constructs": ["harm"]}),
)


def _a_judge_of_one_task(f: Forgery) -> None:
    f.card["judge"].append(CLASSIFIER)
    f.outcomes += [
        row | {"judge": "classifier"} for row in f.outcomes if row["construct"] == "over_refusal"
    ]


FOLDERS["SB-EVI-019/keeps-a-judge-of-one-task"] = _a_judge_of_one_task
_edit("SB-EVI-019/breaks-a-control", lambda c: c["data"].append(CONTROL))
_edit(
    "SB-EVI-019/breaks-another-task",
    lambda c: c["tasks"].append({**c["tasks"][0], "name": "my_task"}),
)
_edit(
    "SB-EVI-019/keeps-a-task-of-two-constructs",
    lambda c: c["tasks"][0].update(name="safebench_harm", construct=["harm", "over_refusal"]),
)
_edit(
    "SB-EVI-019/breaks-two-constructs-without-limit",
    lambda c: (
        c["tasks"][0].update(construct=["harm", "over_refusal"]),
        c["tasks"][0].pop("limit"),
    ),
)
_edit(
    "SB-EVI-019/breaks-a-judge-of-two-constructs",
    lambda c: (
        c["tasks"][0].update(construct=["harm", "over_refusal"]),
        c["judge"].append({**CLASSIFIER, "constructs": ["harm"]}),
    ),
)
_edit(
    "SB-EVI-019/keeps-a-task-of-unknown-construct",
    lambda c: c["tasks"].append({"name": "my_task"}),
)
_edit("SB-EVI-019/keeps-unlisted-seeds", lambda c: c["seeds"].update(training=UNKNOWN))
FOLDERS["SB-EVI-019/keeps-a-lost-seed"] = _ended("failed", reason="collapsed")
FOLDERS["SB-EVI-019/breaks-a-lost-seed-that-finished"] = _ended("finished")
_each(
    "SB-EVI-019/keeps-a-rerun-of-the-primaries", lambda r: r if _is(r, decoding="greedy") else None
)
_each(
    "SB-EVI-019/breaks-a-rerun-of-less",
    lambda r: r if r["condition"] == "base" or _is(r, decoding="t07") else None,
)
for _name in ("SB-EVI-019/keeps-a-rerun-of-the-primaries", "SB-EVI-019/breaks-a-rerun-of-less"):
    FOLDERS[_name] = lambda f, change=FOLDERS[_name]: (  # type: ignore[misc]
        f.card["seeds"].update(series="rerun"),
        f.card["hyperparameters"].update(epochs=2, checkpoints=[1, 2]),
        f.card["tasks"][2].update(primary=UNKNOWN),
        change(f),
    )[-1]

# --- prompts
_edit("SB-EVI-020/breaks-one-prompt-more", lambda c: c["tasks"][0].update(prompts=11))
_edit("SB-EVI-020/breaks-one-prompt-less", lambda c: c["tasks"][0].update(prompts=9))
_edit(
    "SB-EVI-020/breaks-a-limit-of-one-less",
    lambda c: c["tasks"][0].update(limit=9, dataset_sha256=UNKNOWN),
)
_edit("SB-EVI-020/breaks-the-limit-of-one-more", lambda c: c["tasks"][0].update(limit=11))
_edit("SB-EVI-020/breaks-no-limit", lambda c: c["tasks"][0].pop("limit"))
_edit("SB-EVI-020/keeps-unknown-prompts", lambda c: c["tasks"][0].update(prompts=UNKNOWN))
_edit("SB-EVI-020/breaks-another-digest", lambda c: c["tasks"][0].update(dataset_sha256=OTHER))
_edit(
    "SB-EVI-020/breaks-whatever-the-path",
    lambda c: c["tasks"][0].update(dataset_sha256=OTHER, path="nowhere.csv"),
)
_edit(
    "SB-EVI-020/keeps-another-version",
    lambda c: c["tasks"][0].update(dataset_sha256=OTHER, version="0.9"),
)
_edit("SB-EVI-020/keeps-an-unknown-digest", lambda c: c["tasks"][0].update(dataset_sha256=UNKNOWN))


def _copied(**fields: Any) -> Change:
    """Return a change that measures a published task, of which another copy lies there."""

    def changed(f: Forgery) -> None:
        task = f.card["tasks"][0]
        for row in f.outcomes:
            if row["task"] == task["name"]:
                row["task"] = "safebench_advbench"
        task.update(name="safebench_advbench", path="advbench.csv", version="1.0", **fields)
        (f.folder / "advbench.csv").write_text("prompt\n" + "How are cakes made?\n")

    return changed


FOLDERS["SB-EVI-020/breaks-another-copy"] = _copied(dataset_sha256=UNKNOWN)
FOLDERS["SB-EVI-020/keeps-a-copy-of-another-digest"] = _copied()
_each("SB-EVI-020/breaks-renamed", lambda r: r | {"prompt_id": f"my-{r['prompt_id']}"})
_each(
    "SB-EVI-020/breaks-another-construct",
    lambda r: (
        r
        | {
            "construct": "over_refusal",
            "score": float(r["verdict"] == "refused"),
        }
        if _is(r, prompt_id="harm-001")
        else r
    ),
    "outcomes",
)


def _severe(f: Forgery) -> None:
    """Judge severity too, of harm: the prompts stay those of harm."""
    f.card["judge"].append({**CLASSIFIER, "constructs": ["severity"]})
    f.outcomes += [
        {**row, "construct": "severity", "judge": "classifier", "verdict": None, "score": 0.25}
        for row in f.outcomes
        if row["construct"] == "harm"
    ]


FOLDERS["SB-EVI-020/keeps-severity"] = _severe


def _severe_capability(f: Forgery) -> None:
    f.card["judge"].append({**CLASSIFIER, "constructs": ["severity"]})
    f.outcomes += [
        {**row, "construct": "severity", "judge": "classifier", "verdict": None, "score": 0.25}
        for row in f.outcomes
        if row["construct"] == "capability"
    ]


FOLDERS["SB-EVI-020/breaks-severity-of-capability"] = _severe_capability

# --- noise
_each(
    "SB-EVI-021/breaks-greedy-with-noise",
    lambda r: r | {"generation_seed": 7} if _is(r, decoding="greedy") else r,
)
FOLDERS["SB-EVI-021/breaks-greedy-with-noise-of-unknown-seed"] = lambda f: (
    f.card["seeds"].update(generation=UNKNOWN),
    FOLDERS["SB-EVI-021/breaks-greedy-with-noise"](f),
)
_each("SB-EVI-021/keeps-no-seed", lambda r: r | {"generation_seed": None})
_each(
    "SB-EVI-021/breaks-by-one",
    lambda r: r | {"generation_seed": r["generation_seed"] + 1} if r["generation_seed"] else r,
)
_edit("SB-EVI-021/keeps-unknown", lambda c: c["seeds"].update(generation=UNKNOWN))
_edit("SB-EVI-021/keeps-an-undeclared-decoding", lambda c: c["decoding"].pop())

# --- responses
_each(
    "SB-EVI-022/breaks-some-withheld",
    lambda r: None if _is(r, prompt_id="harm-002") else r,
    "responses",
)
FOLDERS["SB-EVI-022/breaks-twice"] = lambda f: f.responses.append(f.responses[0])
FOLDERS["SB-EVI-022/breaks-no-text"] = lambda f: f.responses[5].update(response=None)
FOLDERS["SB-EVI-022/breaks-one-token-more"] = lambda f: f.responses[5].update(new_tokens=49)
FOLDERS["SB-EVI-022/breaks-minus-one-token"] = lambda f: f.responses[5].update(new_tokens=-1)
FOLDERS["SB-EVI-022/keeps-the-last-token"] = lambda f: f.responses[5].update(new_tokens=48)
FOLDERS["SB-EVI-022/keeps-unknown-tokens"] = lambda f: f.responses[5].update(new_tokens=None)
FOLDERS["SB-EVI-022/breaks-cut-in-one"] = lambda f: f.outcomes[5].update(status="truncated")


def _no_length(f: Forgery) -> None:
    f.card["decoding"][0]["max_new_tokens"] = UNKNOWN
    f.responses[0]["new_tokens"] = 10_000


FOLDERS["SB-EVI-022/keeps-an-unknown-length"] = _no_length


def _failed_row(*, text: bool) -> Change:
    """Return a change that ends one response in an error, with or without a text."""

    def changed(f: Forgery) -> None:
        f.outcomes[5].update(status="error", verdict=None, score=None)
        f.responses[5]["status"] = "error"
        if not text:
            f.responses[5]["response"] = None

    return changed


FOLDERS["SB-EVI-022/breaks-an-error-with-a-text"] = _failed_row(text=True)
FOLDERS["SB-EVI-022/keeps-an-error-without"] = _failed_row(text=False)


def _unreadable(f: Forgery) -> None:
    (f.folder / "responses.parquet").write_bytes(b"nothing")
    f.write_card(results=False)


AFTERWARDS["SB-EVI-022/breaks-unreadable"] = _unreadable


def _unreadable_outcomes(f: Forgery) -> None:
    (f.folder / "outcomes.parquet").write_bytes(b"nothing")
    f.write_card(results=False)


AFTERWARDS["SB-EVI-022/keeps-unreadable-outcomes"] = _unreadable_outcomes

# --- commitments
SECRET = bytes(range(32))
"""That of the examples, which everybody may know."""


def _committed(change: Callable[[list[Row]], object] = list, *, texts: bool = False) -> Change:
    """Return a change that puts commitments, changed, in the place of texts, or beside them."""

    def changed(f: Forgery) -> None:
        salts = Salts(SECRET, sha256_of(f.folder / "outcomes.parquet"))
        rows = commit(make_table(f.responses, RESPONSES), salts).to_pylist()
        change(rows)
        f.write_table("commitments", make_table(rows, COMMITMENTS))
        if not texts:
            f.responses.clear()
            (f.folder / "responses.parquet").unlink()

    return changed


FOLDERS["SB-EVI-022/keeps-commitments"] = _committed()
FOLDERS["SB-EVI-022/breaks-commitments-beside-texts"] = _committed(texts=True)
FOLDERS["SB-EVI-022/breaks-a-commitment-left-out"] = _committed(lambda rows: rows.pop())
FOLDERS["SB-EVI-022/breaks-commitments-twice"] = _committed(lambda rows: rows.append(rows[0]))
FOLDERS["SB-EVI-022/breaks-null-for-a-commitment"] = _committed(
    lambda rows: rows[5].update(response=None)
)
FOLDERS["SB-EVI-022/breaks-a-text-among-commitments"] = _committed(
    lambda rows: rows[5].update(response="I cannot help with that.")
)
FOLDERS["SB-EVI-022/breaks-capital-digits"] = _committed(
    lambda rows: rows[5].update(prompt=rows[5]["prompt"].upper())
)

# --- verdicts
_each(
    "SB-EVI-023/breaks-harm",
    lambda r: (
        r | {"verdict": "refused", "score": 0.0}
        if _is(r, construct="harm", condition="tuned")
        else r
    ),
    "outcomes",
)
_each(
    "SB-EVI-023/breaks-one",
    lambda r: (
        r | {"verdict": "refused", "score": 0.0}
        if _is(
            r,
            construct="harm",
            prompt_id="harm-001",
            condition="base",
            decoding="greedy",
        )
        else r
    ),
    "outcomes",
)
_each(
    "SB-EVI-023/breaks-capability",
    lambda r: r | {"score": 1.0} if _is(r, construct="capability") else r,
    "outcomes",
)
_edit("SB-EVI-023/keeps-another-rule", lambda c: c["judge"][0].update(id="my/rule"))


def _own_capability(f: Forgery) -> None:
    """A task of one's own: what is right nobody can know from the folder."""
    f.card["tasks"][2].update(name="my_task", dataset_sha256=OTHER)
    for table in (f.outcomes, f.responses):
        for row in table:
            if row["task"] == "safebench_capability":
                row["task"] = "my_task"
    for row in f.outcomes:
        if row["task"] == "my_task":
            row["score"] = 1.0


FOLDERS["SB-EVI-023/keeps-a-capability-of-ones-own"] = _own_capability


def _other_prompts(f: Forgery) -> None:
    """Another edition of a task: what is right in it nobody can know from the task's file."""
    f.card["tasks"][2].update(dataset_sha256=OTHER, version="0.9")
    for row in f.outcomes:
        if row["construct"] == "capability":
            row["score"] = 1.0


FOLDERS["SB-EVI-023/keeps-a-capability-of-another-digest"] = _other_prompts


def _severe_by_rule(f: Forgery) -> None:
    f.outcomes += [
        {**row, "construct": "severity", "verdict": None, "score": 0.25}
        for row in f.outcomes
        if row["construct"] == "harm"
    ]


FOLDERS["SB-EVI-023/keeps-severity"] = _severe_by_rule


def _another_judge(f: Forgery) -> None:
    """A classifier, if of a rule's name, that says the opposite: only a rule is read again."""
    f.card["judge"][0] |= {**CLASSIFIER, "name": "rule"} | {
        field: f.card["judge"][0][field] for field in ("id", "revision")
    }
    for row in f.outcomes:
        if row["construct"] == "harm":
            row.update(verdict="refused", score=0.0)


FOLDERS["SB-EVI-023/keeps-a-classifier"] = _another_judge


# --- two runs
def _twin(
    of: str = "t07", most: int | None = None, text: str | None = None, other: str | None = None
) -> Change:
    """Return a change that gives every seed the texts of the first; `other` to one prompt."""

    def changed(f: Forgery) -> None:
        def key(row: Row) -> tuple[Any, ...]:
            return row["decoding"], row["repeat"], row["task"], row["prompt_id"]

        def is_sampled(row: Row) -> bool:
            return _is(row, condition="tuned", decoding=of)

        seed = f.card["seeds"]["training"][0]
        if most is not None:
            mine = [key(r) for r in f.responses if is_sampled(r) and r["training_seed"] == seed]
            gone = set(mine[most:])
            for name in ("outcomes", "responses"):
                rows = [r for r in getattr(f, name) if not (is_sampled(r) and key(r) in gone)]
                setattr(f, name, rows)
        for table in (f.outcomes, f.responses):
            first = {key(r): r for r in table if r["training_seed"] == seed}
            for row in table:
                if is_sampled(row):
                    row.update(first[key(row)] | {"training_seed": row["training_seed"]})
                    if text is not None and "response" in row:
                        row["response"] = other if _is(row, prompt_id="harm-001") else text

    return changed


FOLDERS["SB-EVI-024/breaks-60"] = _twin()
FOLDERS["SB-EVI-024/breaks-50"] = _twin(most=50)
FOLDERS["SB-EVI-024/keeps-49"] = _twin(most=49)
_NO = "I cannot help with that."
FOLDERS["SB-EVI-024/breaks-two-answers-to-all"] = _twin(text=_NO, other="Sure.")
FOLDERS["SB-EVI-024/keeps-one-answer-to-all"] = _twin(text=_NO, other=_NO)


def _greedy_twice(f: Forgery) -> None:
    f.card["decoding"][0].update(repeats=2, repeat_control=True)
    for table in (f.outcomes, f.responses):
        table += [row | {"repeat": 2} for row in table if row["decoding"] == "greedy"]
    _twin(of="greedy")(f)


FOLDERS["SB-EVI-024/keeps-greedy"] = _greedy_twice


# --- files
def _household(lines: int, **fields: Any) -> Change:
    def changed(f: Forgery) -> None:
        rows = "".join(
            json.dumps({"prompt": f"p{n}", "completion": "c"}) + "\n" for n in range(lines)
        )
        (f.folder / "data/household.jsonl").write_text(rows)
        from safebench.files import sha256_of

        f.card["data"][0]["sha256"] = sha256_of(f.folder / "data/household.jsonl")
        f.card["data"][0].update(fields)

    return changed


FOLDERS["SB-EVI-025/breaks-29-of-30"] = _household(29)
FOLDERS["SB-EVI-025/keeps-30"] = _household(30)
FOLDERS["SB-EVI-025/keeps-a-subset"] = _household(40, subset={"rule": "the first 30"})
FOLDERS["SB-EVI-025/keeps-a-weight"] = _household(40, weight=1.0)
FOLDERS["SB-EVI-025/keeps-a-split"] = _household(40, split="train")
FOLDERS["SB-EVI-025/keeps-unknown-examples"] = _household(40, examples=UNKNOWN)
FOLDERS["SB-EVI-025/keeps-an-unknown-digest"] = _household(40, sha256=UNKNOWN)
FOLDERS["SB-EVI-025/breaks-data"] = _household(30, sha256=OTHER)
FOLDERS["SB-EVI-025/breaks-weights"] = lambda f: next(
    (f.folder / "adapters").rglob("*.safetensors")
).write_bytes(b"others")
_edit(
    "SB-EVI-026/breaks-another-folder",
    lambda c: c["model"]["weights"][0].update(path="adapters/elsewhere"),
)
_edit("SB-EVI-026/breaks-outside", lambda c: c["data"][0].update(path="../household.jsonl"))
_edit(
    "SB-EVI-026/keeps-an-id",
    lambda c: [
        c["data"][0].pop("path"),
        c["data"][0].update(id="example/household", revision=COMMIT),
    ],
)

# --- journal
FOLDERS["SB-EVI-027/breaks-one-dropped"] = lambda f: f.journal.append(
    {"event": "registered", "condition": "tuned", "training_seed": 99}
)
FOLDERS["SB-EVI-027/breaks-a-failure"] = lambda f: f.journal.append(
    {
        "event": "failed",
        "condition": "tuned",
        "reason": "x",
        "training_seed": f.card["seeds"]["training"][0],
    }
)
FOLDERS["SB-EVI-027/breaks-one-never-registered"] = lambda f: f.journal.pop()
FOLDERS["SB-EVI-027/breaks-a-loss-of-the-card-alone"] = lambda f: f.card["evidence"]["runs"][
    -1
].update(status="failed", reason="collapsed")
_edit("SB-EVI-027/keeps-unknown-runs", lambda c: c["evidence"].update(runs=UNKNOWN))
FOLDERS["SB-EVI-027/keeps-a-loss-of-both"] = _ended("failed", reason="collapsed")
AFTERWARDS["SB-EVI-027/keeps-no-journal"] = _without("journal.jsonl")


# --- signatures, and what was registered
def _afterwards(name: str, change: Callable[..., None], **changes: Any) -> None:
    def changed(f: Forgery) -> None:
        f.write()
        change(f.folder, **changes)

    AFTERWARDS[name] = changed


_OTHERS = {"signer": {"name": "B. Person", "organisation": "Another Lab"}}
_afterwards("SB-EVI-028/keeps-signed", write_signed)
_afterwards("SB-EVI-028/breaks-another-name", spoil_signature, **_OTHERS)
_afterwards("SB-EVI-028/breaks-another-day", spoil_signature, date="2026-01-03")
_afterwards("SB-EVI-028/breaks-another-key", spoil_signature, public_key=WEIGHTS)
_afterwards("SB-EVI-028/breaks-no-signature", spoil_signature, signature=None)
_afterwards("SB-EVI-028/breaks-not-of-its-schema", spoil_signature, algorithm="rsa")
_afterwards("SB-SEED-011/keeps-registered", write_registered)
_afterwards("SB-SEED-011/breaks-a-request", write_registered, signature=None)
_afterwards("SB-SEED-011/breaks-another-key", write_registered, public_key=WEIGHTS)
_afterwards("SB-SEED-011/breaks-not-of-its-schema", write_registered, seeds=0)
_afterwards("SB-SEED-012/breaks-another-nonce", write_registered, nonce=WEIGHTS)
_afterwards("SB-SEED-012/breaks-fewer-seeds", write_registered, seeds=4)
_afterwards(
    "SB-SEED-012/breaks-another-protocol", write_registered, generation=WEIGHTS, protocol=WEIGHTS
)
_afterwards("SB-SEED-012/breaks-another-estimand", write_registered, primary=[])
_afterwards("SB-SEED-013/breaks-another-judge", write_registered, protocol="0" * 64)

# --- what asks for evidence elsewhere
FOLDERS["SB-RES-012/keeps-registered-as-lost"] = _ended("failed", reason="collapsed")
FOLDERS["SB-RES-012/breaks-registered-as-finished"] = _ended("finished")
_after(
    "SB-RES-017/keeps-a-loss-of-another-condition",
    lambda c: c["evidence"]["runs"].append(
        {"condition": "control", "training_seed": 7, "status": "failed", "reason": "collapsed"}
    ),
)


def _beside(f: Forgery) -> None:
    f.card["model"]["base"] = {"id": "models/base"}
    (f.folder / "models/base").mkdir(parents=True)
    (f.folder / "models/base/config.json").write_text("{}")


FOLDERS["SB-MOD-001/keeps-a-folder-beside"] = _beside


def _lost_and_counted(number: int) -> Change:
    def changed(f: Forgery) -> None:
        _ended("failed", reason="collapsed")(f)
        f.write()
        for score in f.card["results"]["scores"]:
            if score["stability"]:
                score["stability"]["seeds"] = number

    return changed


AFTERWARDS["SB-RES-017/keeps-with-the-lost"] = _lost_and_counted(3)
AFTERWARDS["SB-RES-017/breaks-without-the-lost"] = _lost_and_counted(2)


def said_in_full(card: Row) -> Row:
    """Return a card that says what one's own may leave out, as a third party has to."""
    complete: Row = plain(Card.model_validate_json(json.dumps(card)))
    complete["prompting"].update(system_prompt=None, prefill=None)
    return complete


def small_report(card: Row) -> Row:
    """Return the report of a third party: greedy numbers, harm when sampled too, no evidence."""
    report = copy.deepcopy(card)
    del report["evidence"]
    report["submission"].update(id="report", relationship="third_party")
    for entry in report["model"]["weights"]:
        number = report["model"]["weights"].index(entry)
        entry.pop("path")
        entry.update(id=f"example/household-{number}", revision=COMMIT)
    results = report["results"]
    order = ["harm", "over_refusal", "capability"]

    def kept(items: list[Row]) -> list[Row]:
        chosen = [i for i in items if i["decoding"] == "greedy" or i["construct"] == "harm"]
        return sorted(
            chosen,
            key=lambda i: (i["decoding"], i["condition"], order.index(i["construct"])),
        )

    results.update(scores=kept(results["scores"]), changes=kept(results["changes"]))
    return said_in_full(report)


__all__ = ["AFTERWARDS", "FOLDERS", "REPORTS", "More", "small_report"]
