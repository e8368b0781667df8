"""Every kind of tampering that leaves a contradiction in the folder is found, and named."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safebench.checks import check
from safebench.evidence.tables import OUTCOMES, RESPONSES, make_table, write_table
from tests.checks.forged import Forgery, Row, make_true

Change = Callable[[Forgery], None]
FORGERIES: dict[str, tuple[str, Change]] = {}
"""By name: the rule that finds it, and what the forger does before all is made consistent."""


def forgery(rule: str) -> Callable[[Change], Change]:
    def keep(change: Change) -> Change:
        FORGERIES[change.__name__] = (rule, change)
        return change

    return keep


def rows(
    rule: str, name: str, change: Callable[[Row], Row | None], *, responses: bool = True
) -> None:
    """Declare a forgery of single rows: of the outcomes, and of the responses beside them."""

    def forge(f: Forgery) -> None:
        f.outcomes = [new for row in f.outcomes if (new := change(dict(row))) is not None]
        if responses:
            f.responses = [
                {k: v for k, v in new.items() if k in RESPONSES.names}
                for row in f.responses
                if (
                    new := change(
                        {"construct": "", "judge": "", "verdict": "", "score": 9.0, **row}
                    )
                )
                is not None
            ]

    FORGERIES[name] = (rule, forge)


def edit(rule: str, name: str, change: Callable[[Row], Any]) -> None:
    """Declare a forgery of the card alone."""
    FORGERIES[name] = (rule, lambda f: change(f.card))


def is_harm(row: Row) -> bool:
    return bool(row["task"] == "safebench_harm")


def is_tuned(row: Row) -> bool:
    return bool(row["condition"] == "tuned")


def seed_of(f: Forgery) -> int:
    return int(f.card["seeds"]["training"][0])


# --- outcomes against the card's tasks --------------------------------------------------------


@forgery("SB-EVI-020")
def easy_prompts_alone(f: Forgery) -> None:
    kept = {f"harm-{n:03}" for n in range(1, 21)}
    f.outcomes = [r for r in f.outcomes if not is_harm(r) or r["prompt_id"] in kept]
    f.responses = [r for r in f.responses if not is_harm(r) or r["prompt_id"] in kept]


@forgery("SB-EVI-020")
def easy_prompts_alone_and_counted(f: Forgery) -> None:
    easy_prompts_alone(f)
    f.card["tasks"][0]["prompts"] = 20


@forgery("SB-EVI-020")
def other_digest_of_the_same_version(f: Forgery) -> None:
    f.card["tasks"][0]["dataset_sha256"] = "0" * 64


rows("SB-EVI-020", "renamed_prompts", lambda r: r | {"prompt_id": f"my-{r['prompt_id']}"})
rows(
    "SB-EVI-020", "another_construct",
    lambda r: r | {"construct": "over_refusal", "score": float(r["verdict"] == "refused")}
    if is_harm(r) and r["prompt_id"] == "harm-001" else r,
    responses=False,
)  # fmt: skip
edit("SB-EVI-020", "more_prompts_declared", lambda c: c["tasks"][1].update(prompts=230))
edit("SB-EVI-020", "a_smaller_limit", lambda c: c["tasks"][1].update(limit=39, prompts=39))
edit("SB-EVI-020", "no_limit", lambda c: [t.pop("limit") for t in c["tasks"]])

# --- rows ---------------------------------------------------------------------------------------

rows(
    "SB-EVI-018", "harm_scored_zero",
    lambda r: r | {"score": 0.0} if is_harm(r) else r, responses=False,
)  # fmt: skip
rows(
    "SB-EVI-018", "refusals_of_harmless_scored_zero",
    lambda r: r | {"score": 0.0} if r["construct"] == "over_refusal" else r, responses=False,
)  # fmt: skip
rows(
    "SB-EVI-018", "half_a_harm",
    lambda r: r | {"score": 0.5} if r["verdict"] == "complied" and is_harm(r) else r,
    responses=False,
)  # fmt: skip
rows(
    "SB-EVI-018", "no_verdict",
    lambda r: r | {"verdict": None} if is_harm(r) else r, responses=False,
)  # fmt: skip
rows(
    "SB-EVI-018", "a_verdict_of_capability",
    lambda r: r | {"verdict": "complied"} if r["construct"] == "capability" else r,
    responses=False,
)  # fmt: skip
rows(
    "SB-EVI-018", "errors_that_count",
    lambda r: r | {"status": "error", "response": None} if is_tuned(r) and is_harm(r) else r,
)  # fmt: skip
for _name, _values in {
    "verdict": {"verdict": "harmless"}, "status": {"status": "fine"},
    "construct": {"construct": "safety"}, "condition": {"condition": "adjusted"},
    "repeat": {"repeat": 0},
}.items():  # fmt: skip
    rows(
        "SB-EVI-017", f"unknown_{_name}",
        lambda r, values=_values: r | values if r["prompt_id"] == "harm-002" else r,
    )  # fmt: skip
rows(
    "SB-EVI-017", "base_with_a_seed",
    lambda r: r if is_tuned(r) else r | {"training_seed": 7},
)  # fmt: skip
rows("SB-EVI-017", "tuned_without_checkpoint", lambda r: r | {"checkpoint": None})
rows("SB-EVI-019", "repeats_left_out", lambda r: None if r["repeat"] == 2 else r)
rows(
    "SB-EVI-019", "a_decoding_left_out", lambda r: None if r["decoding"] == "t07" else r
)  # fmt: skip
rows("SB-EVI-019", "a_task_left_out", lambda r: None if r["task"].endswith("capability") else r)
rows(
    "SB-EVI-019", "the_base_left_out_where_it_is_bad",
    lambda r: None if not is_tuned(r) and r["decoding"] == "t07" else r,
)  # fmt: skip


@forgery("SB-EVI-019")
def a_bad_seed_left_out(f: Forgery) -> None:
    f.outcomes = [r for r in f.outcomes if r["training_seed"] != seed_of(f)]
    f.responses = [r for r in f.responses if r["training_seed"] != seed_of(f)]


edit("SB-EVI-019", "another_checkpoint_declared",
     lambda c: c["hyperparameters"].update(epochs=2, checkpoints=[1, 2]))  # fmt: skip
edit("SB-EVI-019", "more_repeats_declared", lambda c: c["decoding"][1].update(repeats=5))
edit("SB-EVI-019", "a_second_judge_declared",
     lambda c: c["judge"].append(c["judge"][0] | {"name": "second", "primary": False}))  # fmt: skip


@forgery("SB-EVI-009")
def no_rows(f: Forgery) -> None:
    f.outcomes, f.responses = [], []


# --- responses ----------------------------------------------------------------------------------


@forgery("SB-EVI-022")
def responses_withheld_here_and_there(f: Forgery) -> None:
    f.responses = f.responses[::2]


@forgery("SB-EVI-022")
def responses_twice(f: Forgery) -> None:
    f.responses += f.responses[:3]


@forgery("SB-EVI-022")
def longer_than_allowed(f: Forgery) -> None:
    f.responses[5]["new_tokens"] = 10_000


@forgery("SB-EVI-022")
def no_text(f: Forgery) -> None:
    f.responses[5]["response"] = None


@forgery("SB-EVI-022")
def cut_in_one_table_only(f: Forgery) -> None:
    f.outcomes[5]["status"] = "truncated"


@forgery("SB-EVI-023")
def verdicts_turned(f: Forgery) -> None:
    for row in f.outcomes:
        if is_harm(row) and is_tuned(row):
            row.update(verdict="refused", score=0.0)


@forgery("SB-EVI-023")
def answers_that_were_wrong(f: Forgery) -> None:
    for row in f.outcomes:
        if row["construct"] == "capability" and is_tuned(row):
            row["score"] = 1.0


@forgery("SB-EVI-023")
def texts_replaced(f: Forgery) -> None:
    for row in f.responses:
        if is_harm(row) and row["response"].startswith("I cannot"):
            row["response"] = "Sure. First, gather what you need."


@forgery("SB-EVI-024")
def one_run_under_three_seeds(f: Forgery) -> None:
    def key(row: Row) -> tuple[Any, ...]:
        return row["decoding"], row["repeat"], row["task"], row["prompt_id"]

    for table in (f.outcomes, f.responses):
        first = {key(r): r for r in table if r["training_seed"] == seed_of(f)}
        for row in table:
            if is_tuned(row):
                row.update(first[key(row)] | {"training_seed": row["training_seed"]})


# --- files and digests --------------------------------------------------------------------------


@forgery("SB-EVI-025")
def other_training_data(f: Forgery) -> None:
    (f.folder / "data/household.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 30)


@forgery("SB-EVI-025")
def fewer_examples(f: Forgery) -> None:
    f.card["data"][0]["examples"] = 300


@forgery("SB-EVI-025")
def other_weights(f: Forgery) -> None:
    (f.folder / f"adapters/{seed_of(f)}/adapter_model.safetensors").write_bytes(b"others")


@forgery("SB-EVI-026")
def no_weights(f: Forgery) -> None:
    shutil.rmtree(f.folder / "adapters")


@forgery("SB-EVI-026")
def no_training_data(f: Forgery) -> None:
    (f.folder / "data/household.jsonl").unlink()


@forgery("SB-MOD-008")
def one_adapter_thrice(f: Forgery) -> None:
    first, *others = f.card["model"]["weights"]
    for entry in others:
        shutil.copytree(f.folder / first["path"], f.folder / entry["path"], dirs_exist_ok=True)
        entry["sha256"] = first["sha256"]


# --- seeds and journal --------------------------------------------------------------------------


@forgery("SB-EVI-021")
def another_generation_seed(f: Forgery) -> None:
    for table in (f.outcomes, f.responses):
        for row in table:
            if row["generation_seed"] is not None:
                row["generation_seed"] = 12345


@forgery("SB-EVI-021")
def greedy_with_noise(f: Forgery) -> None:
    for table in (f.outcomes, f.responses):
        for row in table:
            row["generation_seed"] = f.card["seeds"]["generation"]


@forgery("SB-SEED-003")
def a_generation_seed_of_ones_own(f: Forgery) -> None:
    another_generation_seed(f)
    f.card["seeds"]["generation"] = 12345


@forgery("SB-SEED-002")
def a_lucky_seed(f: Forgery) -> None:
    old = seed_of(f)
    text = json.dumps([f.card, f.outcomes, f.responses, f.journal]).replace(str(old), "77")
    f.card, f.outcomes, f.responses, f.journal = json.loads(text)
    (f.folder / f"adapters/{old}").rename(f.folder / "adapters/77")


@forgery("SB-EVI-027")
def a_run_dropped(f: Forgery) -> None:
    f.journal.append({"event": "registered", "condition": "tuned", "training_seed": 99})


@forgery("SB-EVI-027")
def a_failure_hushed_up(f: Forgery) -> None:
    f.journal.append(
        {"event": "failed", "condition": "tuned", "training_seed": seed_of(f), "reason": "x"}
    )


@forgery("SB-EVI-027")
def a_run_never_registered(f: Forgery) -> None:
    f.journal = f.journal[:-1]


@forgery("SB-EVI-015")
def a_run_dropped_everywhere(f: Forgery) -> None:
    f.journal, f.card["evidence"]["runs"] = f.journal[:-1], f.card["evidence"]["runs"][:-1]


# --- afterwards: what is not made consistent, or cannot be --------------------------------------

AFTERWARDS: dict[str, tuple[str, Change]] = {}


def afterwards(rule: str) -> Callable[[Change], Change]:
    def keep(change: Change) -> Change:
        AFTERWARDS[change.__name__] = (rule, change)
        return change

    return keep


def rewrite(f: Forgery, table: pa.Table) -> None:
    with (f.folder / "outcomes.parquet").open("wb") as file:
        pq.write_table(table, file)
    f.write_card(results=False)


@afterwards("SB-EVI-008")
def other_words_for_the_method(f: Forgery) -> None:
    f.card["results"]["scores"][0]["method"] = "exact, and approved by everybody"
    f.write_card(results=False)


@afterwards("SB-EVI-008")
def other_words_for_the_note(f: Forgery) -> None:
    score = next(s for s in f.card["results"]["scores"] if s["stability"])
    score["stability"]["note"] = "certified"
    f.write_card(results=False)


@afterwards("SB-EVI-009")
def a_column_twice(f: Forgery) -> None:
    table = make_table(f.outcomes, OUTCOMES)
    rewrite(f, table.append_column("score", table.column("score")))


@afterwards("SB-EVI-009")
def a_column_of_another_type(f: Forgery) -> None:
    table = make_table(f.outcomes, OUTCOMES)
    at = table.column_names.index("score")
    rewrite(f, table.set_column(at, "score", pa.array(["high"] * table.num_rows)))


@afterwards("SB-EVI-009")
def a_text_that_is_not_utf8(f: Forgery) -> None:
    table = make_table(f.outcomes, OUTCOMES)
    at = table.column_names.index("verdict")
    bad = pa.array([b"\xff\xfe"] * table.num_rows).view(pa.string())
    rewrite(f, table.set_column(at, "verdict", bad))


@afterwards("SB-EVI-009")
def no_parquet(f: Forgery) -> None:
    (f.folder / "outcomes.parquet").write_bytes(b"PAR1 is how it begins")
    f.write_card(results=False)


@afterwards("SB-EVI-022")
def responses_that_are_none(f: Forgery) -> None:
    (f.folder / "responses.parquet").write_bytes(b"nothing")
    f.write_card(results=False)


def manifest(change: Callable[[Row], Any]) -> Change:
    def forge(f: Forgery) -> None:
        path = f.folder / "manifest.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return forge


AFTERWARDS |= {
    "a_manifest_of_lists": ("SB-EVI-007", manifest(lambda m: m.update(files=[["a", "b"]]))),
    "a_manifest_without_schema": ("SB-EVI-007", manifest(lambda m: m.pop("schema"))),
    "other_rows": ("SB-EVI-007", manifest(lambda m: m["files"][-1].update(rows=1))),
    "a_file_listed_twice": ("SB-EVI-007", manifest(lambda m: m["files"].append(m["files"][0]))),
    "more_in_the_manifest": ("SB-EVI-007", manifest(lambda m: m["files"][0].update(note="x"))),
}  # fmt: skip


@pytest.fixture(scope="module")
def true_one(tmp_path_factory: pytest.TempPathFactory) -> Forgery:
    return make_true(tmp_path_factory.mktemp("true") / "submission")


@pytest.fixture
def forged(true_one: Forgery, tmp_path: Path) -> Forgery:
    shutil.copytree(true_one.folder, tmp_path / "submission")
    plain = copy.deepcopy((true_one.card, true_one.outcomes, true_one.responses, true_one.journal))
    return Forgery(tmp_path / "submission", *plain)


def found(forged: Forgery) -> set[str]:
    report = check(forged.folder / "card.yaml")
    # SB-TASK-004: the true one is a trial, so that this takes seconds.
    return {f.rule for f in report.findings} - {"SB-TASK-004"}


def test_the_true_one_has_no_contradiction(true_one: Forgery) -> None:
    assert found(true_one) == set()


@pytest.mark.parametrize("name", FORGERIES)
def test_a_consistent_forgery_is_found(name: str, forged: Forgery) -> None:
    rule, change = FORGERIES[name]
    change(forged)
    forged.write()
    assert rule in found(forged), found(forged)


@pytest.mark.parametrize("name", AFTERWARDS)
def test_a_document_that_is_spoilt_is_found(name: str, forged: Forgery) -> None:
    rule, change = AFTERWARDS[name]
    change(forged)
    assert rule in found(forged), found(forged)


def test_the_order_of_rows_means_nothing(forged: Forgery) -> None:
    for table, schema in ((forged.outcomes, OUTCOMES), (forged.responses, RESPONSES)):
        table.sort(key=lambda row: hash((row["prompt_id"], row["training_seed"], row["repeat"])))
        name = "outcomes" if schema is OUTCOMES else "responses"
        unsorted = pa.Table.from_pylist(table, schema=schema)
        write_table(unsorted, forged.folder / f"{name}.parquet")
    forged.write_card(results=False)
    assert found(forged) == set()


def test_there_are_as_many_kinds_as_the_note_says() -> None:
    assert len(FORGERIES) + len(AFTERWARDS) >= 45
