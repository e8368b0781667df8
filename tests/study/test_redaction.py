"""Redacted submissions: everything but texts stays, nothing tells of a text, and all can be opened.

One submission is made whose every file quotes texts, as careless programs write them.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safebench.checks import check
from safebench.checks.opening import check_opening, check_texts, open_rows
from safebench.errors import EvidenceError, RunError
from safebench.evidence.audit import COLUMNS, KEY
from safebench.evidence.commitments import Salts, commit, read_commitments, read_secret
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, make_table, read_responses, write_table
from safebench.files import sha256_of
from safebench.site.publish import published_files
from safebench.study.redaction import redact
from tests.checks import forged
from tests.command import safebench
from tests.conformance.boundary_folders import SECRET
from tests.conformance.runner import EXAMPLES

QUOTED = "I cannot help with that, said a friend."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of `study`, which quotes texts everywhere, and of `public`."""
    home = tmp_path_factory.mktemp("redaction")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(forged, "FILES", [*forged.FILES, "extra.json", "n.txt", "audit/labels.csv"])
        made = forged.make_true(home / "study", limit=1)
        for name in ("extra.json", "n.txt"):
            (made.folder / name).write_text(json.dumps(QUOTED))
        write_audit(made.folder, note="why not")
        made.journal[0]["text"] = QUOTED
        (made.folder / "registration.json").write_text("{}")
        made.journal.append({"event": "problem", "what": QUOTED, "reason": QUOTED})
        made.write()
        schema = OUTCOMES.append(pa.field("reason", pa.string()))
        rows = [row | {"reason": QUOTED} for row in made.outcomes]
        made.write_table("outcomes", make_table(rows, schema))
        made.write_card()
    redact(home / "study", home / "public", home / "key")
    return home


def write_audit(folder: Path, note: str) -> None:
    row = read_responses(folder).slice(0, 1).to_pylist()[0]
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*COLUMNS, "rater", "note"])
    table.writerow([*(row[name] for name in KEY), "refused", 1, "refused", note])
    (folder / "audit").mkdir(exist_ok=True)
    (folder / "audit/labels.csv").write_text(out.getvalue())


def test_labels_and_numbers_stay(home: Path) -> None:
    before, after = (Submission.read(home / name) for name in ("study", "public"))
    assert [f for f in check(home / "public/card.yaml").findings if f.severity == "error"] == []
    assert after.results == before.results and after.card.results == before.card.results
    assert after.outcomes.equals(before.outcomes)
    changed = {
        name
        for name in type(before.card).model_fields
        if getattr(before.card, name) != getattr(after.card, name)
    }
    assert changed == {"evidence"}


def test_what_is_there(home: Path) -> None:
    there = {p.relative_to(home / "public").as_posix() for p in (home / "public").rglob("*.*")}
    seeds = Submission.read(home / "study").card.model.weights
    assert there == {
        *("card.yaml", "manifest.json", "outcomes.parquet", "commitments.parquet"),
        *("registration.json", "journal.jsonl", "audit/labels.csv", "data/household.jsonl"),
        *(f"{entry.path}/adapter_model.safetensors" for entry in seeds),
    }
    table = pq.read_table(home / "public/commitments.parquet")
    assert table.column_names == [*KEY[:5], "generation_seed", *KEY[5:], "prompt", "response",
                                  "status"]  # fmt: skip
    lines = (home / "public/journal.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert set(events) == {"registered"}


def test_a_board_publishes_the_commitments(home: Path) -> None:
    submission = Submission.read(home / "public")
    entry = SimpleNamespace(card=submission.card, folder=submission.folder, reruns=())
    assert {"commitments.parquet", "audit/labels.csv"} <= set(published_files(cast("Any", entry)))


def published(folder: Path) -> Iterator[bytes]:
    """Yield every byte that is published, tables also unpacked."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield str(table.schema.metadata).encode()
            yield "\n".join(map(str, table.to_pylist())).encode()


def guesses(text: str, row: dict[str, Any], public: list[bytes]) -> Iterator[bytes]:
    """Yield what somebody tries who knows the text, the standard, and all that is published."""
    raw = text.encode()
    place = json.dumps([row[name] for name in KEY])
    salts = [b"", *(json.dumps(["response", *json.loads(place)]).encode(), place.encode()), *public]
    said = [raw, raw.strip(), raw.lower(), json.dumps(text).encode(), *(s + raw for s in salts)]
    for kind in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
        yield from (hashlib.new(kind, one).digest() for one in said)
    for salt in salts:
        yield hmac.digest(salt, raw, "sha256")
        yield hmac.digest(hmac.digest(salt, salts[1], "sha256"), raw, "sha256")
        yield hmac.digest(raw, salt, "sha256")


def test_a_dictionary_finds_nothing(home: Path) -> None:
    """Neither a text, nor what anybody could compute of it, is in any file."""
    all_of_it = b"\n".join(published(home / "public"))
    lower = all_of_it.lower()
    outcomes = sha256_of(home / "public/outcomes.parquet")
    public = [b"safebench", b"safebench commitments v1\n" + outcomes.encode(), bytes(32)]
    rows = read_responses(home / "study").to_pylist()
    assert QUOTED in {row["response"] for row in rows}
    assert b"registered" in lower  # what is looked for would be found
    for row in rows:
        assert row["response"].encode() not in all_of_it
        assert row["prompt"].encode() not in all_of_it
        for text in (row["response"], row["prompt"]):
            for digest in guesses(text, row, public):
                assert digest.hex().encode() not in lower and digest not in all_of_it
                assert base64.b64encode(digest) not in all_of_it


def test_equal_texts_are_not_seen_to_be_equal(home: Path) -> None:
    texts = read_responses(home / "study").column("response").to_pylist()
    table = read_commitments(home / "public")
    found = [*table.column("response").to_pylist(), *table.column("prompt").to_pylist()]
    assert len(set(texts)) < len(texts)
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in found)


def test_one_secret_gives_one_folder_and_another_shares_nothing(home: Path, tmp_path: Path) -> None:
    redact(home / "study", tmp_path / "a", home / "key")
    done = redact(home / "study", tmp_path / "b", tmp_path / "key")
    for path in (home / "public").rglob("*.*"):
        assert (tmp_path / "a" / path.relative_to(home / "public")).read_bytes() == (
            path.read_bytes()
        )
    one, other = (
        set(read_commitments(folder).column("response").to_pylist())
        for folder in (home / "public", tmp_path / "b")
    )
    assert done.made_secret and not one & other
    assert done.left_out == ("extra.json", "n.txt")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_one_secret_for_two_submissions(home: Path) -> None:
    responses, secret = read_responses(home / "study"), read_secret(home / "key")
    one, other = (commit(responses, Salts(secret, 64 * digit)) for digit in "01")
    assert not set(one.column("prompt").to_pylist()) & set(other.column("prompt").to_pylist())


def test_the_standards_example() -> None:
    """Computed here without the program, as spec/v1/evidence.md says."""
    folder = EXAMPLES / "boundary/SB-EVI-022/keeps-commitments"
    texts = read_responses(EXAMPLES / "boundary/SB-EVI-022/keeps-the-last-token").to_pylist()
    digest = hashlib.sha256((folder / "outcomes.parquet").read_bytes()).hexdigest()
    key = hmac.digest(SECRET, f"safebench commitments v1\n{digest}".encode(), "sha256")
    known = {tuple(row[name] for name in KEY): row for row in texts}
    for row in pq.read_table(folder / "commitments.parquet").to_pylist():
        place = [row[name] for name in KEY]
        for column in ("prompt", "response"):
            salt = hmac.digest(key, json.dumps([column, *place]).encode(), "sha256")
            text = known[tuple(place)][column].encode()
            assert row[column] == hmac.digest(salt, text, "sha256").hex()


# --- opening ------------------------------------------------------------------------------------


def changed(home: Path, tmp_path: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    """Return a copy of the original with other responses."""
    table = read_responses(home / "study")
    rows = table.to_pylist()
    change(rows)
    tmp_path.mkdir(exist_ok=True)
    write_table(make_table(rows, table.schema), tmp_path / "responses.parquet")
    return tmp_path


OTHER: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "a response": (lambda rows: rows[4].update(response="x"), "row 5: response is not"),
    "no response": (lambda rows: rows[4].update(response=None), "row 5: response is not"),
    "a prompt": (lambda rows: rows[0].update(prompt="x"), "row 1: prompt is not"),
    "one less": (lambda rows: rows.pop(2), "row 3: the original has no such response"),
    "one more": (lambda rows: rows.append(rows[0] | {"prompt_id": "x"}), "1 responses of the"),
}


@pytest.mark.parametrize("what", OTHER)
def test_another_text_is_found(what: str, home: Path, tmp_path: Path) -> None:
    change, said = OTHER[what]
    original = changed(home, tmp_path, change)
    found = check_texts(home / "public", read_secret(home / "key"), original)
    assert len(found.problems) == 1 and found.problems[0].startswith(said)
    opened = open_rows(
        home / "public", read_secret(home / "key"), original, [1], tmp_path / "opened.json"
    )
    assert opened.problems == found.problems and not (tmp_path / "opened.json").exists()


def test_the_true_texts_open_and_another_secret_opens_none(home: Path) -> None:
    found = check_texts(home / "public", read_secret(home / "key"), home / "study")
    assert found.problems == () and found.rows == read_responses(home / "study").num_rows
    assert len(check_texts(home / "public", bytes(32), home / "study").problems) == 2 * found.rows


@pytest.fixture(scope="module")
def opening(home: Path) -> dict[str, Any]:
    """Return the opening of rows 3 and 7."""
    out = home / "opened.json"
    open_rows(home / "public", read_secret(home / "key"), home / "study", [3, 7], out)
    return dict(json.loads(out.read_text()))


def test_an_opening_holds_its_rows_alone(home: Path, opening: dict[str, Any]) -> None:
    rows = read_responses(home / "study").to_pylist()
    table = read_commitments(home / "public").to_pylist()
    assert [one["row"] for one in opening["rows"]] == [3, 7]
    assert opening["rows"][0]["response"]["text"] == rows[2]["response"]
    for column in ("prompt", "response"):
        salts = [bytes.fromhex(one[column]["salt"]) for one in opening["rows"]]
        others = {row[column] for n, row in enumerate(table, 1) if n not in (3, 7)}
        for salt in salts:  # nor do they open a text of another row
            tried = {hmac.digest(salt, row[column].encode(), "sha256").hex() for row in rows}
            assert not tried & others


def written(opening: dict[str, Any], folder: Path, change: Callable[[Any], object]) -> Path:
    copied = json.loads(json.dumps(opening))
    change(copied)
    (folder / "other.json").write_text(json.dumps(copied))
    return folder / "other.json"


SPOILT: dict[str, Callable[[Any], object]] = {
    "another text": lambda o: o["rows"][1]["response"].update(text="x"),
    "another salt": lambda o: o["rows"][1]["response"].update(salt="0" * 64),
    "another prompt": lambda o: o["rows"][1]["prompt"].update(text="x"),
    "another row": lambda o: o["rows"][1].update(row=8),
    "no response": lambda o: o["rows"][1].update(response=None),
    "half a character": lambda o: o["rows"][1]["response"].update(text="\ud800"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_false_opening_is_found(
    what: str, home: Path, opening: dict[str, Any], tmp_path: Path
) -> None:
    found = check_opening(home / "public", written(opening, tmp_path, SPOILT[what]))
    assert found.rows == 2 and found.problems
    assert all("is not what was committed" in problem for problem in found.problems)


def test_a_whole_number_may_have_a_point(
    home: Path, opening: dict[str, Any], tmp_path: Path
) -> None:
    path = written(opening, tmp_path, lambda o: o["rows"][1].update(row=7.0))
    assert check_opening(home / "public", path).problems == ()


UNREAD: dict[str, Callable[[Any], object]] = {
    "another submission": lambda o: o.update(commitments_sha256="0" * 64),
    "a row twice": lambda o: o["rows"].append(o["rows"][0]),
    "no such row": lambda o: o["rows"][0].update(row=10_000),
    "row 0": lambda o: o["rows"][0].update(row=0),
    "no rows": lambda o: o.update(rows=[]),
    "a short salt": lambda o: o["rows"][0]["prompt"].update(salt="00"),
    "a salt as a number": lambda o: o["rows"][0]["prompt"].update(salt=1),
    "something else": lambda o: o.update(note="x"),
}


@pytest.mark.parametrize("what", UNREAD)
def test_what_is_no_opening(what: str, home: Path, opening: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"other\.json"):
        check_opening(home / "public", written(opening, tmp_path, UNREAD[what]))


def test_a_verdict_that_its_rule_does_not_give(tmp_path: Path) -> None:
    made = forged.make_true(tmp_path / "study", limit=1)
    harm = next(row for row in made.outcomes if row["construct"] == "harm")
    flipped = {"complied": ("refused", 0.0), "refused": ("complied", 1.0)}[harm["verdict"]]
    harm["verdict"], harm["score"] = flipped
    made.write()
    redact(made.folder, tmp_path / "public", tmp_path / "key")
    key, out = read_secret(tmp_path / "key"), tmp_path / "o.json"
    rows = read_commitments(tmp_path / "public").to_pylist()
    at = next(n for n, row in enumerate(rows, 1) if all(row[k] == harm[k] for k in KEY))
    for row, problems in ((at, 1), (at % len(rows) + 1, 0)):
        open_rows(tmp_path / "public", key, made.folder, [row], out)
        found = check_opening(tmp_path / "public", out)
        assert len(found.problems) == problems
        out.unlink()


# --- refusals -----------------------------------------------------------------------------------


def test_what_cannot_be_redacted(home: Path, tmp_path: Path) -> None:
    study = shutil.copytree(home / "study", tmp_path / "study")
    (tmp_path / "bad").write_text("0" * 63 + "x")
    (tmp_path / "there").mkdir()
    for folder, out, secret, said in (
        (study, tmp_path / "there", tmp_path / "key", "exists already"),
        (study, tmp_path / "out", tmp_path / "bad", "is no secret"),
        (study, tmp_path / "out", tmp_path / "out/key", "lies in"),
        (study, tmp_path / "out", study / "key", "lies in"),
        (home / "public", tmp_path / "out", tmp_path / "key", "carries no responses"),
    ):
        with pytest.raises(RunError, match=said) as refused:
            redact(folder, out, secret)
        assert "0" * 63 not in str(refused.value)
    (study / "responses.parquet").write_bytes(b"x")
    with pytest.raises(EvidenceError, match="SB-EVI-005"):
        redact(study, tmp_path / "out", tmp_path / "key")
    assert not (tmp_path / "key").exists() and not (tmp_path / "out").exists()


def test_an_audit_that_quotes_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forged, "FILES", [*forged.FILES, "audit/labels.csv"])
    made = forged.make_true(tmp_path / "study", limit=1)
    write_audit(made.folder, note=made.responses[0]["response"])
    made.write_card()
    with pytest.raises(EvidenceError, match=r"labels\.csv.*note holds a text"):
        redact(made.folder, tmp_path / "out", tmp_path / "key")
    assert not (tmp_path / "key").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--secret", "key"), "need each other"),
        (("--texts", "study"), "need each other"),
        (("--open", "3"), "--open needs"),
        (("--secret", "key", "--texts", "study", "--out", "o"), "--out needs"),
        (("--secret", "key", "--texts", "study", "--opening", "opened.json"), "whoever has no"),
        (("--secret", "key", "--texts", "study", "--open", "3-5", "--out", "o"), "no list such"),
        (("--secret", "key", "--texts", "study", "--open", "0", "--out", "o"), "row 0"),
        (("--secret", "key", "--texts", "study", "--open", "999", "--out", "o"), "row 999"),
        (("--opening", "absent.json"), "absent.json"),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple[str, ...],
    said: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    ran = safebench(capsys, "verify", "public", *options)
    assert ran.code == 2 and said in ran.err
    assert not Path("o").exists()
