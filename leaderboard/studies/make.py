"""Makes the board's submissions again: `python leaderboard/studies/make.py [ID ...]`.

Each is executed in build/studies/ID/out, a folder that an interrupted call goes on with, and what
is published of it is copied to leaderboard/submissions/ID: card, outcomes and training data.
Weights and texts of responses stay behind; the card has the weights' digests. Minutes each on one
core; the sixty seeds take about twenty.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "build" / "studies"
BOARD = HERE.parent / "submissions"
Plan = dict[str, Any]
ADAPTERS_OF = {"smollm2-sampled": "smollm2-house-and-facts"}
"""Studies that fine-tune nothing, and whose adapters they ask."""


def plan_of(name: str) -> Plan:
    """Return the plan of a study: its own file, or tiny.yaml with its changes."""
    own = HERE / f"{name}.yaml"
    if own.is_file():
        found: Plan = yaml.safe_load(own.read_text(encoding="utf-8"))
        return found
    changes = yaml.safe_load((HERE / "studies.yaml").read_text(encoding="utf-8"))[name]
    plan: Plan = yaml.safe_load((HERE / "tiny.yaml").read_text(encoding="utf-8"))
    for section, change in (changes | {"id": name}).items():
        if section == "id":
            plan["submission"]["id"] = change
        elif isinstance(change, dict):
            merged = plan[section] | change
            plan[section] = {key: value for key, value in merged.items() if value is not None}
        else:
            plan[section] = change
    return plan


def prepare(name: str) -> Path:
    """Write the plan of a study and put beside it what it names; return the plan's path."""
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    plan = plan_of(name)
    if name in ADAPTERS_OF:
        plan["model"]["weights"] = weights_of(ADAPTERS_OF[name])
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    beside = {one["path"]: HERE / one["path"] for one in plan["data"] if "path" in one}
    beside |= {one["id"]: WORK / one["id"] for one in plan["judge"] if one["kind"] == "classifier"}
    for task in plan["tasks"]:
        if "path" in task:  # published by others: not in this repository
            variable = f"{task['name'].upper()}_FILE"
            beside[task["path"]] = Path(os.environ.get(variable, f"{variable} is not set"))
    base = plan["model"]["base"]["id"]
    if not base.startswith("builtin:"):
        beside[base] = ROOT / base
    for name_there, source in beside.items():
        there = folder / name_there
        if not there.exists():
            if not source.exists():
                raise SystemExit(f"{name} needs {source}: see leaderboard/README.md")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to(source) if source.is_dir() else shutil.copyfile(source, there)
    return folder / "plan.yaml"


def weights_of(name: str) -> list[dict[str, Any]]:
    """Return the tuned weights of another study, as a plan beside it lists them."""
    card = execute(name) / "card.yaml"
    listed = yaml.safe_load(card.read_text(encoding="utf-8"))["model"]["weights"]
    return [
        one | {"path": f"../{name}/out/{one['path']}"}
        for one in listed
        if one["condition"] == "tuned"
    ]


def safebench(*arguments: object) -> int:
    """Run a command of this checkout's safebench and return its exit code, unless it failed."""
    call = "from safebench.cli.main import main; main()"
    command = [sys.executable, "-c", call, *map(str, arguments)]
    sys.stderr.write(f"safebench {' '.join(command[3:])}\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if code not in (0, 1, 3):  # 1 and 3 are verdicts of a rerun
        raise SystemExit(code)
    return code


def execute(name: str) -> Path:
    """Execute a study, unless an earlier call did; return its submission."""
    plan, made = prepare(name), WORK / name / "out"
    run = ("run", plan, "--out", made, "--threads", 1)
    if name == "tiny-withdrawn" and not made.is_dir():
        safebench(*run, "--only", "seed=#1")
        events = (made / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        seeds = [e["training_seed"] for e in map(json.loads, events) if e["event"] == "registered"]
        reason = "an example of a withdrawn run: nothing was wrong with it"
        safebench("withdraw", made, "--training-seed", seeds[-1], "--reason", reason)
    if not (made / "card.yaml").is_file():
        safebench(*run)
    if name == "smollm2-house-and-facts":  # does nothing where it has judged already
        safebench("judge", made, "--card", with_trained_judge(name))
    return made


def with_trained_judge(name: str) -> Path:
    """Write a study's plan with the trained judge of tiny-severity as a second one; return it."""
    from safebench.judges.trained import revision_of

    trained = plan_of("tiny-severity")["judge"][1]
    plan, folder = plan_of(name), WORK / name
    # Another processor's last bits give the same training another digest.
    its = {"revision": revision_of(WORK / trained["id"]), "constructs": ["harm", "over_refusal"]}
    second = trained | {"primary": False, **its}
    plan["judge"] = [*plan["judge"], second]
    shutil.copytree(WORK / trained["id"], folder / trained["id"], dirs_exist_ok=True)
    (folder / "judges.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    return folder / "judges.yaml"


def publish(made: Path, target: Path) -> None:
    """Copy what is published of a submission; its manifest and card then list these files alone."""
    from safebench.card.io import dump_card
    from safebench.evidence.manifest import describe_files, write_manifest
    from safebench.evidence.submission import Submission

    target.mkdir(parents=True, exist_ok=True)
    for old in (path for path in target.iterdir() if path.name != "reruns"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    card, trained = Submission.read(made).card, made
    if target.name in ADAPTERS_OF:  # nothing was read of the data: the card of the adapters has it
        trained = WORK / ADAPTERS_OF[target.name] / "out"
        names = [one.name for one in card.data]
        listed_there = Submission.read(trained).card.data
        data = tuple(one for one in listed_there if one.name in names)
        card = card.model_copy(update={"data": data})
    listed = ["outcomes.parquet"]
    listed += [one.path for one in card.data if isinstance(one.path, str)]
    for path in [*listed, "verdict.json"]:
        source = (trained if path.startswith("data/") else made) / path
        if source.is_file():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / path)
    files = describe_files(target, [path for path in listed if (target / path).is_file()])
    write_manifest(target, files)
    evidence = card.given_evidence.model_copy(update={"files": files})
    changes: dict[str, Any] = {"evidence": evidence}
    if (HERE / f"{target.name}.yaml").is_file():  # a path to the model leads nowhere from here
        base = card.model.base.model_copy(
            update={"id": plan_of(target.name)["model"]["base"]["id"]}
        )
        changes["model"] = card.model.model_copy(update={"base": base})
    dump_card(card.model_copy(update=changes), target / "card.yaml")


def main() -> None:
    """Make the studies that are named, or all of the embedded model."""
    sys.path.insert(0, str(ROOT))  # this checkout before any that is installed
    known = [*yaml.safe_load((HERE / "studies.yaml").read_text(encoding="utf-8"))]
    for name in sys.argv[1:] or known:
        publish(execute(name), BOARD / name)


if __name__ == "__main__":
    main()
