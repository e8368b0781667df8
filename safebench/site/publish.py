"""Building the site: everything into a folder beside the target, then one swap."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safebench.errors import InputError
from safebench.evidence import board_log
from safebench.evidence.audit import AUDIT_FILE
from safebench.evidence.commitments import COMMITMENTS_FILE
from safebench.evidence.registration import REGISTRATION_FILE
from safebench.evidence.signature import SIGNATURE_FILE
from safebench.evidence.sigstores import BUNDLE_FILE
from safebench.evidence.submission import CARD_FILE
from safebench.site import exports, extras, pages
from safebench.site.board import read_board
from safebench.site.board_rows import make_row
from safebench.site.families import Ordered, ordered
from safebench.site.sources import Entry, LeftOut, read_submissions
from safebench.site.standing import log_entries, standing_of
from safebench.words import count

MARKER, SUMS = ".safebench-site", "SHA256SUMS"
_MARK = "safebench leaderboard site, format 1\n"
_ANSWERED_FOR = (SIGNATURE_FILE, BUNDLE_FILE, REGISTRATION_FILE)
_STATIC = Path(__file__).resolve().parent / "static"


@dataclass(frozen=True)
class Built:
    """What was built."""

    index: Path
    title: str
    entries: Ordered
    reruns: int
    files: int
    size: int
    left_out: tuple[LeftOut, ...]
    """Folders that do not hold, and so are not published."""


class LeftOutError(InputError):
    """A folder does not hold, and a board without it is not wanted."""

    def __init__(self, left_out: Sequence[LeftOut]) -> None:
        super().__init__(
            f"nothing was published: {count(len(left_out), 'folder')} would be left out",
            fix="safebench validate FOLDER explains each problem; correct or remove the folder",
        )
        self.left_out = tuple(left_out)


def build(source: Path, out: Path, *, strict: bool = False) -> Built:
    """Build the site of a board; the old site stays until the new one is complete.

    A folder that is unreadable, or does not hold, is left out, and named on the first page.

    Raises:
        LeftOutError: `strict`, and a folder would be left out.
        InputError: the board is unreadable, or `out` is a folder that this program did not make.
    """
    _may_write(source, out)
    board = read_board(source)
    submissions, left_out = read_submissions(source)
    there = log_entries(submissions)
    gone = board_log.gone(_known_log(source, out), there)
    said = {one.name for one in left_out}  # what does not hold is there, and named already
    left_out += [
        LeftOut(line.id, (_gone_words(line),), is_gone=True) for line in gone if line.id not in said
    ]
    if strict and left_out:
        raise LeftOutError(left_out)
    standings = {one.id: standing_of(one, board, gone) for one in submissions}
    entries = ordered(make_row(one, standings[one.id]) for one in submissions)
    rows = {row.id: row for row in entries.rows}
    writer = pages.Pages(board)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        site = _Writer(work)
        downloads = {
            "leaderboard.csv": site.write("leaderboard.csv", exports.to_csv(entries.rows)),
            "leaderboard.json": site.write(
                "leaderboard.json", exports.to_json(board, entries.rows, left_out)
            ),
        }
        lines = board_log.append(source, there)  # before it is published: what was shown is missed
        if lines:
            log = (source / board_log.LOG_FILE).read_bytes()
            downloads[board_log.LOG_FILE] = site.write(board_log.LOG_FILE, log)
        for path in sorted(path for path in _STATIC.iterdir() if path.is_file()):
            site.write(f"static/{path.name}", path.read_bytes())
        site.write("index.html", writer.index(entries, downloads, left_out).encode())
        for one in submissions:
            files = {
                name: site.write(f"files/{one.id}/{name}", (one.folder / name).read_bytes())
                for name in published_files(one)
            }
            page = writer.submission(one, rows[one.id], files)
            site.write(f"submissions/{one.id}.html", page.encode())
            for name, content in extras.submission_files(writer, one, rows[one.id]):
                site.write(name, content)
        for name, content in extras.board_files(writer, extras.Whole(entries, left_out, lines)):
            site.write(name, content)
        site.finish()
        _swap(work, out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    reruns = sum(len(s.reruns) for s in submissions)
    return Built(
        index=out / "index.html",
        title=board.title,
        entries=entries,
        reruns=reruns,
        files=len(site.sums),
        size=site.size,
        left_out=tuple(left_out),
    )


def _known_log(source: Path, out: Path) -> tuple[board_log.LogLine, ...]:
    """Return the board's log, which begins with the one that was published last.

    Raises:
        InputError: it does not, or is damaged.
    """
    lines = board_log.read_log(source)
    published = board_log.read_log(out)
    if lines[: len(published)] != published:
        raise InputError(
            f"{source / board_log.LOG_FILE}: does not begin with the log that {out} publishes",
            fix=f"copy {out / board_log.LOG_FILE} there: lines are only ever added to a log",
        )
    return lines


def _gone_words(line: board_log.LogLine) -> str:
    return f"erased: a {line.kind} with content {line.content[:16]} was published, and is not there"


class _Writer:
    """Writes files of the site and remembers their digests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sums: dict[str, str] = {}
        self.size = 0

    def write(self, name: str, content: bytes) -> str:
        """Write a file and return its SHA-256."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.sums[name] = hashlib.sha256(content).hexdigest()
        self.size += len(content)
        return self.sums[name]

    def finish(self) -> None:
        self.write(".nojekyll", b"")
        lines = "".join(f"{self.sums[name]}  {name}\n" for name in sorted(self.sums))
        (self.root / SUMS).write_text(lines, encoding="ascii")
        (self.root / MARKER).write_text(_MARK, encoding="ascii")
        self.root.chmod(0o755)


def published_files(submission: Entry) -> list[str]:
    """Return the files of a submission, and of its reruns, that the site carries.

    Responses are among them only when the card says that they are public.
    """
    names = [CARD_FILE]
    evidence = submission.card.given_evidence
    if evidence is not None:
        names += ["outcomes.parquet", "manifest.json"]
        if evidence.response_policy == "public":
            names.append("responses.parquet")
        names += _ANSWERED_FOR
        # Labels of an audit hold no text, and the numbers corrected by them are recomputed so;
        # commitments are there to be published, before anybody asks for a text.
        open_to_all = (AUDIT_FILE, COMMITMENTS_FILE)
        names += [file.path for file in evidence.files if file.path in open_to_all]
    for rerun in submission.reruns:
        inner = [CARD_FILE, "verdict.json", "outcomes.parquet", "manifest.json", *_ANSWERED_FOR]
        names += [f"reruns/{rerun.name}/{name}" for name in inner]
    return [name for name in names if (submission.folder / name).is_file()]


def _may_write(source: Path, out: Path) -> None:
    """Refuse to build over anything but an empty folder or a site of ours."""
    here, there = source.resolve(), out.resolve()
    if here == there or there in here.parents or here in there.parents:
        raise InputError(
            f"{out}: the site and the folder it is built from lie inside each other",
            fix="give --out a folder elsewhere",
        )
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError(f"{out}: is not a folder", fix="give --out a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / MARKER).is_file():
        raise InputError(
            f"{out}: is not empty and not a site built by safebench; it was left as it is",
            fix="give --out a new folder",
        )
    foreign = _foreign(out)
    if foreign:
        raise InputError(
            f"{out}: holds files that safebench did not write ({', '.join(foreign[:5])})",
            fix="move them elsewhere, or give --out a new folder",
        )


def _foreign(out: Path) -> list[str]:
    """Return files of a site that are not in its list."""
    sums = out / SUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    ours = {line.partition("  ")[2] for line in lines} | {MARKER, SUMS}
    there = (p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir())
    return sorted(name for name in there if name not in ours)


def _swap(work: Path, out: Path) -> None:
    """Put the new site in the place of the old one; a failure puts the old one back."""
    if not out.exists():
        work.rename(out)
        return
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
    os.replace(out, old)  # noqa: PTH105 - replaces the empty folder
    try:
        work.rename(out)
    except BaseException:
        os.replace(old, out)  # noqa: PTH105
        raise
    shutil.rmtree(old)
