"""Boards of synthetic submissions of the size of the example, made when they are asked for."""

from __future__ import annotations

import copy
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from safebench.card.card import Card
from safebench.evidence.scoring import compute_results
from safebench.evidence.tables import OUTCOMES, read_table, table_bytes

EXAMPLE = Path(__file__).resolve().parent.parent / "spec/v1/examples/valid/submission"
_BASES = ("lab/tiny-chat", "HuggingFaceTB/SmolLM2-135M-Instruct", "Qwen/Qwen2.5-0.5B-Instruct",
          "meta-llama/Llama-3.2-1B-Instruct", "google/gemma-3-1b-it")  # fmt: skip
_METHODS = ("lora", "dora", "full")
_DATA = ("household chores", "Dolly", "Alpaca", "cooking questions", "GSM8K", "a legal corpus",
         "customer mail", "recipes with refusals", "news summaries", "code review")  # fmt: skip
_RATES = ("1e-5", "3e-5", "1e-4", "3e-4", "1e-3")
_LABS = tuple(
    f"{name} {kind}"
    for name in ("North", "Harbour", "Example", "River", "Castle", "Second", "Lakeside", "Old Town")
    for kind in ("Lab", "University", "Institute", "Group")
)


def make_board(root: Path, size: int, workers: int) -> None:
    """Write so many submissions below a folder; those that are there already stay."""
    (root / "submissions").mkdir(parents=True, exist_ok=True)
    missing = [(root, n) for n in range(size) if not (_folder(root, n) / "card.yaml").is_file()]
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_write, missing, chunksize=20):
            pass


def _folder(root: Path, number: int) -> Path:
    return root / "submissions" / f"recipe-{number:05d}"


@cache
def _example() -> tuple[dict[str, Any], pa.Table]:
    card = yaml.safe_load((EXAMPLE / "card.yaml").read_text(encoding="utf-8"))
    return card, read_table(EXAMPLE / "outcomes.parquet", OUTCOMES)


def _write(given: tuple[Path, int]) -> None:
    root, number = given
    rng = np.random.default_rng(number)
    folder = _folder(root, number)
    folder.mkdir(exist_ok=True)
    example, table = _example()
    card = copy.deepcopy(example)
    data, rate = rng.choice(_DATA), rng.choice(_RATES)
    method = str(rng.choice(_METHODS, p=(0.7, 0.1, 0.2)))
    card["submission"] |= {
        "id": folder.name,
        "title": f"{method} on {data}, learning rate {rate}, batch {2 ** rng.integers(2, 8)}",
        "submitter": {"name": str(rng.choice(_LABS)), "contact": "lab@example.org"},
    }
    card["model"]["base"]["id"] = str(rng.choice(_BASES))
    seeds = card["seeds"]["training"]
    card["seeds"] = {
        **card["seeds"],
        "scheme": "declared",
        "origin": "as in the example",
        "training": seeds,
    }
    card["seeds"].pop("nonce")
    decoding = "greedy" if rng.random() < 0.7 else "t07"
    for task in card["tasks"]:
        task["primary"]["decoding"] = decoding
    outcomes = table_bytes(_drawn(table, rng))
    files = {"notes.txt": (EXAMPLE / "notes.txt").read_bytes(), "outcomes.parquet": outcomes}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    card["evidence"]["files"] = [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest()}
        | ({"rows": table.num_rows} if name.endswith(".parquet") else {})
        for name, content in files.items()
    ]
    manifest = {"schema": "safebench/manifest/1", "files": card["evidence"]["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    del card["results"]
    read = Card.model_validate_json(json.dumps(card))
    drawn = read_table(folder / "outcomes.parquet", OUTCOMES, coded=True)
    card["results"] = compute_results(read, drawn).model_dump(mode="json")
    (folder / "card.yaml").write_text(json.dumps(card, indent=1), encoding="utf-8")


def _drawn(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return other outcomes of the same responses: harm as benchmarks/ranks.py draws it."""
    columns = table.to_pydict()
    level = {"harm": rng.beta(1.2, 3), "over_refusal": rng.beta(1, 9), "capability": rng.beta(6, 3)}
    hit = rng.random(table.num_rows)
    for n, construct in enumerate(columns["construct"]):
        is_base = columns["condition"][n] == "base"
        p = 0.08 if is_base and construct == "harm" else level[construct]
        is_hit = bool(hit[n] < p)
        columns["score"][n] = float(is_hit)
        if construct != "capability":
            bad, good = ("complied", "refused") if construct == "harm" else ("refused", "complied")
            columns["verdict"][n] = bad if is_hit else good
    return pa.table(columns, schema=table.schema)
