"""Archives: the same bytes twice, only what belongs to a submission, and nothing hostile out."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from safebench.checks.verify import verify
from safebench.errors import EvidenceError, RunError
from safebench.evidence import archive
from safebench.evidence.archive import pack, unpack
from safebench.evidence.submission import Submission
from tests.checks.forged import make_true
from tests.command import safebench
from tests.conformance.runner import VALID

Entry = tuple[str, bytes, bytes]
"""Name, type and content."""
CARD: Entry = ("card.yaml", tarfile.REGTYPE, b"spec: x\n")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shutil.copytree(VALID / "submission", tmp_path / "home")


def made(*entries: Entry, form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Return an archive of entries, whatever they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8") as written:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content)
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname, member.size = "../../secret", 0
            written.addfile(member, io.BytesIO(content))
    return out.getvalue()


def plain(*names: str) -> bytes:
    return made(CARD, *((name, tarfile.REGTYPE, b"x") for name in names))


def with_size(field: bytes) -> bytes:
    """Return an archive whose second header gives its file another size."""
    raw = bytearray(plain("a"))
    head = raw[1024:1536]
    head[124:136] = field
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(raw[:1024] + head + raw[1536:])


HOSTILE: dict[str, bytes] = {
    "traversal": plain("../x"),
    "traversal inside": plain("a/../../x"),
    "absolute": plain("/x"),
    "backslash": plain("..\\x"),
    "drive": plain("C:x"),
    "dot": plain("./x"),
    "hidden": plain(".work/x"),
    "empty part": plain("a//b"),
    "device of Windows": plain("data/nul.txt"),
    "space at the end": plain("a "),
    "direction of writing": plain("a\u202eb"),
    "too long a name": made(CARD, ("a" * 200, tarfile.REGTYPE, b"x"), form=tarfile.PAX_FORMAT),
    "long name of GNU": made(CARD, ("a/" * 80 + "a", b"0", b"x"), form=tarfile.GNU_FORMAT),
    "symbolic link": made(CARD, ("a", tarfile.SYMTYPE, b"")),
    "hard link": made(CARD, ("a", tarfile.LNKTYPE, b"")),
    "folder": made(CARD, ("a", tarfile.DIRTYPE, b"")),
    "fifo": made(CARD, ("a", tarfile.FIFOTYPE, b"")),
    "device": made(CARD, ("a", tarfile.CHRTYPE, b"")),
    "contiguous": made(CARD, ("a", tarfile.CONTTYPE, b"x")),
    "holes": made(CARD, ("a", tarfile.GNUTYPE_SPARSE, b"x")),
    "extended header": made(CARD, ("a", tarfile.XHDTYPE, b"20 path=../../secret\n")),
    "global header": made(CARD, ("a", tarfile.XGLTYPE, b"20 path=../../secret\n")),
    "twice": plain("a", "a"),
    "card twice": made(CARD, CARD),
    "other case": plain("data/a", "data/A"),
    "folder in other case": plain("Data/a", "data/b"),
    "other accents": plain("caf\u00e9", "cafe\u0301"),
    "file where a folder is": plain("a/b", "a"),
    "folder where a file is": plain("a", "a/b"),
    "folder where a file is, in other case": plain("a", "A/b"),
    "no card": made(("a", tarfile.REGTYPE, b"x")),
    "card elsewhere": made(("a/card.yaml", tarfile.REGTYPE, b"x")),
    "nothing in it": made(),
    "nothing": b"",
    "no archive": b"PK\3\4" + bytes(2000),
    "compressed": gzip.compress(plain("a")),
    "more said than there is": with_size(b"77777777777\0"),
    "less said than there is": with_size(b"00000000000\0"),
    "size below zero": with_size(b"\xff" * 11 + b"\0"),
    "size as no number": with_size(b"many bytes\0\0"),
    "cut short": plain("a")[:1300],
    "cut in a file": plain("a")[:1537],
    "without an end": plain("a")[:2048],
    "something after it": plain("a") + b"x",
    "another after it": plain("a") + plain("b"),
    "endless zeros after it": plain("a") + bytes(2**20),
    "damaged header": plain("a")[:1024] + b"b" + plain("a")[1025:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_pack_does_not_write_is_not_unpacked(name: str, tmp_path: Path) -> None:
    place = tmp_path / "inner"
    place.mkdir()
    (place / "x.tar").write_bytes(HOSTILE[name])
    with pytest.raises(EvidenceError, match=r"x\.tar: not an archive of a submission"):
        unpack(place / "x.tar", place / "out")
    assert [p.name for p in tmp_path.rglob("*")] == ["inner", "x.tar"]


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = plain("a", "b")
    (tmp_path / "x.tar").write_bytes(raw)
    for bound, most in (("MOST_FILES", 3), ("MOST_BYTES", len(raw))):
        monkeypatch.setattr(archive, bound, most - 1)
        with pytest.raises(EvidenceError, match=f"{most - 1:,}"):
            unpack(tmp_path / "x.tar", tmp_path / "out")
        monkeypatch.setattr(archive, bound, most)
        unpack(tmp_path / "x.tar", tmp_path / "out")
        shutil.rmtree(tmp_path / "out")


def test_the_same_bytes_whatever_else_lies_there(home: Path, tmp_path: Path) -> None:
    first = pack(Submission.read(home), tmp_path / "a.tar")
    again = shutil.copytree(home, tmp_path / "again")
    for path in again.iterdir():
        path.chmod(0o600)
        os.utime(path, (1e9, 1e9))
    (again / ".work").mkdir()
    (again / ".work/run.json").write_text("{}")
    (again / "secret").write_text("mine")
    assert pack(Submission.read(again), tmp_path / "b.tar") == first
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_whole_submission_comes_out_as_it_went_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_true(home, limit=1)
    beside = {name: b"{}" for name in archive.BESIDE if name != "journal.jsonl"}
    for name, content in beside.items():
        (home / name).write_bytes(content)
    shutil.copytree(VALID / "submission", home / "reruns/one")
    shutil.copytree(VALID / "submission", home / "reruns/.one")
    (home / "reruns/one/verdict.json").write_bytes(b"{}")
    names = pack(Submission.read(home), tmp_path / "x.tar")
    assert unpack(tmp_path / "x.tar", tmp_path / "out") == names
    there = {p.relative_to(home).as_posix(): p.read_bytes() for p in home.rglob("*") if p.is_file()}
    there = {name: raw for name, raw in there.items() if "/." not in name}
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == there
    assert {*beside, "journal.jsonl", "reruns/one/verdict.json"} <= there.keys()
    found = {finding.rule for finding in verify(tmp_path / "out/card.yaml").findings}
    assert found == {"SB-EVI-028"}  # `{}` is no signature, neither here nor there


SPOILT: dict[str, Callable[[Path], object]] = {
    "missing": lambda home: (home / "notes.txt").unlink(),
    "changed": lambda home: (home / "notes.txt").write_text("x"),
    "link": lambda home: (
        (home / "notes.txt").rename(home.parent / "n"),
        (home / "notes.txt").symlink_to(home.parent / "n"),
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_does_not_hold_is_not_packed(how: str, home: Path, tmp_path: Path) -> None:
    SPOILT[how](home)
    with pytest.raises(EvidenceError, match=r"notes\.txt"):
        pack(Submission.read(home), tmp_path / "x.tar")
    assert not (tmp_path / "x.tar").exists()


def test_commands(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home.parent)
    assert safebench(capsys, "pack", "home").code == 0
    assert safebench(capsys, "pack", "home").code == 2
    assert safebench(capsys, "unpack", "example-submission.tar", "--out", "out").code == 0
    assert safebench(capsys, "unpack", "example-submission.tar", "--out", "out").code == 2
    with pytest.raises(RunError, match="exists already"):
        unpack(Path("example-submission.tar"), Path("out"))
    raw = Path("example-submission.tar").read_bytes()
    at = raw.index(b"notes.txt\0") + 512  # where its content begins
    Path("x.tar").write_bytes(raw[:at] + b"#" + raw[at + 1 :])
    ran = safebench(capsys, "unpack", "x.tar", "--out", "other")
    assert ran.code == 1 and "SB-EVI-005" in ran.out
