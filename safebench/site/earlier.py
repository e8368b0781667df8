"""A board as it was published: a site that was built, or a revision of git.

A revision is read from a copy, and the working tree stays as it is.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from safebench.checks import LEVELS
from safebench.errors import InputError
from safebench.evidence import board_log
from safebench.evidence.board_log import LOG_FILE
from safebench.site.board import BOARD_FILE, read_board
from safebench.site.checking import Before, see
from safebench.site.sources import RERUNS, SUBMISSIONS
from safebench.site.writing import MARKER


def published_before(folder: Path, against: str) -> Before:
    """Return the board that DIR was when it was published; `against`: a site, or a git revision.

    Raises:
        InputError: there is no such site or revision.
    """
    site = Path(against)
    return _of_site(site) if (site / MARKER).is_file() else _of_revision(folder, against)


def _of_site(site: Path) -> Before:
    path = site / "leaderboard.json"
    try:
        entries = json.loads(path.read_bytes())["submissions"]
        levels = {str(one["id"]): str(one["level"]) for one in entries}
        if not {*levels.values()} <= {*LEVELS}:
            raise ValueError("unknown level")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"{path}: is not the list of a board's submissions", fix="give --against a whole site"
        ) from problem
    return Before(levels, frozenset(levels), board_log.read_log(site))


def _of_revision(folder: Path, revision: str) -> Before:
    """Return the board of DIR at a revision, with levels of what may have another one now.

    A submission has the level it had, unless a file of it changed, or board.yaml, which says whose
    reruns count.

    Raises:
        InputError: git is not installed, DIR is not in a repository, or has no such revision.
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    at = commit.decode()
    names = _names(_git(folder, "ls-tree", "-r", "-z", "--name-only", at, "--", SUBMISSIONS))
    ids = {path.parts[1] for path in names if len(path.parts) > 2}
    paths = _names(
        _git(folder, "diff", "--relative", "-z", "--name-only", at, "--", SUBMISSIONS, BOARD_FILE)
    )
    changed = {path.parts[1] for path in paths if len(path.parts) > 2} & ids
    if PurePosixPath(BOARD_FILE) in paths:
        changed |= {path.parts[1] for path in names if RERUNS in path.parts[2:3]}
    there = {path.name for path in _names(_git(folder, "ls-tree", "-z", "--name-only", at))}
    wanted = [f"{SUBMISSIONS}/{id}" for id in sorted(changed)]
    wanted += [name for name in (BOARD_FILE, LOG_FILE) if name in there]
    with tempfile.TemporaryDirectory() as made:
        old = Path(made)
        if wanted:
            packed = _git(folder, "archive", "--format=tar", at, "--", *wanted)
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(old, filter="data")
        board = read_board(old)
        log = board_log.read_log(old)
        lines = {id: [line for line in log if line.id.partition("/")[0] == id] for id in changed}
        seen = [see(board, lines, old / SUBMISSIONS / id) for id in sorted(changed)]
    levels = {one.name: one.level for one in seen if one.level is not None}
    return Before(levels, frozenset(ids), log)


def _names(output: bytes) -> list[PurePosixPath]:
    texts = output.decode("utf-8", "surrogateescape").split("\0")
    return [PurePosixPath(text) for text in texts if text]


def _git(folder: Path, *arguments: str) -> bytes:
    """Run git in DIR; what is given as a revision is never read as an option."""
    if arguments[-1].startswith("-"):
        raise InputError(f"--against: {arguments[-1]!r} is no revision", fix=_FIX)
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - whichever git is installed
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as problem:
        raise InputError("git is not installed", fix="install git, or leave out --against") from (
            problem
        )
    except subprocess.CalledProcessError as problem:
        message = problem.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        reason = f": {message}" if message else ""
        raise InputError(f"--against: git finds nothing to compare with{reason}", fix=_FIX) from (
            problem
        )
    return done.stdout


_FIX = (
    "give a revision that this repository has, such as origin/main (a shallow clone lacks most), "
    "or a site built earlier"
)
