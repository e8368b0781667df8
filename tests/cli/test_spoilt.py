"""Whatever is wrong with a file of a submission: no traceback, and no lost board."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safebench.errors import EvidenceError
from safebench.evidence.documents import read_json
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.verdicts import read_report
from tests.command import safebench
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

SMALL = Recipe(prompts=12, repeats=1, seeds=(1, 2))

TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "no UTF-8": lambda content: content.replace(b'"', b'"\xff\xfe', 1) + b"\xff",
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "NaN": lambda content: _number(content, b"NaN" if content[:1] == b"{" else b".nan"),
    "infinite": lambda content: _number(content, b"1e999"),
    "5,000 digits": lambda content: _number(content, b"9" * 5_000),
    "300 digits": lambda content: _number(content, b"9" * 300),
    "deep lists": lambda _: b"[" * 100_000,
    "deep mappings": lambda _: b'{"a":' * 900 + b"1" + b"}" * 900,
    "list for mapping": lambda _: b"[1, 2]",
    "text": lambda _: b'"nothing"',
    "null": lambda _: b"null",
    "a key twice": lambda content: (
        content.replace(b"{", b'{"schema": 1, "schema": 1,', 1)
        if content[:1] == b"{"
        else b"title: 1\ntitle: 2\n" + content
    ),
}


def _number(content: bytes, number: bytes) -> bytes:
    """Put something in the place of the first number, or of the first value."""
    found = re.search(rb": (-?[0-9.]+)(?=[,\n])", content) or re.search(rb": ([^\n,]+)", content)
    assert found is not None
    return content[: found.start(1)] + number + content[found.end(1) :]


def column(name: str, values: Callable[[int], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    def put(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index(name), name, values(table.num_rows))

    return put


BOTH: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no rows": lambda t: t.slice(0, 0),
    "one row": lambda t: t.slice(0, 1),
    "every row twice": lambda t: pa.concat_tables([t, t]),
    "a column twice": lambda t: t.append_column("task", t.column("task")),
    "a column missing": lambda t: t.drop_columns(["task"]),
    "no columns": lambda t: t.select([]),
    "only nulls": lambda t: pa.table({n: pa.nulls(t.num_rows) for n in t.column_names}),
    "lists": column("task", lambda n: pa.array([["x"]] * n)),
    "bytes": column("task", lambda n: pa.array([b"\xff"] * n)),
    "a mapping": column("status", lambda n: pa.array([{"a": 1}] * n)),
    "no UTF-8": column("prompt_id", lambda n: pa.array([b"\xff\xfe"] * n).view(pa.string())),
    "NUL": column("decoding", lambda n: pa.array(["\0\n\x1b[31m"] * n)),
    "text for number": column("training_seed", lambda n: pa.array(["1"] * n)),
    "number for text": column("condition", lambda n: pa.array([1] * n)),
    "fractions": column("repeat", lambda n: pa.array([1.5] * n)),
    "huge number": column("training_seed", lambda n: pa.array([2**63 - 1] * n)),
    "beyond int64": column("training_seed", lambda n: pa.array([2**64 - 1] * n, pa.uint64())),
    "NaN for number": column("checkpoint", lambda n: pa.array([float("nan")] * n)),
    "dates": column("checkpoint", lambda n: pa.array([0] * n, pa.timestamp("s"))),
}
OUTCOMES: dict[str, Callable[[pa.Table], pa.Table]] = BOTH | {
    "score NaN": column("score", lambda n: pa.array([float("nan")] * n)),
    "score infinite": column("score", lambda n: pa.array([float("inf")] * n)),
    "score 1e308": column("score", lambda n: pa.array([1e308] * n)),
    "a construct that is none": column("construct", lambda n: pa.array(["x"] * n)),
    "a judge that is none": column("judge", lambda n: pa.array(["x"] * n)),
    "a checkpoint that is none": column("checkpoint", lambda n: pa.array([99] * n)),
}
# Both tables are read by the same code: of what may be wrong with either, every other kind here.
RESPONSES: dict[str, Callable[[pa.Table], pa.Table]] = dict(list(BOTH.items())[::2]) | {
    "no texts": column("response", lambda n: pa.nulls(n, pa.string())),
    "tokens": column("new_tokens", lambda n: pa.array([-(2**62)] * n)),
}
BYTES = ("empty", "truncated", "text", "deep lists")

KINDS = {
    "card.yaml": [*TEXTS],
    "manifest.json": [*TEXTS],
    "reruns/lab/verdict.json": [*TEXTS],
    "outcomes.parquet": [*OUTCOMES, *BYTES],
    "responses.parquet": [*RESPONSES, *BYTES],
}
AGAIN = Recipe(prompts=12, repeats=1, seeds=(3, 4), organisation="Another", id="again")


def slug(kind: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", kind.lower())


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with a submission and a rerun of it."""
    root = tmp_path_factory.mktemp("fine") / "board"
    home = made_by_code.write_submission(root / "submissions", SMALL)
    made_by_code.write_rerun(home, "lab", AGAIN)
    (root / "board.yaml").write_text("title: A board\n")
    return root


def relist(folder: Path) -> None:
    """List what is there with its digests, as somebody does who wants it to be read."""
    files = describe_files(folder, ["outcomes.parquet", "responses.parquet"])
    evidence = made_by_code.read_yaml(folder)["evidence"]
    evidence["files"] = [
        old | f.model_dump(mode="json", exclude_none=True)
        for old, f in zip(evidence["files"], files, strict=True)
    ]
    write_manifest(folder, files)
    made_by_code.edit_card(folder, evidence=evidence)


def spoil(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    if kind in TEXTS and not (name.endswith("parquet") and kind not in BYTES):
        path.write_bytes(TEXTS[kind](path.read_bytes()))
    else:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
        change = (OUTCOMES if name.startswith("outcomes") else RESPONSES)[kind]
        pq.write_table(change(table), path)
    if name.endswith("parquet"):
        relist(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_no_command_fails_with_a_traceback(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One board of each file has that file spoilt in every way, and one good submission."""
    board, site = tmp_path / "board", tmp_path / "site"
    for kind in KINDS[name]:
        recipe = Recipe(slug(kind), prompts=12, repeats=1, seeds=(1, 2))
        home = made_by_code.write_submission(board / "submissions", recipe)
        if "verdict" in name:
            made_by_code.write_rerun(home, "lab", AGAIN)
        spoil(home, name, kind)
        for arguments in (("validate", home), ("score", home), ("verify", home)):
            ran = safebench(capsys, *arguments)
            assert ran.code in (0, 1, 2), (kind, ran)
            assert len(ran.err) < 3_000, (kind, ran)
    made_by_code.write_submission(board / "submissions", Recipe("good", prompts=12, seeds=(5, 6)))
    ran = safebench(capsys, "leaderboard", "build", board, "--out", site)
    assert ran.code == 0
    left_out = {
        one["name"] for one in json.loads((site / "leaderboard.json").read_text())["left_out"]
    }
    assert (site / "submissions" / "good.html").is_file()
    rerun = "/reruns/lab" if "verdict" in name else ""
    assert left_out == {f"{slug(kind)}{rerun}" for kind in KINDS[name]}
    assert all(f"left out: {one}" in ran.err for one in left_out)
    if rerun:
        pages = {path.stem for path in (site / "submissions").glob("*.html")}
        assert pages >= {slug(kind) for kind in KINDS[name]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTS)
def test_a_spoilt_board_yaml_is_named(
    kind: str, fine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    (board / "submissions").mkdir(parents=True)
    (board / "board.yaml").write_bytes(TEXTS[kind]((fine / "board.yaml").read_bytes()))
    ran = safebench(capsys, "leaderboard", "build", board, "--out", tmp_path / "site")
    assert ran.code in (0, 2)
    assert (ran.code == 2) == ("board.yaml" in ran.err)


# --- every place of a document ------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, -1, 1.5, 1e300, float("nan"), 10**400, "", "x" * 100_000, "\ud800", [], {}, [[]],
    {"not_reported": "x"}, {"": {}},
)  # fmt: skip


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1])
    return [at, *(
        place
        for key, item in inner
        for place in (places(item, (*at, key)) if isinstance(item, dict | list) else [(*at, key)])
    )]  # fmt: skip


def changed(document: Any, at: tuple[str | int, ...], odd: Any) -> bytes:
    if not at:
        return json.dumps(odd).encode()
    document = json.loads(json.dumps(document))
    inner = document
    for part in at[:-1]:
        inner = inner[part]
    inner[at[-1]] = odd
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("manifest.json", lambda path: read_json(path, "files")),
        ("verdict.json", lambda path: read_report(path.parent)),
    ],
)
def test_every_place_of_a_document_may_hold_anything(
    name: str, read: Callable[[Path], Any], fine: Path, tmp_path: Path
) -> None:
    document = json.loads((fine / f"submissions/{SMALL.id}/reruns/lab/{name}").read_text())
    path, refused = tmp_path / name, 0
    assert len(places(document)) > 4
    for at in places(document):
        for odd in ODD:
            path.write_bytes(changed(document, at, odd))
            try:
                read(path)
            except EvidenceError as problem:
                refused += len(str(problem)) < 1_000
    assert refused > 10 * len(places(document))
