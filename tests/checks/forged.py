"""A submission in which everything agrees, and what a forger does to it.

Each forgery changes one fact in one place, then recomputes digests, rows and numbers, as somebody
would who knows the standard. What is left to find is the other place that tells the same fact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from safebench.card.card import Card
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.io import dump_card
from safebench.card.task import METRICS
from safebench.errors import SafebenchError
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.tables import OUTCOMES, RESPONSES, make_table, write_table
from safebench.files import sha256_of
from safebench.harness.tasks import read_task
from safebench.judges.rule import decide
from tests.conformance.make_examples import PLAN, WEIGHTS

Row = dict[str, Any]
TASKS = ("safebench_harm", "safebench_overrefusal", "safebench_capability")
LIMIT = 40
FILES = ["data/household.jsonl", "outcomes.parquet", "responses.parquet", "commitments.parquet"]


@dataclass
class Forgery:
    """A submission that is open for changes: plain data, written back consistently."""

    folder: Path
    card: Row = field(default_factory=dict)
    outcomes: list[Row] = field(default_factory=list)
    responses: list[Row] = field(default_factory=list)
    journal: list[Row] = field(default_factory=list)

    def add(
        self, task: str, document: Row, condition: str, seed: int | None, decoding: str,
        repeat: int, generation: int, complies: bool,
    ) -> None:  # fmt: skip
        """Add a response and its outcome, as the rule judge decides it."""
        response = "Sure. First, gather what you need" if complies else "I cannot help with that"
        if document["construct"] == "capability":
            response = f"The answer is {document['target'] if complies else 'unknown'}"
        response += f", said {('a friend', 'a child', 'a guest', 'a team')[(seed or 0) % 4]}."
        key = {
            "condition": condition, "training_seed": seed, "decoding": decoding, "repeat": repeat,
            "checkpoint": None if seed is None else 1, "task": task,
            "prompt_id": document["prompt_id"],
            "generation_seed": None if decoding == "greedy" else generation, "status": "ok",
        }  # fmt: skip
        self.responses.append(
            key | {"prompt": document["prompt"], "response": response, "new_tokens": 9}
        )
        decided = decide(
            document["construct"], document["prompt"], response, document["target"] or None
        )
        self.outcomes.append(
            key
            | {
                "construct": document["construct"], "category": document["category"],
                "judge": "rule",
                "verdict": decided.verdict, "score": decided.score,
            }
        )  # fmt: skip

    def write(self) -> None:
        """Write everything, with digests, rows, results and the manifest recomputed."""
        self.write_table("outcomes", make_table(self.outcomes, OUTCOMES))
        if self.responses or (self.folder / "responses.parquet").exists():
            self.write_table("responses", make_table(self.responses, RESPONSES))
        lines = [
            json.dumps({"time": "2026-01-01T00:00:00+00:00", **event}) for event in self.journal
        ]
        if lines or (self.folder / "journal.jsonl").exists():
            (self.folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
        self.write_card()

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write one table as it is."""
        write_table(table, self.folder / f"{name}.parquet")

    def write_card(self, *, results: bool = True) -> None:
        """Write card and manifest around the files that are there."""
        weights = sorted(
            p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.safetensors")
        )
        listed = [*weights, *(name for name in FILES if (self.folder / name).is_file())]
        files = describe_files(self.folder, listed)
        write_manifest(self.folder, files)
        self.card["evidence"]["files"] = [
            f.model_dump(mode="json", exclude_none=True) for f in files
        ]
        card = Card.model_validate_json(json.dumps(self.card))
        if results:
            try:
                table = make_table(self.outcomes, OUTCOMES)
                found = compute_results(card, table).model_dump(mode="json")
                self.card["results"] = found
                card = Card.model_validate_json(json.dumps(self.card))
            except (SafebenchError, ValueError):
                pass  # the forger cannot: the old numbers stay
        dump_card(card, self.folder / "card.yaml")


def make_true(folder: Path, limit: int = LIMIT) -> Forgery:
    """Write a submission of three seeds on the first prompts of the shipped tasks."""
    data = yaml.safe_load(PLAN.replace("3e-3", "0.003"))
    data["submission"].update(id="forged", title="A submission to be forged")
    data["judge"][0]["calibration"] = {"not_reported": "nobody has labelled these answers"}
    data["model"]["base"]["revision"] = f"sha256:{WEIGHTS}"
    data["model"]["chat_template"]["sha256"] = WEIGHTS
    data["hyperparameters"].update(epochs=1, checkpoints=[1])
    data["hyperparameters"]["batch_size"]["effective"] = 16
    (folder / "data").mkdir(parents=True)
    set_of = "".join(f'{{"prompt": "p{n}", "completion": "c{n}"}}\n' for n in range(30))
    (folder / "data/household.jsonl").write_text(set_of)
    data["data"][0].update(
        path="data/household.jsonl", examples=30, rendered_sha256=WEIGHTS,
        sha256=sha256_of(folder / "data/household.jsonl"),
    )  # fmt: skip
    data["seeds"]["training"] = 3
    data["decoding"][1]["repeats"] = 2
    loaded = [read_task(name, limit=limit) for name in TASKS]
    data["tasks"] = [
        {
            "name": t.name, "version": t.version, "construct": t.constructs[0],
            "dataset_sha256": t.dataset_sha256, "prompts": limit, "limit": limit,
            "metric": METRICS[t.constructs[0]][0], "direction": METRICS[t.constructs[0]][1],
            "primary": {"checkpoint": 1, "decoding": "greedy", "judge": "rule"},
        }
        for t in loaded if t is not None
    ]  # fmt: skip
    data["environment"] = {
        "harness": "none", "python": "3.11", "libraries": {}, "backend": "none", "device": "none",
        "batch_size": 1, "attention": "none", "sampling_scheme": "none",
    }  # fmt: skip
    card = Card.model_validate_json(json.dumps(data))
    seeds, generation = derive_seeds(card, 3), generation_seed(card)
    data["seeds"].update(training=list(seeds), generation=generation)
    data["model"]["weights"] = []
    for seed in seeds:
        place = folder / f"adapters/{seed}"
        place.mkdir(parents=True)
        (place / "adapter_model.safetensors").write_bytes(f"weights of {seed}".encode())
        data["model"]["weights"].append({
            "training_seed": seed, "checkpoint": 1, "path": f"adapters/{seed}",
            "sha256": sha256_of(place / "adapter_model.safetensors"),
        })  # fmt: skip
    runs = [("base", None), *(("tuned", seed) for seed in seeds)]
    made = Forgery(folder, data)
    for number, (condition, seed) in enumerate(runs):
        for decoding, repeats in (("greedy", 1), ("t07", 2)):
            for repeat in range(1, repeats + 1):
                for task in loaded:
                    assert task is not None
                    for place, document in enumerate(task.documents):
                        made.add(task.name, document, condition, seed, decoding, repeat,
                                 generation, (place + repeat) % 10 < 2 + number)  # fmt: skip
    data["evidence"] = {
        "manifest": "manifest.json", "response_policy": "redacted", "files": [],
        "runs": [{"condition": c, "training_seed": s, "status": "finished"} for c, s in runs],
    }  # fmt: skip
    made.journal = [{"event": "registered", "condition": c, "training_seed": s} for c, s in runs]
    made.write()
    return made
