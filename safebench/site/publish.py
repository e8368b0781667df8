"""Building the site: everything into a folder beside the target, then one swap."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safebench.errors import InputError
from safebench.evidence import board_log
from safebench.evidence.board_log import LogEntry, LogLine
from safebench.progress import Progress, Silent
from safebench.site import exports, extras, shards
from safebench.site.board import read_board
from safebench.site.board_rows import BoardRow
from safebench.site.cache import Cache
from safebench.site.columns import ON_PAGE
from safebench.site.families import Ordered, ordered
from safebench.site.kept_rows import row_from_json
from safebench.site.making import Maker, Task, make_all, published_files
from safebench.site.pages import Pages
from safebench.site.sources import LeftOut, places
from safebench.site.writing import Writer, require_free, swap
from safebench.words import count

_STATIC = Path(__file__).resolve().parent / "static"

__all__ = ["Built", "LeftOutError", "build", "published_files"]


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
    recalled: int = 0
    """Submissions that had not changed since an earlier build."""


class LeftOutError(InputError):
    """A folder does not hold, and a board without it is not wanted."""

    def __init__(self, left_out: Sequence[LeftOut]) -> None:
        super().__init__(
            f"nothing was published: {count(len(left_out), 'folder')} would be left out",
            fix="safebench validate FOLDER explains each problem; correct or remove the folder",
        )
        self.left_out = tuple(left_out)


def build(
    source: Path,
    out: Path,
    *,
    strict: bool = False,
    space: bool = False,
    workers: int = 1,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Built:
    """Build the site of a board; the old site stays until the new one is complete.

    A folder that is unreadable, or does not hold, is left out, and named on the first page.
    Submissions are checked one by one, in so many processes, and none is kept in memory; `cache` is
    a folder in which what was made of each is kept for the next build. `space`: the site is a
    static Space of the Hub too.

    Raises:
        LeftOutError: `strict`, and a folder would be left out.
        InputError: the board is unreadable, or `out` is a folder that this program did not make.
    """
    require_free(source, out)
    board = read_board(source)
    folders = places(source)
    known = _known_log(source, out)
    kept = None if cache is None else Cache.open(cache)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        site = Writer(work)
        maker = Maker(board, work, kept)
        read = _read(maker, site, _tasks(folders, known), workers, progress or Silent())
        left_out = [*read.left_out, *_gone(known, read)]
        if strict and left_out:
            raise LeftOutError(left_out)
        entries = ordered(read.rows)
        # Before it is published: what was shown can be missed.
        lines = board_log.append(source, read.log)
        log = source / board_log.LOG_FILE if lines else None
        write_board(site, maker.pages, extras.Whole(entries, left_out, lines, space), log)
        site.finish()
        old = swap(work, out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    if old is not None:
        shutil.rmtree(old)
    if kept is not None:
        kept.forget_all_but(read.keys)
    return Built(
        index=out / "index.html",
        title=board.title,
        entries=entries,
        reruns=read.reruns,
        files=len(site.sums),
        size=site.size,
        left_out=tuple(left_out),
        recalled=read.recalled,
    )


@dataclass
class _Read:
    """What is kept of all submissions."""

    rows: list[BoardRow] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    log: list[LogEntry] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    reruns: int = 0
    recalled: int = 0


def _tasks(folders: Sequence[Path], known: Iterable[LogLine]) -> list[Task]:
    of_id: dict[str, list[LogLine]] = defaultdict(list)
    for line in known:
        of_id[line.id.partition("/")[0]].append(line)
    return [Task(folder, tuple(of_id.get(folder.name, ()))) for folder in folders]


def _read(
    maker: Maker, site: Writer, tasks: Sequence[Task], workers: int, progress: Progress
) -> _Read:
    """Read every submission, in the order of their ids whichever is ready first."""
    read, found = _Read(), {}
    progress.start("submissions", len(tasks))
    for position, made in make_all(maker, tasks, workers):
        row = None if made.row is None else row_from_json(made.row)
        found[position] = row, made.left_out, made.log
        site.add(made.sums or {}, made.size)
        read.reruns += made.reruns
        read.recalled += made.recalled
        read.keys |= {made.key} if made.key else set()
        progress.advance(1)
    progress.stop()
    for position in range(len(tasks)):
        row, left_out, log = found.pop(position)
        read.rows += [row] if row is not None else []
        read.left_out += left_out
        read.log += log
    return read


def write_board(site: Writer, pages: Pages, whole: extras.Whole, log: Path | None) -> None:
    """Write what is about all submissions together; `log` is the board's own log."""
    downloads = {
        name: site.write_pieces(name, pieces())
        for name, pieces in exports.formats(pages.board, whole.entries.rows, whole.left_out).items()
    }
    if log is not None:
        downloads[board_log.LOG_FILE] = site.write(board_log.LOG_FILE, log.read_bytes())
    for path in sorted(path for path in _STATIC.iterdir() if path.is_file()):
        site.write(f"static/{path.name}", path.read_bytes())
    site.write("static/columns.css", _labels().encode())
    sums, sizes = {}, {}
    for name, content in shards.shards(whole.entries):
        sums[name], sizes[name] = site.write(name, content), len(content)
    index = shards.index(sums, sizes, len(whole.entries.rows))
    downloads[f"{shards.FOLDER}/index.json"] = site.write(f"{shards.FOLDER}/index.json", index)
    for name, text in pages.board_pages(whole.entries, downloads, whole.left_out, extras.LINKS):
        site.write(name, text.encode())
    for name, content in extras.board_files(pages, whole):
        site.write(name, content)


def _labels() -> str:
    """Return the style sheet that names a column before its cells where they are no column."""
    return "".join(f'.cells td.{c.key}::before {{ content: "{c.head} "; }}\n' for c in ON_PAGE)


def _known_log(source: Path, out: Path) -> tuple[LogLine, ...]:
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


def _gone(known: Sequence[LogLine], read: _Read) -> list[LeftOut]:
    """Return what the log says was published and is not there; what does not hold is named."""
    named = {one.name for one in read.left_out}
    return [
        LeftOut(line.id, (_gone_words(line),), is_gone=True)
        for line in board_log.gone(known, read.log)
        if line.id not in named
    ]


def _gone_words(line: LogLine) -> str:
    return f"erased: a {line.kind} with content {line.content[:16]} was published, and is not there"
