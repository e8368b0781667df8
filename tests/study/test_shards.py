"""One grid in several folders, merged: the bytes of one run."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks import interruptions
from safebench.card.io import load_card
from safebench.evidence.store import Store
from safebench.progress import Silent
from safebench.study.merge import merge
from safebench.study.plan import make_plan
from tests.command import Ran, safebench
from tests.elsewhere import work_elsewhere
from tests.tiny_runs import QUICK, files_of, protocol, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan with a control, its run, and its shards in halves and in fifths."""
    folder = tmp_path_factory.mktemp("whole")
    plan = write_tiny(folder, seeds=1, control=True)
    run_tiny(plan, folder / "out")
    for count in (2, 5):
        for part in range(1, count + 1):
            run_tiny(plan, folder / f"shard-{part}-{count}", shard=f"{part}/{count}")
    return folder


def shards(done: Path, count: int) -> list[Path]:
    return [done / f"shard-{part}-{count}" for part in range(1, count + 1)]


def joined(capsys: Capture, folders: Sequence[Path], out: Path) -> Ran:
    ran = safebench(capsys, "merge", *folders, "--out", out)
    return Ran(ran.code, " ".join(ran.out.split()), " ".join(ran.err.split()))


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def test_workers_elsewhere_are_one_run(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base model's answers, fine-tunings and responses are made by workers that get lost."""
    work_elsewhere(monkeypatch)
    run_tiny(done / "plan.yaml", done / "elsewhere")
    same_files(done / "elsewhere", done / "out")
    events = Store(done / "elsewhere").journal.read()
    assert [event["event"] for event in events].count("problem") == 3


@pytest.mark.parametrize("count", [2, 5])
def test_merged_shards_are_one_run(done: Path, count: int, capsys: Capture) -> None:
    before = [files_of(folder) for folder in shards(done, count)]
    out = done / f"merged-{count}"
    ran = joined(capsys, shards(done, count), out)
    assert ran.code == 0, ran.err
    assert f"Wrote: {out}/card.yaml" in ran.out
    same_files(out, done / "out")
    assert [files_of(folder) for folder in shards(done, count)] == before
    again = joined(capsys, shards(done, count), out)
    assert again.code == 0, again.err
    same_files(out, done / "out")


def test_clocks_that_disagree(done: Path) -> None:
    """One machine's clock is a day ahead, and the other's is set back at every event."""
    parts = [copied(folder, done / f"skewed-{folder.name}") for folder in shards(done, 2)]
    wanted = []
    for part, step in zip(parts, (timedelta(), timedelta(hours=-1)), strict=True):
        begun = datetime(2026, 1, 2 if not step else 1, 12, tzinfo=UTC)
        events = Store(part).journal.read()
        for number, event in enumerate(events):
            event["time"] = (begun + number * step).isoformat(timespec="milliseconds")
        assert len(events) > 3
        Store(part).journal.path.write_text("".join(f"{json.dumps(e)}\n" for e in events))
        wanted.append(events)
    merge(parts, done / "skewed", Silent())
    same_files(done / "skewed", done / "out")
    found = Store(done / "skewed").journal.read()
    for events in wanted:
        assert [event for event in found if event in events] == events


def test_the_order_of_shards_does_not_matter(done: Path) -> None:
    out = done / "backwards"
    merge(shards(done, 2)[::-1], out, Silent())
    same_files(out, done / "out")


def test_shards_share_what_is_fine_tuned(done: Path) -> None:
    """Blocks of one run lie in several shards; it is fine-tuned in the first that needs it."""
    plan = protocol(done / "plan.yaml")
    parts = [make_plan(plan, done / "x", shard=f"{i}/5").blocks for i in range(1, 6)]
    conditions = [[f"{b.condition} {b.decoding}" for b in part] for part in parts]
    assert conditions == [
        ["base greedy"],
        ["base t07", "tuned greedy"],
        ["tuned t07"],
        ["control greedy"],
        ["control t07"],
    ]
    shared = sorted(p.name for p in next((done / ".tuned").iterdir()).iterdir() if p.is_dir())
    assert [name.partition("-")[0] for name in shared] == ["control", "tuned"]
    tuned = {
        folder: (folder / "adapters" / name / "checkpoint-1" / "adapter_model.safetensors").stat()
        for folder in (*shards(done, 2), *shards(done, 5))
        for name in shared
        if (folder / "adapters" / name).is_dir()
    }
    assert len(tuned) == 6
    assert len({stat.st_ino for stat in tuned.values()}) == 2  # links to what was made once


def test_a_shard_without_cells_says_so(done: Path, capsys: Capture) -> None:
    out = done / "nothing"
    ran = safebench(capsys, "run", done / "plan.yaml", "--out", out, "--shard", "2/12", *QUICK)
    assert ran.code == 0, ran.err
    assert "0 of 0 cells of shard 2/12 are finished" in ran.out
    assert "Next: safebench merge DIR... --out DIR" in ran.out
    state = safebench(capsys, "status", shards(done, 2)[0]).out
    assert "shard-1-2: finished, shard 1/2\n  runs      2 of 2 finished\n" in state
    assert "Next: safebench merge DIR... --out DIR" in state


class Killed(BaseException):
    """Stands for kill -9: once raised, nothing durable happens any more, cleaning up included."""


def merge_until(folders: list[Path], out: Path, moment: int) -> None:
    """Merge, and die at that durable call."""
    moments = itertools.count(1)

    def die(_: str) -> None:
        if next(moments) >= moment:
            raise Killed

    with interruptions.watched(die), pytest.raises(Killed):
        merge(folders, out, Silent())


def test_a_merge_that_was_killed_goes_on(done: Path) -> None:
    calls: list[str] = []
    with interruptions.watched(calls.append):
        merge(shards(done, 2), done / "counted", Silent())
    links = [number for number, name in enumerate(calls, start=1) if name == "link"]
    assert len(links) > 6
    middle = links[len(links) // 2]
    for moment in (2, middle, len(calls) // 2, len(calls) * 3 // 4, len(calls) - 3, len(calls)):
        out = done / f"killed-{moment}"
        merge_until(shards(done, 2), out, moment)
        merge(shards(done, 2), out, Silent())
        same_files(out, done / "out")
        kinds = [event["event"] for event in Store(out).journal.read()]
        assert (kinds.count("block"), kinds.count("merged")) == (6, 1)


def test_what_cannot_be_merged(done: Path, tmp_path: Path, capsys: Capture) -> None:
    first, second = shards(done, 2)
    out = tmp_path / "out"

    def refused(*folders: Path) -> str:
        ran = joined(capsys, folders, out)
        assert ran.code == 2
        assert not out.exists()
        return ran.err

    assert "error: shard 2/2 is missing Fix: give the folders of all shards" in refused(first)
    assert "shard 2/2 is given twice" in refused(first, second, second)
    unfinished = copied(second, tmp_path / "unfinished")
    next((unfinished / ".work" / "responses").glob("*.parquet")).unlink()
    assert "shard 2/2 is not finished: 1 of 3 blocks are missing or damaged, the first" in refused(
        first, unfinished
    )
    fifth = shards(done, 5)[0]
    assert "the grid was cut in different ways" in refused(first, second, fifth)
    assert "is a finished submission of a whole grid, not a shard" in refused(first, done / "out")
    assert "holds no unfinished run" in refused(first, tmp_path)
    foreign = copied(second, tmp_path / "foreign")
    claim = json.loads((foreign / ".work" / "run.json").read_text())
    claim["card"]["hyperparameters"]["learning_rate"] = 0.5
    (foreign / ".work" / "run.json").write_text(json.dumps(claim))
    assert "of another card Fix: merge the shards of one card" in refused(first, foreign)


def test_shards_are_not_merged_into_one_of_themselves(done: Path, capsys: Capture) -> None:
    first, second = shards(done, 2)
    before = files_of(first)
    ran = joined(capsys, (first, second), first)
    assert ran.code == 2
    assert "holds shard 1/2, not 1/1" in ran.err
    assert files_of(first) == before


def test_shards_of_other_libraries_are_not_mixed(
    done: Path, tmp_path: Path, capsys: Capture
) -> None:
    first, second = shards(done, 2)
    other = copied(second, tmp_path / "other")
    path = other / ".work" / "environment.json"
    content = json.loads(path.read_text())
    content["libraries"]["transformers"] = "4.0.0"
    path.write_text(json.dumps(content))
    store = Store(other)
    store.seals.begin(store.claim().card)
    store.seals.put(path, path)
    ran = joined(capsys, (first, other), tmp_path / "out")
    assert ran.code == 2
    assert f"error: {other}: was begun in another environment (transformers " in ran.err
    assert "-> 4.0.0) Fix: make all shards on machines with the same software" in ran.err


def test_a_run_withdrawn_in_a_shard_is_withdrawn(done: Path, capsys: Capture) -> None:
    first, second, third, fourth, fifth = shards(done, 5)
    part = copied(fourth, done / "withdrawn-4-5")  # the fifth has finished cells of this run
    (seed,) = {s.training_seed for s in Store(part).claim().blocks.values()}
    ran = safebench(
        capsys,
        "withdraw",
        part,
        "--training-seed",
        seed,
        "--condition",
        "control",
        "--reason",
        "a power cut",
    )
    assert ran.code == 0, ran.err
    out = done / "merged-without"
    ran = joined(capsys, (first, second, third, part, fifth), out)
    assert ran.code == 0, ran.err
    assert f"control, training seed {seed} is lost: a power cut" in ran.out
    runs = load_card(out / "card.yaml").evidence.runs
    assert [(r.condition, r.status, r.reason) for r in runs] == [
        ("base", "finished", None),
        ("tuned", "finished", None),
        ("control", "withdrawn", "a power cut"),
    ]
    checked = safebench(capsys, "validate", out, "--format", "json")
    findings = json.loads(checked.out)["files"][0]["findings"]
    assert [f for f in findings if f["severity"] == "error"] == []
