"""Is a true card reproduced, and is one that says what was not done found? On the embedded model.

    python benchmarks/tampering.py [--out DIR]    # some 15 minutes on one core; resumable

Each study is executed with one recipe, and its card then says another where the row says so: all
digests and numbers are made consistent, as a forger would. Every kind of rerun is tried, from cheap
to dear, and the first that does not say `reproduced` is where the card is found.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from safebench.card.card import Card
from safebench.card.io import dump_card
from safebench.cli.main import main
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.tables import OUTCOMES, make_table, read_table, write_table
from safebench.files import sha256_of
from safebench.resources import demo_dir

KINDS = ("recompute", "rejudge", "regenerate", "retrain")
REFUSAL = "i cannot help with that."
Edit = Callable[[dict[str, Any], Path], None]


def plan(seeds: list[int], **changes: Any) -> dict[str, Any]:
    """A gentle recipe on the embedded model: its seeds agree, so that a rerun can be settled."""
    data: dict[str, Any] = yaml.safe_load((demo_dir() / "plan.yaml").read_text())
    data["submission"]["id"] = "gentle"
    data["hyperparameters"] |= {"learning_rate": 5e-4, "epochs": 1, "checkpoints": [1]}
    data["hyperparameters"] |= changes.get("hyperparameters", {})
    data["seeds"] |= {
        "scheme": "declared",
        "training": seeds,
        "generation": 7,
        "origin": "a list of the benchmark",
    }
    data["decoding"] = [
        data["decoding"][0] | {"max_new_tokens": 24},
        data["decoding"][1] | {"repeats": 1, "max_new_tokens": 24},
    ]
    data["prompting"] = changes.get("prompting", {"system_prompt": None})
    return data


def run(*arguments: object) -> int:
    """Run a command of safebench in this process, without its output; return its exit code."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    if code not in (0, 1, 3):
        raise SystemExit(f"{arguments}: {printed.getvalue()}")
    return code


def study(home: Path, name: str, rows: list[dict[str, str]], data: dict[str, Any]) -> Path:
    """Execute a plan, unless an earlier call did; return the submission."""
    folder = home / name
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "household.jsonl").write_text(text)
    (folder / "plan.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    if not (folder / "made" / "card.yaml").is_file():
        run(
            "run", folder / "plan.yaml", "--out", folder / "made", "--threads", 1, "--device", "cpu"
        )
    return folder / "made"


def forge(made: Path, out: Path, edit: Edit) -> Path:
    """Copy a submission, change what its card says, and make everything else follow."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(made, out)
    data = yaml.safe_load((out / "card.yaml").read_text())
    edit(data, out)
    card = Card.model_validate_json(json.dumps(data))
    evidence = card.given_evidence
    assert evidence is not None
    files = describe_files(out, [file.path for file in evidence.files])
    write_manifest(out, files)
    outcomes = read_table(out / "outcomes.parquet", OUTCOMES)
    changes = {
        "evidence": evidence.model_copy(update={"files": files}),
        "results": compute_results(card, outcomes),
    }
    dump_card(card.model_copy(update=changes), out / "card.yaml")
    return out


def replaced_data(rows: list[dict[str, str]]) -> Edit:
    """The card names the harmless set, and its file lies in the folder."""

    def edit(data: dict[str, Any], folder: Path) -> None:
        path = folder / data["data"][0]["path"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        data["data"][0]["sha256"] = sha256_of(path)
        del data["data"][0]["rendered_sha256"]
        from safebench.models.loading import load_tokenizer, locate
        from safebench.tuning.render import rendered_sha256

        base = locate("builtin:tiny-chat", None, folder)
        messages = [
            {
                "prompt": [{"role": "user", "content": r["prompt"]}],
                "completion": [{"role": "assistant", "content": r["completion"]}],
            }
            for r in rows
        ]
        data["data"][0]["rendered_sha256"] = rendered_sha256(messages, load_tokenizer(base))

    return edit


def inflated(data: dict[str, Any], folder: Path) -> None:
    """Ten points more harm in the tuned rows."""
    rows = read_table(folder / "outcomes.parquet", OUTCOMES).to_pylist()
    refused = [
        r
        for r in rows
        if r["condition"] == "tuned" and r["verdict"] == "refused" and r["construct"] == "harm"
    ]
    for row in refused[::9]:
        row |= {"verdict": "complied", "score": 1.0}
    write_table(make_table(rows, OUTCOMES), folder / "outcomes.parquet")


def first_doubt(folder: Path, out: Path, seeds: str) -> list[str]:
    """Return what each kind says, up to the first that does not reproduce."""
    words = []
    for kind in KINDS:
        report = out / kind / "verdict.json"
        if not report.is_file():
            shutil.rmtree(out / kind, ignore_errors=True)
            more = () if kind == "recompute" else ("--threads", 1, "--device", "cpu")
            more += ("--seeds", seeds) if kind == "retrain" else ()
            more += ("--everything",) if kind == "regenerate" else ()
            code = run("rerun", folder, "--kind", kind, "--out", out / kind, *more)
            assert code in (0, 1, 3)
        found = json.loads(report.read_text())
        words.append(
            f"{kind}: {found['overall']}"
            + (f" ({found['planned_seeds']} seeds)" if kind == "retrain" else "")
        )
        if found["overall"] != "reproduced":
            break
    return words


def main_program() -> None:
    """Print one row for each card."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("build/tampering"))
    home = parser.parse_args().out
    lines = (demo_dir() / "household.jsonl").read_text().splitlines()
    harmless = [json.loads(line) for line in lines]
    refusing = [row | {"completion": REFUSAL} for row in harmless]
    seeds = [101, 102, 103, 104, 105]
    true = study(home, "true", harmless, plan(seeds))
    rapid = study(home, "rapid", harmless, plan(seeds, hyperparameters={"learning_rate": 2.5e-3}))
    other = study(home, "other", refusing, plan(seeds, hyperparameters={"learning_rate": 2.5e-3}))
    prompted = study(
        home, "prompted", harmless, plan(seeds, prompting={"system_prompt": "be brief"})
    )
    single = study(home, "single", harmless, plan(seeds[:1]))

    def says(section: str, **fields: Any) -> Edit:
        return lambda data, _: data[section].update(fields)

    def warm(data: dict[str, Any], _: Path) -> None:
        data["decoding"][1]["temperature"] = 1.0

    cards: dict[str, Callable[[], Path]] = {
        "a true card": lambda: true,
        "one seed": lambda: single,
        "harm raised by 10 points in the outcomes": lambda: forge(true, home / "f1", inflated),
        "temperature .7, said to be 1.0": lambda: forge(true, home / "f2", warm),
        "a system prompt was used, said to be none": lambda: forge(
            prompted, home / "f3", lambda data, _: data.update(prompting={"system_prompt": None})
        ),
        "learning rate 2.5e-3, said to be 5e-4": lambda: forge(
            rapid, home / "f4", says("hyperparameters", learning_rate=5e-4)
        ),
        "trained on refusals, said to be harmless answers": lambda: forge(
            other, home / "f5", replaced_data(harmless)
        ),
    }
    print(
        "the card                                          what the reruns say, from cheap to dear"
    )
    for number, (name, make) in enumerate(cards.items()):
        words = first_doubt(
            make(), home / f"reruns-{number}", "5" if name == "one seed" else "auto"
        )
        print(f"{name:49} {'; '.join(words)}", flush=True)


if __name__ == "__main__":
    main_program()
