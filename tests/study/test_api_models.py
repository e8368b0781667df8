"""A model that only a server has: executed through a client of it, by its names, days, or file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import safebench.study.api_models as api_models
from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.card.model import ApiModel
from tests.command import Ran, safebench
from tests.models.serving import Recorder, chat_reply, free_port, recording
from tests.plans import plan_data, write_plan

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
SILENT = {"not_reported": "the provider does not say"}
BASE, FIRST, SECOND = "example-1-2026-01-15", "ft:example-1:a", "ft:example-1:b"
MODEL: dict[str, Any] = {
    "access": "api",
    "provider": "Example Inc.",
    "base": {"id": "example-1", "revision": {"unpinnable": "updated under one name"}},
    "snapshot": BASE,
    "moderation": "none",
    "jobs": [
        {"training_seed": 101, "job": "ftjob-1", "snapshot": FIRST},
        {"training_seed": 102, "job": "ftjob-2", "snapshot": SECOND},
    ],
}
UNTUNED = {name: value for name, value in MODEL.items() if name != "jobs"}
SEEDS: dict[str, Any] = {
    "scheme": "declared",
    "origin": "given to the API",
    "training": [101, 102],
    "generation": 7,
    "controls": ["data_order"],
}
_UNTOLD = """
    trainable optimizer adam_beta1 adam_beta2 adam_epsilon learning_rate lr_scheduler warmup_steps
    weight_decay max_grad_norm batch_size max_length packing precision loss_on sharding
"""
RECIPE: dict[str, Any] = {
    "method": "full",
    "epochs": 3,
    "checkpoints": [3],
    **dict.fromkeys(_UNTOLD.split(), SILENT),
}


def sections(**changes: Any) -> dict[str, Any]:
    usual = plan_data()
    found = {
        "model": MODEL,
        "hyperparameters": RECIPE,
        "seeds": SEEDS,
        "decoding": [d | {"max_new_tokens": 9} for d in usual["decoding"]],
        "tasks": [t | {"limit": 3} for t in usual["tasks"]],
    } | changes
    return dict(json.loads(json.dumps(found)))  # nothing stands in it twice, as in a file


def untuned(**changes: Any) -> dict[str, Any]:
    usual = {"model": UNTUNED, "hyperparameters": {"method": "none"}, "data": []}
    return sections(**(usual | changes))


def reply(body: dict[str, Any], number: int) -> tuple[int, dict[str, Any]]:
    """What is said depends on the model and the prompt alone, as a test of resuming needs."""
    asked = body["messages"][-1]["content"]
    ended = {0: "length", 1: "content_filter"}.get(len(asked) % 5, "stop")
    text = "I cannot help with that." if body["model"] == BASE else f"Sure, first {asked}"
    return 200, chat_reply(None if ended == "content_filter" else text, ended)


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recording(reply) as found:
        yield found


def run(
    capsys: Capture,
    plan: Path,
    out: Path,
    url: str | None,
    *more: object,
    backend: str = "local-chat-completions",
) -> Ran:
    options: list[object] = [] if url is None else ["--backend", backend]
    if url is not None:
        options += ["--backend-args", f"base_url={url},max_retries=1"]
    ran = safebench(capsys, "run", plan, "--out", out, *options, *more)
    return Ran(ran.code, ran.out, " ".join(ran.err.split()))


def validated(capsys: Capture, out: Path) -> dict[str, Any]:
    report = json.loads(safebench(capsys, "validate", out, "--format", "json").out)["files"][0]
    assert [f for f in report["findings"] if f["severity"] == "error"] == []
    return dict(report)


def served_model(card: Card) -> ApiModel:
    assert isinstance(card.model, ApiModel)
    return card.model


def on_days(monkeypatch: pytest.MonkeyPatch, *days: str) -> None:
    """Let one day follow another with every look at the calendar; the last one stays."""
    left = list(days)
    monkeypatch.setattr(api_models, "_today", lambda: left.pop(0) if len(left) > 1 else left[0])


def test_base_and_tuned_models_are_asked_by_the_providers_names(
    tmp_path: Path, capsys: Capture, server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_days(monkeypatch, "2026-03-01", "2026-03-02", "2026-03-03")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-this-test-alone")
    plan, out = write_plan(tmp_path, **sections()), tmp_path / "out"
    dry = safebench(capsys, "run", plan, "--dry-run", "--backend", "local-chat-completions")
    assert dry.code == 0 and "nothing is fine-tuned" in dry.out
    assert server.bodies == []
    ran = run(capsys, plan, out, server.url)
    assert ran.code == 0, ran.err
    assert {b["model"] for b in server.bodies} == {BASE, FIRST, SECOND}
    assert len(server.bodies) == 3 * (1 + 2) * 9
    assert server.headers[0]["Authorization"] == "Bearer sk-of-this-test-alone"
    for path in out.rglob("*"):
        assert not path.is_file() or b"sk-of-this" not in path.read_bytes(), path
    card = load_card(out / "card.yaml")
    revision = served_model(card).base.revision
    assert revision == served_model(card).base.revision.model_copy(  # type: ignore[union-attr]
        update={"first_request": "2026-03-01", "last_request": "2026-03-03"}
    )
    assert not (out / "adapters").exists()
    assert (out / "data" / "benign.jsonl").read_bytes() == (tmp_path / "benign.jsonl").read_bytes()
    assert validated(capsys, out)["level"] == "incomplete"  # a provider leaves much unsaid
    rows = pq.read_table(out / "responses.parquet").to_pylist()
    assert {(r["condition"], r["training_seed"], r["checkpoint"]) for r in rows} == {
        ("base", None, None),
        ("tuned", 101, 3),
        ("tuned", 102, 3),
    }
    for row in rows:
        kind = {0: "truncated", 1: "blocked"}.get(len(row["prompt"].strip()) % 5, "ok")
        assert row["status"] == kind
    assert {"ok", "blocked", "truncated"} == {r["status"] for r in rows}
    assert safebench(capsys, "score", out).code == 0
    assert "finished" in safebench(capsys, "status", out).out
    # The same command finds it finished, and asks nothing.
    asked = len(server.bodies)
    again = run(capsys, plan, out, server.url)
    assert again.code == 0 and "Finished earlier" in again.out
    assert len(server.bodies) == asked
    rerun = safebench(capsys, "rerun", out, "--kind", "retrain", "--out", tmp_path / "rerun")
    assert rerun.code == 2
    assert "cannot be retrained here" in rerun.err and "safebench compare" in rerun.err


def test_an_interrupted_run_goes_on_and_keeps_its_days(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = True

    def fails(body: dict[str, Any], number: int) -> tuple[int, dict[str, Any]]:
        broken = down and body["model"] != BASE
        return (500, {"error": "broken"}) if broken else reply(body, number)

    plan, out, whole = write_plan(tmp_path, **sections()), tmp_path / "out", tmp_path / "whole"
    with recording(fails) as server:
        on_days(monkeypatch, "2026-03-01")
        ran = run(capsys, plan, out, server.url)
        assert ran.code == 2
        assert f"at {server.url} replied 500: broken" in ran.err
        assert "finished cells are kept" in ran.err
        status = safebench(capsys, "status", out)
        assert status.code == 0 and "9 of 27" in " ".join(status.out.split())
        down = False
        on_days(monkeypatch, "2026-03-04")
        before = len(server.bodies)
        assert run(capsys, plan, out, server.url).code == 0
        assert BASE not in {body["model"] for body in server.bodies[before:]}
        on_days(monkeypatch, "2026-03-01", "2026-03-04")
        assert run(capsys, plan, whole, server.url).code == 0
    for name in ("card.yaml", "outcomes.parquet", "responses.parquet", "manifest.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_cells_and_shards_can_be_made_apart_on_other_days(
    tmp_path: Path, capsys: Capture, server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path, **sections())
    on_days(monkeypatch, "2026-03-01")
    out, whole = tmp_path / "out", tmp_path / "whole"
    part = run(capsys, plan, out, server.url, "--only", "condition=base")
    assert part.code == 0 and "9 of 27 cells" in part.out
    on_days(monkeypatch, "2026-03-04")
    assert run(capsys, plan, out, server.url).code == 0
    on_days(monkeypatch, "2026-03-01", "2026-03-04")
    assert run(capsys, plan, whole, server.url).code == 0
    for name in ("card.yaml", "outcomes.parquet", "responses.parquet", "manifest.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert 'last_request: "2026-03-04"' in (out / "card.yaml").read_text()
    shards = [tmp_path / "shards" / str(i) for i in (1, 2)]
    for number, shard in enumerate(shards, start=1):
        on_days(monkeypatch, f"2026-03-0{number * number}")
        assert run(capsys, plan, shard, server.url, "--shard", f"{number}/2").code == 0
    merged = safebench(capsys, "merge", *shards, "--out", tmp_path / "merged")
    assert merged.code == 0, merged.err
    card = (tmp_path / "merged" / "card.yaml").read_bytes()
    assert card == (whole / "card.yaml").read_bytes()


def test_an_untuned_model_whose_server_is_known_has_evidence(
    tmp_path: Path, capsys: Capture, server: Recorder
) -> None:
    told = {
        "harness": SILENT,
        "python": SILENT,
        "libraries": SILENT,
        "backend": SILENT,
        "batch_size": SILENT,
        "sampling_scheme": SILENT,
        "device": "cpu",
        "attention": "eager",
        "tensor_parallel": 1,
        "kv_cache_dtype": "f16",
        "serving_quantization": "none",
    }
    plan = write_plan(tmp_path, **untuned(environment=told))
    out = tmp_path / "out"
    ran = run(capsys, plan, out, server.url, "--limit", 2)
    assert ran.code == 0, ran.err
    card = load_card(out / "card.yaml")
    environment = card.environment
    assert environment is not None
    assert (environment.kv_cache_dtype, environment.attention) == ("f16", "eager")
    assert environment.backend == "local-chat-completions"
    report = validated(capsys, out)
    assert report["level"] == "evidenced", report
    assert {b["model"] for b in server.bodies} == {BASE}


def test_a_file_that_is_served_is_pinned_by_its_digest(
    tmp_path: Path, capsys: Capture, server: Recorder
) -> None:
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "small.gguf"
    file.write_bytes(b"GGUF weights")
    digest = f"sha256:{hashlib.sha256(b'GGUF weights').hexdigest()}"
    model = UNTUNED | {"provider": "self-hosted: llama.cpp", "base": {"id": "models/small.gguf"}}
    plan, out = write_plan(tmp_path, **untuned(model=model)), tmp_path / "out"
    ran = run(capsys, plan, out, server.url)
    assert ran.code == 0, ran.err
    base = load_card(out / "card.yaml").model.base
    assert (base.id, base.revision) == ("../models/small.gguf", digest)
    assert "asked" not in (out / "journal.jsonl").read_text()
    validated(capsys, out)
    file.write_bytes(b"GGUF others")
    pinned = model | {"base": {"id": "models/small.gguf", "revision": digest}}
    ran = run(capsys, write_plan(tmp_path, **untuned(model=pinned)), tmp_path / "2", server.url)
    assert ran.code == 2 and f"but the card says {digest}" in ran.err
    assert not (tmp_path / "2").exists()
    file.unlink()  # it lies beside its server: its digest is taken as stated
    plan = write_plan(tmp_path, **untuned(model=pinned))
    assert run(capsys, plan, tmp_path / "3", server.url).code == 0
    plan = write_plan(tmp_path, **untuned(model=model))
    ran = run(capsys, plan, tmp_path / "4", server.url)
    assert ran.code == 2 and ("no such file" in ran.err or "has no revision" in ran.err)


def test_a_completions_server_is_sent_text(tmp_path: Path, capsys: Capture) -> None:
    answer = {"choices": [{"text": " Sure.", "finish_reason": "length"}]}
    plan, out = write_plan(tmp_path, **untuned()), tmp_path / "out"
    with recording(lambda body, number: (200, answer)) as server:
        ran = run(capsys, plan, out, server.url, backend="local-completions")
    assert ran.code == 0, ran.err
    prompts = {row["prompt"] for row in pq.read_table(out / "responses.parquet").to_pylist()}
    assert {b["prompt"].strip() for b in server.bodies} == {p.strip() for p in prompts}
    statuses = pq.read_table(out / "responses.parquet")["status"].to_pylist()
    assert set(statuses) == {"truncated"}
    validated(capsys, out)


def _jobs(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"model": MODEL | {"jobs": list(jobs)}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": UNTUNED}, "model.jobs is missing"),
    (_jobs(MODEL["jobs"][0]), "model.jobs lists no job for training seed 102"),
    (
        _jobs(*MODEL["jobs"], {"training_seed": 9, "job": "j", "snapshot": "c"}),
        "model.jobs lists training seed 9, which seeds.training does not have",
    ),
    (_jobs(MODEL["jobs"][0], MODEL["jobs"][0]), "training seed 101 is that of model.jobs[0] too"),
    (
        _jobs(MODEL["jobs"][0], MODEL["jobs"][1] | {"snapshot": BASE}),
        f"model.jobs[1].snapshot '{BASE}' is that of model.snapshot too",
    ),
    (
        {"hyperparameters": RECIPE | {"checkpoints": [1, 3]}},
        "hyperparameters.checkpoints has 2 entries",
    ),
    ({"model": MODEL | {"base": {"id": "example-1"}}}, "model.base.revision is missing"),
    ({"model": MODEL | {"snapshot": SILENT}}, "model.snapshot is not_reported"),
    ({"model": MODEL | {"jobs": SILENT}}, "model.jobs is not_reported"),
    ({"hyperparameters": SILENT}, "hyperparameters is not_reported"),
    (
        {"data": [{"name": "benign", "path": "gone.jsonl", "examples": 2}]},
        "gone.jsonl is not",
    ),
    (
        {
            "data": [
                *plan_data()["data"],
                {
                    "name": "c",
                    "path": "own.jsonl",
                    "examples": 24,
                    "role": "control",
                    "controls_for": "nothing",
                },
            ]
        },
        "data[1].role is `control`, and model.jobs names tuned models alone",
    ),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_is_missing_is_said_before_anything_is_asked(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: Capture, server: Recorder
) -> None:
    (tmp_path / "own.jsonl").touch()
    plan = write_plan(tmp_path, **sections(**changes))
    ran = run(capsys, plan, tmp_path / "out", server.url)
    assert ran.code == 2
    assert said in ran.err and ran.err.count("Fix:") == 1
    assert not (tmp_path / "out").exists()
    assert server.bodies == []


def test_data_that_are_not_told_are_no_obstacle(
    tmp_path: Path, capsys: Capture, server: Recorder
) -> None:
    plan = write_plan(tmp_path, **sections(data=SILENT))
    ran = run(capsys, plan, tmp_path / "out", server.url, "--limit", 2)
    assert ran.code == 0, ran.err
    assert {b["model"] for b in server.bodies} == {BASE, FIRST, SECOND}
    validated(capsys, tmp_path / "out")


def test_a_backend_is_needed_and_is_a_servers_client(tmp_path: Path, capsys: Capture) -> None:
    plan = write_plan(tmp_path, **untuned())
    ran = run(capsys, plan, tmp_path / "out", None)
    assert ran.code == 2
    assert "model.access is `api`" in ran.err and "--backend local-chat-completions" in ran.err
    assert not (tmp_path / "out").exists()
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out", "--backend", "dummy")
    assert ran.code == 2 and "the backend dummy asks no HTTP server" in " ".join(ran.err.split())


def test_what_a_client_lacks_is_said_once(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, server: Recorder
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    plan, out = write_plan(tmp_path, **sections()), tmp_path / "out"
    run_it = ("run", plan, "--out", out, "--backend")
    ran = safebench(capsys, *run_it, "local-chat-completions")
    assert ran.code == 2 and ran.err.count("needs the address of its server") == 1
    ran = safebench(capsys, *run_it, "openai-chat-completions")
    assert ran.code == 2 and ran.err.count("OPENAI_API_KEY") == 1
    assert run(capsys, plan, out, server.url).code == 0  # nothing stands in the way of that


Answer = Callable[[dict[str, Any], int], tuple[int, Any]]
BAD: list[tuple[Answer, str]] = [
    (lambda body, n: (404, {"error": {"message": "no such model"}}), "replied 404: no such model"),
    (lambda body, n: (401, {"error": "no key"}), "replied 401: no key"),
    (lambda body, n: (200, {"choices": [{"text": "of another API"}]}), "without an answer"),
    (lambda body, n: (200, {"choices": []}), "without an answer"),
    (lambda body, n: (200, {"choices": ["odd"]}), "without an answer"),
    (lambda body, n: (200, "just text"), "without an answer: just text"),
]


@pytest.mark.parametrize(("answer", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_answer_is_quoted_with_the_address(
    answer: Answer, said: str, tmp_path: Path, capsys: Capture
) -> None:
    plan = write_plan(tmp_path, **untuned(decoding=[plan_data()["decoding"][0]]))
    with recording(answer) as server:
        ran = run(capsys, plan, tmp_path / "out", server.url)
    assert ran.code == 2
    assert server.url in ran.err and said in ran.err and "Fix:" in ran.err


def test_a_server_that_is_not_there_is_named(
    tmp_path: Path, capsys: Capture, server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_days(monkeypatch, "2026-03-01")
    url = f"http://127.0.0.1:{free_port()}/v1/chat/completions"
    plan = write_plan(tmp_path, **untuned(decoding=[plan_data()["decoding"][0]]))
    out = tmp_path / "out"
    ran = run(capsys, plan, out, url)
    assert ran.code == 2 and f"at {url} cannot be reached" in ran.err
    on_days(monkeypatch, "2026-03-02")
    ran = run(capsys, plan, out, server.url)  # corrected: nothing had been made at the other
    assert ran.code == 0, ran.err
    assert "2026-03-01" not in (out / "card.yaml").read_text()
