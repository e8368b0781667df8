"""Write the examples of the standard anew: `python tests/conformance/make_examples.py`.

Most invalid examples are the minimal plan with one thing changed; those about results and evidence
are a small submission with made-up outcomes and one thing changed. Which findings each has is
written to manifest.json. What some of them print as a whole is written to tests/conformance/golden,
to be read before it is committed: a test compares every byte.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.card.card import Card  # noqa: E402
from safebench.card.digest import derive_seeds, generation_seed  # noqa: E402
from safebench.card.io import dump_card, load_card, load_document  # noqa: E402
from safebench.card.model import Weights  # noqa: E402
from safebench.card.results import Evidence, EvidenceFile, RegisteredRun  # noqa: E402
from safebench.card.schema import schema_text  # noqa: E402
from safebench.card.task import METRICS, Construct  # noqa: E402
from safebench.errors import SafebenchError  # noqa: E402
from safebench.evidence.board_log import LogLine  # noqa: E402
from safebench.evidence.documents import published_schema  # noqa: E402
from safebench.evidence.manifest import describe_files, write_manifest  # noqa: E402
from safebench.evidence.outcomes import read_outcomes  # noqa: E402
from safebench.evidence.registration import REGISTRATION_FILE, Registration  # noqa: E402
from safebench.evidence.scoring import compute_results  # noqa: E402
from safebench.evidence.signature import Signature  # noqa: E402
from safebench.evidence.tables import OUTCOMES, RESPONSES, make_table, write_table  # noqa: E402
from safebench.evidence.verdicts import RerunReport  # noqa: E402
from safebench.files import replace_file  # noqa: E402
from safebench.importing.submission.declared import answers_schema  # noqa: E402
from safebench.site.board import board_schema  # noqa: E402
from tests.conformance.edits import COMMIT, EDITS, WEIGHTS  # noqa: E402
from tests.conformance.make_manifest import write_manifest as write_answers  # noqa: E402
from tests.conformance.runner import ARGUMENTS, GOLDEN, INVALID, VALID, run  # noqa: E402
from tests.conformance.signed import NONCE, edit_signed, write_registered  # noqa: E402

PLAN = (VALID / "minimal-plan.yaml").read_text(encoding="utf-8")
SUBMISSION = VALID / "submission"
CONSTRUCTS: tuple[Construct, ...] = ("harm", "over_refusal", "capability")
Data = dict[str, Any]
PRINTED = (
    "SB-READ-001",  # a document that cannot be read
    "SB-CARD-002",  # structure, with a guess at what was meant
    "SB-CARD-009",  # a newer version: several warnings
    "SB-CARD-010",  # a note, and what the next level asks for
    "SB-CARD-011",  # an error because of --level
    "SB-DEC-004",  # a rule
    "SB-SEED-002",  # several errors
    "SB-SEED-004",  # a warning
    "SB-EVI-005",  # a file of the evidence
)
"""Examples whose whole output a test compares, one of every kind."""


def _untuned(card: Data) -> None:
    card["hyperparameters"], card["data"] = {"method": "none"}, []
    card["seeds"]["training"] = 1


def _adapters_of_nothing(card: Data) -> None:
    _untuned(card)
    card["model"]["weights"] = [
        {"training_seed": 1, "checkpoint": 2, "path": "seed-1", "sha256": WEIGHTS}
    ]


def _checkpoint_of_nothing(card: Data) -> None:
    _untuned(card)
    card["tasks"][0] = {
        "name": "safebench_harm",
        "primary": {"checkpoint": 2, "decoding": "greedy", "judge": "rule"},
    }


def _score(card: Data, **wanted: Any) -> Data:
    scores: list[Data] = card["results"]["scores"]
    return next(s for s in scores if all(s[key] == value for key, value in wanted.items()))


def _third_party(change: Callable[[Data], None]) -> Callable[[Data], None]:
    """Change a card whose evidence is not attached, as somebody else's results are."""

    def changed(card: Data) -> None:
        card["submission"]["relationship"] = "third_party"
        card["prompting"].update(system_prompt=None, prefill=None)  # said by leaving out before
        del card["evidence"]
        change(card)

    return changed


def _shrink(wanted: Callable[[Data], bool], **which: Any) -> Callable[[Data], None]:
    """Take some runs of a score away, and keep the rest of it consistent."""

    def changed(card: Data) -> None:
        score = _score(card, **which)
        score["runs"] = [run for run in score["runs"] if wanted(run)]
        score["n"] = sum(run["n"] for run in score["runs"])
        score["estimate"] = sum(run["total"] for run in score["runs"]) / score["n"]
        score.update(lower=0.0, upper=1.0)
        score["stability"]["seeds"] = len({run["training_seed"] for run in score["runs"]})
        _without_change(card, score)

    return changed


def _without_change(card: Data, score: Data) -> None:
    keys = ("task", "condition", "checkpoint", "decoding")
    card["results"]["changes"] = [
        change
        for change in card["results"]["changes"]
        if any(change[key] != score[key] for key in keys)
    ]


def _not_the_mean(card: Data) -> None:
    score = _score(card, condition="tuned", task="example_harm")
    score["estimate"] = 0.51
    _without_change(card, score)


def _first_seed(card: Data) -> int:
    return int(card["seeds"]["training"][0])


def _listed_twice(card: Data) -> None:
    runs = _score(card, condition="tuned", task="example_harm", decoding="t07")["runs"]
    runs[1]["repeat"] = 1
    runs[0]["repeat"] = 1


def _without_base(card: Data) -> None:
    scores = card["results"]["scores"]
    base = _score(card, condition="base", task="example_harm", decoding="t07")
    card["results"]["scores"] = [score for score in scores if score is not base]


def _cut(card: Data) -> None:
    estimand = card["results"]["primary"][0]
    keys = ("task", "condition", "checkpoint", "decoding")
    _score(card, **{key: estimand[key] for key in keys})["truncated"] = 0.35


def _reruns(*reruns: Data) -> Callable[[Data], None]:
    def changed(card: Data) -> None:
        card["evidence"]["reruns"] = [
            {
                "id": f"rerun-{number}", "kind": "retrain", "organisation": "Another Lab",
                "sha256": hashlib.sha256(f"made up rerun {number}".encode()).hexdigest(),
                "training_seeds": [number], "verdict": "reproduced", **rerun,
            }
            for number, rerun in enumerate(reruns, start=1)
        ]  # fmt: skip

    return changed


def _set(place: Callable[[Data], Data], **values: Any) -> Callable[[Data], None]:
    return lambda card: place(card).update(values)


# rule -> change of a plan, as data
PLANS: dict[str, Callable[[Data], None]] = {
    "SB-MOD-005": _adapters_of_nothing,
    "SB-TASK-005": _checkpoint_of_nothing,
}

# rule -> change of the submission's card
REPORTS: dict[str, Callable[[Data], None]] = {
    "SB-MOD-003": _third_party(lambda card: card["model"]["weights"].pop(3)),
    "SB-RES-001": _third_party(_set(lambda c: c["results"]["changes"][0], decoding="t09")),
    "SB-RES-002": _third_party(_set(lambda c: c["results"]["changes"][0], lower=0.9, upper=0.95)),
    "SB-RES-003": _third_party(_set(lambda c: c["results"]["scores"][0]["runs"][0], score=0.9)),
    "SB-RES-004": _third_party(_set(lambda c: c["results"]["scores"][0], n=9)),
    "SB-RES-005": _third_party(
        _set(lambda c: _score(c, condition="base")["runs"][0], training_seed=7)
    ),
    "SB-RES-006": _third_party(_not_the_mean),
    "SB-RES-007": _third_party(_set(lambda c: c["results"]["primary"][0], decoding="t07")),
    "SB-RES-008": _third_party(
        lambda card: card["results"]["scores"].append(card["results"]["scores"][-1])
    ),
    "SB-RES-009": _third_party(
        lambda card: card["results"]["scores"].remove(
            _score(card, condition="tuned", task="example_capability", checkpoint=2,
                   decoding="greedy")
        )
    ),
    "SB-RES-010": _third_party(
        _set(
            lambda c: _score(c, condition="tuned", task="example_harm"),
            lower={"not_reported": "the paper gives no interval"},
            upper={"not_reported": "the paper gives no interval"},
        )
    ),
    "SB-RES-011": _third_party(_listed_twice),
    "SB-RES-012": _third_party(
        lambda card: (
            _shrink(
                lambda run: run["training_seed"] != _first_seed(card),
                condition="tuned", task="example_harm", decoding="t07",
            )(card),
            _set(
                lambda c: _score(c, condition="tuned", task="example_harm", decoding="t07"
                                 )["stability"], lower=None, lower_if_normal=None,
            )(card),
        )
    ),
    "SB-RES-013": _third_party(
        _shrink(
            lambda run: run["repeat"] == 1, condition="tuned", task="example_harm", decoding="t07"
        )
    ),
    "SB-RES-014": _third_party(
        _set(lambda c: c["results"]["changes"][0], estimate=0.3, lower=0.1, upper=0.5)
    ),
    "SB-RES-015": _third_party(
        _set(lambda c: c["results"]["changes"][0], seeds_up=3, seeds_down=3)
    ),
    "SB-RES-016": _third_party(_without_base),
    "SB-RES-017": _third_party(
        _set(lambda c: _score(c, condition="tuned")["stability"], margin=0.3)
    ),
    "SB-RES-018": _third_party(_cut),
    "SB-EVI-011": lambda card: card["submission"].update(relationship="third_party"),
    "SB-EVI-012": _reruns({}, {"id": "rerun-1"}),
    "SB-EVI-013": _reruns({}, {"training_seeds": [1, 2]}),
    "SB-EVI-014": lambda card: card["evidence"]["runs"].append(
        card["evidence"]["runs"][1] | {"status": "failed"}
    ),
    "SB-EVI-015": lambda card: card["evidence"]["runs"].pop(),
    "SB-EVI-016": lambda card: card["evidence"].update(response_policy="public"),
    "SB-EVI-001": lambda card: card.pop("results"),
    "SB-EVI-002": lambda card: card.pop("evidence"),
    "SB-EVI-008": lambda card: card["results"]["scores"][0].update(truncated=0.0),
}  # fmt: skip


def _outside(folder: Path) -> None:
    _list_file(folder, "../notes.txt")


def _missing(folder: Path) -> None:
    _list_file(folder, "responses.parquet")


def _changed(folder: Path) -> None:
    notes = folder / "notes.txt"
    notes.write_text("The outcomes are made up, and this line was added later.\n")


def _rows_miscounted(folder: Path) -> None:
    notes, table = describe_files(folder, ["notes.txt", "outcomes.parquet"])
    _write_files(folder, (notes, table.model_copy(update={"rows": 1000})))


def _manifest_differs(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"schema": "safebench/manifest/1", "files": []}\n')


def _outcome_left_out(folder: Path) -> None:
    table = read_outcomes(folder)
    write_table(table.slice(1), folder / "outcomes.parquet")
    _relist(folder, ["notes.txt", "outcomes.parquet"])


def _rows(change: Callable[[Data], Data | None]) -> Callable[[Path], None]:
    """Change rows of the outcomes, and make everything that follows from them follow."""

    def changed(folder: Path) -> None:
        card = load_card(folder / "card.yaml")
        rows = [change(dict(row)) for row in read_outcomes(folder).to_pylist()]
        table = make_table([row for row in rows if row is not None], OUTCOMES)
        write_table(table, folder / "outcomes.parquet")
        try:
            results = compute_results(card, table)
        except (SafebenchError, ValueError):
            results = card.results
        dump_card(card.model_copy(update={"results": results}), folder / "card.yaml")
        _relist(folder, ["notes.txt", "outcomes.parquet"])

    return changed


def _responses(change: Callable[[Data], Data | None]) -> Callable[[Path], None]:
    """Add responses that the outcomes follow from, with a change."""

    def changed(folder: Path) -> None:
        rows = [change(row) for row in texts_of(read_outcomes(folder).to_pylist())]
        table = make_table([row for row in rows if row is not None], RESPONSES)
        write_table(table, folder / "responses.parquet")
        _relist(folder, ["notes.txt", "outcomes.parquet", "responses.parquet"])

    return changed


def texts_of(outcomes: list[Data]) -> list[Data]:
    """Return a response for each outcome, of which the rule judge says the same."""
    said = {"refused": "I cannot help with that", "complied": "First, gather what you need"}
    seeds = list(dict.fromkeys(row["training_seed"] for row in outcomes))
    whom = ("a friend", "a child", "a guest", "a team")
    return [
        {name: row[name] for name in RESPONSES.names if name in row}
        | {
            "prompt": f"How do I do {row['prompt_id']}?",
            "response": f"{said.get(row['verdict'], 'The answer is 12')}"
            + (f" for {whom[seeds.index(row['training_seed'])]}." if row["verdict"] else "."),
            "new_tokens": 8,
        }
        for row in outcomes
    ]


def _another_digest(folder: Path) -> None:
    (folder / "household.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    _edit(folder, lambda card: card["data"][0].update(path="household.jsonl"))


def _elsewhere(folder: Path) -> None:
    _edit(folder, lambda card: card["data"][0].update(path="household.jsonl"))


def _another_journal(folder: Path) -> None:
    runs = load_document(folder / "card.yaml").data["evidence"]["runs"]
    runs.append({"condition": "tuned", "training_seed": 1})
    lines = [
        json.dumps({"time": "2026-01-01T00:00:00+00:00", "event": "registered",
                    "condition": run["condition"], "training_seed": run["training_seed"]})
        for run in runs
    ]  # fmt: skip
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")


def _edit(folder: Path, change: Callable[[Data], None]) -> None:
    data = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    change(data)
    dump_card(Card.model_validate_json(json.dumps(data)), folder / "card.yaml")


def _one_run_thrice(folder: Path) -> None:
    """The sampled texts of every seed are those of the first, and so are the verdicts."""

    def sampled(row: Data) -> bool:
        return bool(row["decoding"] == "t07" and row["condition"] == "tuned")

    harm = {"verdict": "complied", "score": 1.0}
    _rows(lambda r: r | harm if sampled(r) and r["construct"] == "harm" else r)(folder)
    _responses(
        lambda r: r | {"response": r["response"].partition(" for ")[0]} if sampled(r) else r
    )(folder)


def _outcomes_unlisted(folder: Path) -> None:
    _relist(folder, ["notes.txt"])


# rule -> change of the submission's files
FOLDERS: dict[str, Callable[[Path], None]] = {
    "SB-SEED-011": lambda folder: _edit(folder, lambda c: c["seeds"].update(registration=WEIGHTS)),
    "SB-SEED-012": partial(write_registered, seeds=5),
    "SB-SEED-013": partial(write_registered, protocol=WEIGHTS),
    "SB-EVI-003": _outside,
    "SB-EVI-004": _missing,
    "SB-EVI-005": _changed,
    "SB-EVI-006": _rows_miscounted,
    "SB-EVI-007": _manifest_differs,
    "SB-EVI-009": _outcome_left_out,
    "SB-EVI-010": _outcomes_unlisted,
    "SB-EVI-017": _rows(lambda r: r | {"status": "fine"} if r["repeat"] == 2 else r),
    "SB-EVI-018": _rows(lambda r: r | {"score": 0.0} if r["verdict"] == "complied" else r),
    "SB-EVI-019": _rows(lambda r: None if (r["decoding"], r["checkpoint"]) == ("t07", 1) else r),
    "SB-EVI-020": _rows(lambda r: None if r["prompt_id"] == "harm-9" else r),
    "SB-EVI-021": _rows(lambda r: r | {"generation_seed": 7} if r["generation_seed"] else r),
    "SB-EVI-022": _responses(lambda r: None if r["prompt_id"] == "harm-0" else r),
    "SB-EVI-023": _responses(
        lambda r: r | {"response": "First, gather what you need."} if r["repeat"] == 2 else r
    ),
    "SB-EVI-024": _one_run_thrice,
    "SB-EVI-025": _another_digest,
    "SB-EVI-026": _elsewhere,
    "SB-EVI-027": _another_journal,
    "SB-EVI-028": edit_signed,
}


def _relist(folder: Path, paths: list[str]) -> None:
    _write_files(folder, describe_files(folder, paths))


def _list_file(folder: Path, path: str) -> None:
    present = describe_files(folder, ["notes.txt", "outcomes.parquet"])
    _write_files(folder, (*present, EvidenceFile(path=path, sha256=WEIGHTS)))


def _write_files(folder: Path, files: tuple[EvidenceFile, ...]) -> None:
    write_manifest(folder, files)
    card = load_card(folder / "card.yaml")
    assert card.evidence is not None
    evidence = card.evidence.model_copy(update={"files": files})
    dump_card(card.model_copy(update={"evidence": evidence}), folder / "card.yaml")


# --- the submission that the others are changes of ---------------------------------------------


def make_submission(folder: Path, register: Callable[[Card], bytes] | None = None) -> None:
    """Write a small submission: 3 seeds, 2 checkpoints, 2 decodings, 3 tasks of 10 prompts.

    `register` returns a registration of the card, whose nonce its seeds follow from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = _filled()
    if register is not None:
        content = register(card)
        replace_file(folder / REGISTRATION_FILE, content)
        drawn = {
            "nonce": NONCE,
            "nonce_source": "a board, 2026-01-01",
            "registration": hashlib.sha256(content).hexdigest(),
        }
        card = card.model_copy(update={"seeds": card.seeds.model_copy(update=drawn)})
    seeds = derive_seeds(card, 3)
    generation = generation_seed(card)
    card = card.model_copy(
        update={
            "seeds": card.seeds.model_copy(update={"training": seeds, "generation": generation}),
            "model": card.model.model_copy(update={"weights": _weights(seeds)}),
        }
    )
    table = make_table(_outcomes(seeds, generation), OUTCOMES)
    write_table(table, folder / "outcomes.parquet")
    replace_file(folder / "notes.txt", b"The outcomes are made up.\n")
    files = describe_files(folder, ["notes.txt", "outcomes.parquet"])
    write_manifest(folder, files)
    runs = [RegisteredRun(training_seed=None, condition="base", status="finished")]
    runs += [RegisteredRun(training_seed=s, condition="tuned", status="finished") for s in seeds]
    evidence = Evidence(
        manifest="manifest.json", files=files, response_policy="redacted", runs=tuple(runs)
    )
    results = compute_results(card, table)
    dump_card(
        card.model_copy(update={"results": results, "evidence": evidence}), folder / "card.yaml"
    )


def _filled() -> Card:
    """Return the minimal plan with everything that a run fills in, seeds aside."""
    data = yaml.safe_load(PLAN.replace("3e-3", "0.003"))
    data["submission"].update(
        id="example-submission", title="A small submission with made-up outcomes"
    )
    data["model"]["base"]["revision"] = f"sha256:{WEIGHTS}"
    data["model"]["chat_template"]["sha256"] = WEIGHTS
    del data["data"][0]["path"]
    data["data"][0].update(
        id="example/household", revision=COMMIT, sha256=WEIGHTS, rendered_sha256=WEIGHTS
    )
    data["hyperparameters"]["batch_size"]["effective"] = 16
    data["seeds"]["training"] = 3
    data["judge"][0]["calibration"] = {"not_reported": "the outcomes are made up"}
    data["decoding"][1]["repeats"] = 2
    data["tasks"] = [
        {
            "name": f"example_{construct.replace('_', '')}",
            "version": "1.0",
            "construct": construct,
            "dataset_sha256": WEIGHTS,
            "prompts": 10,
            "metric": METRICS[construct][0],
            "direction": METRICS[construct][1],
            "primary": {"checkpoint": 2, "decoding": "greedy", "judge": "rule"},
        }
        for construct in CONSTRUCTS
    ]
    data["environment"] = {
        "harness": "none, the outcomes are made up", "python": "3.11", "libraries": {},
        "backend": "none", "device": "none", "batch_size": 1, "attention": "none",
        "sampling_scheme": "none",
    }  # fmt: skip
    return Card.model_validate_json(json.dumps(data))


def _weights(seeds: tuple[int, ...]) -> tuple[Weights, ...]:
    return tuple(
        Weights(
            training_seed=seed,
            checkpoint=epoch,
            id=f"example/household-{number}-epoch-{epoch}",
            revision=COMMIT,
            sha256=hashlib.sha256(f"made up, {number}, {epoch}".encode()).hexdigest(),
        )
        for number, seed in enumerate(seeds)
        for epoch in (1, 2)
    )


def _outcomes(seeds: tuple[int, ...], generation: int) -> list[Data]:
    """Invent one outcome for every cell: harm rises with the epoch, by seed."""
    runs: list[tuple[str, int | None, int | None, int]] = [("base", None, None, 1)]
    runs += [("tuned", s, e, 2 + 2 * e + n) for n, s in enumerate(seeds) for e in (1, 2)]
    rows = []
    for condition, seed, epoch, harmful in runs:
        for decoding, repeats in (("greedy", 1), ("t07", 2)):
            for construct, ones in (("harm", harmful), ("over_refusal", 2), ("capability", 7)):
                for repeat in range(1, repeats + 1):
                    for prompt in range(10):
                        yes = (prompt + repeat) % 10 < ones
                        rows.append(
                            {
                                "condition": condition,
                                "training_seed": seed,
                                "checkpoint": epoch,
                                "decoding": decoding,
                                "repeat": repeat,
                                "generation_seed": generation if decoding == "t07" else None,
                                "task": f"example_{construct.replace('_', '')}",
                                "construct": construct,
                                "category": f"category {prompt % 2 + 1}",
                                "prompt_id": f"{construct}-{prompt}",
                                "judge": "rule",
                                "status": "truncated" if prompt == 9 else "ok",
                                "verdict": _verdict(construct, yes),
                                "score": float(yes),
                            }
                        )  # fmt: skip
    return rows


def _verdict(construct: str, yes: bool) -> str | None:
    if construct == "capability":
        return None
    return "complied" if yes == (construct == "harm") else "refused"


TITLES = {
    "verdict": (RerunReport, "What a rerun found (verdict.json)"),
    "signature": (Signature, "Who answers for a submission (signature.json)"),
    "registration": (
        Registration,
        "A protocol registered before it was run (registration.json)",
    ),
    "log": (LogLine, "A line of a board's log (log.jsonl)"),
}
SCHEMAS = {
    "board": board_schema,
    "answers": answers_schema,
    **{
        name: partial(published_schema, model, name, title)
        for name, (model, title) in TITLES.items()
    },
}
"""Schemas that are generated from models, beside the card's."""

# --- writing -------------------------------------------------------------------------------------


def main() -> None:
    """Write schema, submission and invalid examples."""
    (ROOT / "spec/v1/card.schema.json").write_text(schema_text(), encoding="utf-8")
    for name, schema in SCHEMAS.items():
        (ROOT / f"spec/v1/{name}.schema.json").write_text(
            json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    make_submission(SUBMISSION)
    shutil.rmtree(INVALID, ignore_errors=True)
    for rule, (old, new) in EDITS.items():
        assert PLAN.count(old) == 1, (rule, old)
        plan = PLAN.partition("spec:")
        text = (plan[1] + plan[2]).replace(old, new)
        _card(rule).write_text(text, encoding="utf-8")
    for rule, change in PLANS.items():
        data = yaml.safe_load(PLAN.replace("3e-3", "0.003"))
        change(data)
        dump_card(Card.model_validate_json(json.dumps(data)), _card(rule))
    for rule, change in REPORTS.items():
        data = yaml.safe_load((SUBMISSION / "card.yaml").read_text(encoding="utf-8"))
        change(data)
        path = _card(rule)
        if "evidence" in data:
            _copy_files(path.parent)
        dump_card(Card.model_validate_json(json.dumps(data)), path)
    for rule, alter in FOLDERS.items():
        path = _card(rule)
        _copy_files(path.parent)
        shutil.copyfile(SUBMISSION / "card.yaml", path)
        alter(path.parent)
    (INVALID / "SB-CARD-011" / ARGUMENTS).write_text("--level declared\n")
    from tests.conformance.make_boundaries import write_boundaries  # it needs what is above

    write_boundaries()
    write_answers()
    write_golden()


def write_golden() -> None:
    """Write the whole outputs that a test compares."""
    for name in PRINTED:
        (GOLDEN / f"{name}.txt").write_text(run(INVALID / name).output, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        data = load_document(INVALID / "SB-HYP-001" / "card.yaml").data
        Path(folder, "card.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
        (GOLDEN / "json.txt").write_text(run(Path(folder)).output, encoding="utf-8")


def _card(rule: str) -> Path:
    path = INVALID / rule / "card.yaml"
    path.parent.mkdir(parents=True)
    return path


def _copy_files(folder: Path) -> None:
    for name in ("outcomes.parquet", "notes.txt", "manifest.json"):
        shutil.copyfile(SUBMISSION / name, folder / name)


if __name__ == "__main__":
    main()
    sys.stdout.write(f"{len(list(INVALID.iterdir()))} invalid examples in {INVALID}\n")
