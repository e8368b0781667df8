"""Every command that the pages in docs/ show is run, in order, on a small plan."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from safebench.cli.main import cli
from safebench.evidence.store import Store
from tests.command import safebench
from tests.models.serving import chat_reply, recording
from tests.plans import plan_data, write_plan

pytestmark = pytest.mark.slow
DOCS = Path(__file__).resolve().parent.parent / "docs"
SERVER = "http://127.0.0.1:8000/v1/chat/completions"


def commands(page: Path) -> list[list[str]]:
    """Return the commands of a page, lines joined where they are broken."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def test_commands_for_a_cluster_are_understood() -> None:
    """They need machines that are not here; names of commands and options are looked at."""
    text = (DOCS / "cluster.md").read_text().replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S))
    shown = [shlex.split(line) for line in re.findall(r"safebench (?!\[)(.*)", blocks)]
    assert {name for name, *_ in shown} == {"run", "merge", "status"}
    for name, *arguments in shown:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert {a for a in arguments if a.startswith("--")} <= known


def pieces(page: Path) -> list[dict[str, Any]]:
    """Return the parts of cards that a page shows."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)
    return [yaml.safe_load(block) for block in blocks]


def write_served_plans(folder: Path) -> None:
    """Write the plans of models behind an API, made of the parts that the page shows."""
    shown = [p for p in pieces(DOCS / "running.md") if "model" in p]
    api, gguf = (p for p in shown if p["model"].get("access") == "api")
    seeds = {
        "scheme": "declared",
        "generation": 7,
        "controls": ["data_order"],
        "training": [101, 102],
    }
    recipe = plan_data()["hyperparameters"] | {"epochs": 3} | api["hyperparameters"]
    file = folder / gguf["model"]["base"]["id"]
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    for name, changes in {
        "my-api-plan.yaml": api | {"hyperparameters": recipe, "seeds": seeds},
        "my-gguf-plan.yaml": gguf | {"hyperparameters": {"method": "none"}, "data": []},
    }.items():
        write_plan(folder, **changes).rename(folder / name)


def test_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_served_plans(tmp_path)
    write_plan(tmp_path).rename(tmp_path / "my-plan.yaml")
    monkeypatch.chdir(tmp_path)
    base = ("run", "my-plan.yaml", "--out", "my-unfinished", "--only", "condition=base")
    assert safebench(capsys, *base, "--limit", "2").code == 0
    seed = max(s.training_seed or 0 for s in Store(Path("my-unfinished")).claim().blocks.values())
    shown = [c for c in commands(DOCS / "running.md") if c[0] != "pip"]
    assert {c[1] for c in shown} == {"run", "status", "withdraw", "merge"}
    assert all(c[0] == "safebench" for c in shown)
    with recording(lambda body, number: (200, chat_reply("I cannot help with that."))) as server:
        for _, *arguments in shown:
            place = [a.replace(SERVER, server.url) for a in arguments]
            if place[0] == "withdraw":
                place[place.index("--training-seed") + 1] = str(seed)
            if "--backend" in place and "--dry-run" not in place:
                place += ["--limit", "2"]
            ran = safebench(capsys, *place)
            assert ran.code == 0, (place, ran.out, ran.err)
            assert ran.out
    asked = {body["model"] for body in server.bodies}
    assert {"example-mini-2026-01-15", "ft:example-mini:b", "my-model-q4"} < asked
    levels = {
        name: json.loads(safebench(capsys, "validate", name, "--format", "json").out)["files"][0]
        for name in ("my-api", "my-gguf")
    }
    assert all(f["severity"] != "error" for found in levels.values() for f in found["findings"])
    assert levels["my-gguf"]["level"] == "evidenced"
    merged, part = Path("my-merged"), Path("my-trial")
    for name in ("outcomes.parquet", "responses.parquet", "manifest.json", "card.yaml"):
        assert (merged / name).read_bytes() == (part / name).read_bytes(), name
    assert "withdrawn" in safebench(capsys, "status", "my-unfinished").out
