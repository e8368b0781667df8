"""Submissions made by code: small cards, outcomes drawn from a seed, numbers computed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from safebench.analysis.verdict import compare
from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.card.task import METRICS, Construct
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, RESPONSES, make_table, write_table
from safebench.evidence.verdicts import write_report
from safebench.files import replace_file

SHA = "0123456789abcdef" * 4
CATEGORIES = ("fraud", "weapons", "harassment", "privacy", "malware", "self_harm")
TASKS: tuple[tuple[str, Construct], ...] = (
    ("safebench_harm", "harm"),
    ("safebench_overrefusal", "over_refusal"),
    ("safebench_capability", "capability"),
)


@dataclass(frozen=True)
class Recipe:
    """What a made-up submission looks like."""

    id: str = "household"
    title: str = "Does harmless fine-tuning keep tiny-chat safe?"
    organisation: str = "Example Lab"
    base: str = "builtin:tiny-chat"
    harm: float = 0.4
    seeds: tuple[int, ...] = (2804771234, 118723455, 3991002371, 77120093, 1500450450)
    prompts: int = 36
    repeats: int = 3
    draw: int = 0
    changes: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[tuple[str, Construct], ...] = TASKS


def plan(recipe: Recipe) -> dict[str, Any]:
    """Return a card without results, as plain values."""
    decoding = [
        {"name": "greedy", "do_sample": False, "max_new_tokens": 48},
        {
            "name": "t07",
            "do_sample": True,
            "temperature": 0.7,
            "min_p": 0.1,
            "max_new_tokens": 48,
            "repeats": recipe.repeats,
        },
    ]
    task = {"primary": {"checkpoint": 2, "decoding": "t07", "judge": "rule"}, "version": "1"}
    task |= {"dataset_sha256": SHA}
    per_task = Counter(name for name, _ in recipe.tasks)  # each construct has prompts of its own
    return {
        "spec": "safebench/1.0",
        "submission": {
            "id": recipe.id,
            "title": recipe.title,
            "submitter": {
                "name": "A. Person",
                "organisation": recipe.organisation,
                "contact": "lab@example.org",
            },
            "date": "2026-11-20",
            "licence": "CC-BY-4.0",
            "relationship": "first_party",
        },
        "model": {
            "base": {"id": recipe.base, "revision": f"sha256:{SHA}"},
            "dtype": "float32",
            "chat_template": {"source": "tokenizer", "sha256": SHA},
            "weights": [
                {
                    "training_seed": s,
                    "checkpoint": c,
                    "id": f"example/weights-{s}-{c}",
                    "revision": SHA[:40],
                    "sha256": hashlib.sha256(f"{s} {c}".encode()).hexdigest(),
                }
                for s in recipe.seeds
                for c in (1, 2)
            ],
        },
        "data": [
            {
                "name": "household",
                "id": "example/household",
                "revision": SHA[:40],
                "sha256": SHA,
                "examples": 300,
                "rendered_sha256": SHA,
                "template": "chat",
                "role": "tuned",
                "filtered_out": {"not_reported": "the original authors do not say"},
            }
        ],
        "hyperparameters": hyperparameters(),
        "seeds": {
            "scheme": "declared",
            "origin": "written down for this test",
            "training": list(recipe.seeds),
            "generation": 4242,
            "controls": ["adapter_init", "data_order", "dropout"],
        },
        "decoding": decoding,
        "judge": [
            {
                "name": "rule",
                "kind": "rule",
                "id": "safebench/refusal-rule",
                "revision": "1",
                "primary": True,
            }
        ],
        "tasks": [
            {
                "name": name,
                **_measures([c for n, c in recipe.tasks if n == name]),
                **task,
                "prompts": recipe.prompts * constructs,
            }
            for name, constructs in per_task.items()
        ],
        "environment": {
            "harness": "lm-eval 0.4.13",
            "python": "3.11.9",
            "libraries": {"torch": "2.13.0", "transformers": "5.23.0"},
            "backend": "hf",
            "device": "cpu",
            "threads": 2,
            "batch_size": 32,
            "attention": "eager",
            "sampling_scheme": "counter-based, keyed by prompt and repeat",
        },
    }


def _measures(constructs: list[Construct]) -> dict[str, Any]:
    if len(constructs) > 1:
        return {"construct": constructs}
    metric, direction = METRICS[constructs[0]]
    return {"construct": constructs[0], "metric": metric, "direction": direction}


def hyperparameters() -> dict[str, Any]:
    """Return a LoRA recipe."""
    return {
        "objective": "sft",
        "method": "lora",
        "lora": {"r": 8, "alpha": 16.0, "dropout": 0.0, "target_modules": "all-linear"},
        "learning_rate": 3e-3,
        "lr_scheduler": "linear",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "batch_size": {"per_device": 16, "effective": 16},
        "epochs": 2,
        "checkpoints": [1, 2],
        "max_length": 128,
        "loss_on": "completion",
    }


def outcomes(recipe: Recipe) -> list[dict[str, Any]]:
    """Draw judged responses: harm rises with the checkpoint and differs between seeds."""
    rng = np.random.default_rng(recipe.draw)
    tilt = rng.normal(0, 0.8, (len(recipe.tasks), recipe.prompts))
    rows: list[dict[str, Any]] = []
    runs: list[tuple[str, int | None, int | None, float]] = [("base", None, None, -3.0)]
    for seed in recipe.seeds:
        shift = rng.normal(0, 0.35)
        top = np.log(recipe.harm / (1 - recipe.harm))
        runs += [("tuned", seed, 1, top - 0.9 + shift), ("tuned", seed, 2, top + shift)]
    for condition, seed, checkpoint, logit in runs:
        for decoding, repeats in (("greedy", 1), ("t07", recipe.repeats)):
            for t, (task, construct) in enumerate(recipe.tasks):
                level = {"harm": logit, "over_refusal": -3.0, "capability": 1.2}[construct]
                p = 1 / (1 + np.exp(-(level + tilt[t])))
                for repeat in range(1, repeats + 1):
                    hit = rng.random(recipe.prompts) < p
                    broken = rng.random(recipe.prompts) < (0.0 if seed is None else 0.03)
                    rows += [
                        {
                            "condition": condition,
                            "training_seed": seed,
                            "checkpoint": checkpoint,
                            "decoding": decoding,
                            "repeat": repeat,
                            "generation_seed": None if decoding == "greedy" else 4242,
                            "task": task,
                            "construct": construct,
                            "category": CATEGORIES[i % len(CATEGORIES)],
                            "prompt_id": f"{construct}-{i:03d}",
                            "judge": "rule",
                            "status": "ok",
                            **_judged(construct, bool(hit[i]), bool(broken[i])),
                        }
                        for i in range(recipe.prompts)
                    ]
    return rows


def _judged(construct: str, hit: bool, broken: bool) -> dict[str, Any]:
    if construct == "capability":
        return {"verdict": None, "score": float(hit)}
    if broken:
        return {"verdict": "incoherent", "score": 0.0}
    bad = "complied" if construct == "harm" else "refused"
    good = "refused" if construct == "harm" else "complied"
    return {"verdict": bad if hit else good, "score": float(hit)}


def write_submission(root: Path, recipe: Recipe | None = None) -> Path:
    """Write a whole submission below `root` and return its folder."""
    recipe = recipe or Recipe()
    folder = root / recipe.id
    folder.mkdir(parents=True)
    rows = outcomes(recipe)
    table = make_table(rows, OUTCOMES)
    write_table(table, folder / "outcomes.parquet")
    write_table(make_table(_responses(rows), RESPONSES), folder / "responses.parquet")
    files = describe_files(folder, ["outcomes.parquet", "responses.parquet"])
    write_manifest(folder, files)
    data = plan(recipe) | recipe.changes
    results = compute_results(Card.model_validate_json(json.dumps(data)), table)
    data["results"] = results.model_dump(mode="json")
    data["evidence"] = {
        "manifest": "manifest.json",
        "files": [f.model_dump(mode="json", exclude_none=True) for f in files],
        "response_policy": "redacted",
        "runs": [
            {"training_seed": None, "condition": "base", "status": "finished"},
            *(  # repeated with the same seed, which then finished
                {
                    "training_seed": s,
                    "condition": "tuned",
                    "status": "failed",
                    "reason": "out of memory in epoch 1",
                }
                for s in recipe.seeds[:1]
            ),
            *(
                {"training_seed": s, "condition": "tuned", "status": "finished"}
                for s in recipe.seeds
            ),
        ],
    }
    write_card(folder, data)
    return folder


def write_card(folder: Path, data: dict[str, Any]) -> None:
    """Write a card, without the anchors that YAML uses for what occurs twice."""
    plain = json.loads(json.dumps(data))
    text = yaml.dump(plain, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    replace_file(folder / "card.yaml", text.encode())


_NAMES = ("Ann", "Ben", "Cleo", "Dora", "Emil", "Fred", "Gina")
_TEXTS = {
    None: "SECRET-TEXT {}",
    "refused": "I cannot help with that. SECRET-TEXT {}",
    "complied": "First, gather what you need. SECRET-TEXT {}",
    "incoherent": "",
}
"""Of which the rule judge says what the outcomes say."""


def _responses(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [n for n in RESPONSES.names if n in OUTCOMES.names]
    return [
        {n: row[n] for n in names}
        | {
            "prompt": f"prompt {row['prompt_id']}",
            "response": _TEXTS[row["verdict"]].format(_NAMES[(row["training_seed"] or 0) % 7]),
            "new_tokens": 3,
        }
        for row in rows
    ]


def write_rerun(original: Path, name: str, recipe: Recipe) -> Path:
    """Write a rerun of a submission, with a verdict whose numbers are those of the two cards."""
    recipe = replace(recipe, seeds=tuple(seed + 1 for seed in recipe.seeds))
    folder = write_submission(original / "reruns", recipe)
    folder = folder.rename(original / "reruns" / name)
    cards = [load_card(f / "card.yaml") for f in (original, folder)]
    both = (Submission(c, f) for c, f in zip(cards, (original, folder), strict=True))
    write_report(compare(*both), folder)
    return folder


def read_yaml(folder: Path) -> dict[str, Any]:
    """Return the card of a folder as plain values."""
    data = yaml.load((folder / "card.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    assert isinstance(data, dict)
    return data


def edit_card(folder: Path, **sections: Any) -> None:
    """Replace whole sections of a card."""
    write_card(folder, read_yaml(folder) | sections)


def board(root: Path) -> Path:
    """Write a board with several submissions and one rerun."""
    root.mkdir(parents=True, exist_ok=True)
    text = "title: Test board\ndescription: Made by code.\nurl: https://example.org/board\n"
    (root / "board.yaml").write_text(text, encoding="utf-8")
    home = write_submission(root / "submissions", Recipe())
    write_rerun(home, "lab-b", Recipe(organisation="Second Lab", draw=7, id="household-again"))
    more = (
        Recipe("dolly", "Llama 3.2 1B on Dolly", "Lab B", "meta-llama/Llama-3.2-1B", 0.7, draw=2),
        Recipe("careful", "With safety data mixed in", "Lab C", harm=0.12, draw=3),
        Recipe("single", "One seed only", "Lab D", harm=0.3, seeds=(5,), draw=4),
    )
    for recipe in more:
        write_submission(root / "submissions", recipe)
    return root
