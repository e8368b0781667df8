"""A run's folder: one run at a time, one card for ever, and what is finished stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from safebench.card.card import Card
from safebench.errors import RunError
from safebench.evidence.claim import Claim, Size
from safebench.evidence.store import Store
from safebench.evidence.tables import RESPONSES, make_table
from tests.plans import plan_data


def claim(shard: str = "1/1", **changes: Any) -> Claim:
    card = Card.model_validate_json(json.dumps(plan_data(**changes)))
    return Claim(card, {"base--greedy": Size("base", None, 3, 24)}, shard)


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "out"), Store(tmp_path / "out")
    busy = pytest.raises(RunError, match=r"another run is at work.*process \d+ on ")
    assert first.holder() is None
    with first.opened(claim()):
        assert "process" in str(second.holder())
        with busy, second.opened(claim()):
            pass
    assert second.holder() is None
    with second.opened(claim()):
        pass


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"base": {"id": "model"}, "dtype": "float64",
                    "chat_template": {"source": "tokenizer"}}}, "model.dtype: float32 -> float64"),
        ({"seeds": {"scheme": "derived", "training": 3, "controls": ["adapter_init",
          "data_order", "dropout"]}}, "training seeds: 2 there, 3 here"),
        ({"tasks": ["safebench_harm"]}, "tasks"),
    ],
)  # fmt: skip
def test_another_cards_work_is_not_continued(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with Store(tmp_path / "out").opened(claim()):
        pass
    with (
        pytest.raises(RunError, match="unfinished run of another card") as caught,
        Store(tmp_path / "out").opened(claim(**changes)),
    ):
        pass
    assert said in str(caught.value)


def test_another_title_is_the_same_work(tmp_path: Path) -> None:
    with Store(tmp_path / "out").opened(claim()):
        pass
    named = plan_data()["submission"] | {"title": "Better words"}
    with Store(tmp_path / "out").opened(claim(submission=named)):
        pass


def test_another_shard_is_other_work(tmp_path: Path) -> None:
    with Store(tmp_path / "out").opened(claim("1/2")):
        pass
    with (
        pytest.raises(RunError, match="holds shard 1/2, not 2/2"),
        Store(tmp_path / "out").opened(claim("2/2")),
    ):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="is not empty"), Store(tmp_path).opened(claim()):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def empty(content: bytes) -> bytes:
    return b""


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES = (empty, cut, flipped)
RUN = ".work/run.json"
KEPT = {
    ".work/responses/base--greedy.parquet": ".work/responses/base--greedy.parquet",
    "adapters/tuned-seed-1/checkpoint-1/adapter_model.safetensors": "adapters/tuned-seed-1",
    "adapters/tuned-seed-2/checkpoint-1/adapter_model.safetensors": (
        "adapters/tuned-seed-2/checkpoint-1"
    ),
    "data/own.jsonl": "data/own.jsonl",
    ".work/environment.json": ".work/environment.json",
}
"""What an unfinished run keeps, a file of each kind, and what is made again as one with it."""


def begun(folder: Path) -> Store:
    """Return an unfinished run's folder that holds all that one may hold."""
    store = Store(folder)
    with store.opened(claim()):
        for name, unit in KEPT.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"0123456789")
            store.seals.put(folder / unit, folder / unit)
    return store


def after(folder: Path, **other: Any) -> list[str]:
    """Return what of it is there once the run goes on."""
    with Store(folder).opened(claim(**other)):
        return [name for name in KEPT if (folder / name).is_file()]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", KEPT)
def test_what_is_damaged_is_removed_alone(tmp_path: Path, name: str, damage: Any) -> None:
    begun(tmp_path / "out")
    path = tmp_path / "out" / name
    path.write_bytes(damage(path.read_bytes()))
    assert after(tmp_path / "out") == [other for other in KEPT if other != name]
    noted = [e["what"] for e in Store(tmp_path / "out").journal.read() if e["event"] == "problem"]
    assert noted == [KEPT[name]]


@pytest.mark.parametrize("damage", [*DAMAGES, None])
@pytest.mark.parametrize("name", list(KEPT)[:3])
def test_what_has_no_seal_of_its_own_is_removed(tmp_path: Path, name: str, damage: Any) -> None:
    store = begun(tmp_path / "out")
    (seal,) = (p for p in (store.work / "seals").iterdir() if unquote(p.stem) == f"/{KEPT[name]}")
    if damage is None:
        seal.unlink()
    else:
        seal.write_bytes(damage(seal.read_bytes()))
    assert after(tmp_path / "out") == [other for other in KEPT if other != name]


@pytest.mark.parametrize("content", [b"", b"{", b'{"card": {}, "blocks": [1]}', b"[" * 100_000])
def test_a_damaged_claim_is_written_again_for_the_same_card_alone(
    tmp_path: Path, content: bytes
) -> None:
    begun(tmp_path / "out")
    (tmp_path / "out" / RUN).write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json: is damaged"):
        after(tmp_path / "out", decoding=plan_data()["decoding"][:1])
    assert after(tmp_path / "out") == list(KEPT)
    assert Store(tmp_path / "out").claim().is_same_work(claim())


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"7"])
def test_a_damaged_environment_is_recorded_again(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path / "out")
    with store.opened(claim()):
        store.check_environment({"threads": 1})
    (store.work / "environment.json").write_bytes(content)
    assert store.environment() == {}
    with store.opened(claim()):
        store.check_environment({"threads": 2})
    assert store.environment() == {"threads": 2}


def test_a_block_is_there_or_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    row = {
        "condition": "base", "decoding": "greedy", "repeat": 1, "task": "t", "prompt_id": "p",
        "prompt": "x", "response": "y", "status": "ok",
    }  # fmt: skip
    with store.opened(claim()):
        assert not store.has("base--greedy")
        store.commit("base--greedy", make_table([row], RESPONSES))
    assert Store(tmp_path / "out").load("base--greedy").num_rows == 1


def test_what_a_killed_write_left_is_swept(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with store.opened(claim()):
        (store.work / "responses").mkdir()
    for stale in (store.folder / ".card.yaml.x1y2", store.work / "responses" / ".a.parquet.zz"):
        stale.write_text("half")
    with store.opened(claim()):
        assert not list(store.folder.rglob(".*.x1y2"))
        assert not list(store.folder.rglob(".*.zz"))


def test_work_goes_on_in_the_same_environment_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with store.opened(claim()):
        store.check_environment({"libraries": {"torch": "1"}, "batch_size": 64})
        store.check_environment({"device": "cpu"})
        store.check_environment({"libraries": {"torch": "1"}, "batch_size": 8, "device": "cpu"})
        store.check_environment({"batch_size": 32})
        assert store.environment() == {
            "libraries": {"torch": "1"}, "batch_size": 8, "device": "cpu"
        }  # fmt: skip
        with pytest.raises(RunError, match="another environment") as caught:
            store.check_environment({"libraries": {"torch": "2"}, "device": "cuda"})
    assert "torch 1 -> 2" in str(caught.value)
    assert "device cpu -> cuda" in str(caught.value)


def test_a_finished_folder_keeps_nothing_of_the_work(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with store.opened(claim()):
        store.journal.note("finished")
        (store.folder / "card.yaml").write_text("spec: safebench/1.0")
        store.finish()
        store.finish()  # a run that was stopped in the middle of it does it again
    assert store.is_finished
    assert sorted(p.name for p in store.folder.iterdir()) == ["card.yaml", "journal.jsonl"]
    with (
        pytest.raises(RunError, match="already holds a finished submission"),
        store.opened(claim()),
    ):
        pass
    assert sorted(p.name for p in store.folder.iterdir()) == ["card.yaml", "journal.jsonl"]
