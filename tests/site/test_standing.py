"""Who made a rerun is what signatures and the board's list say, and the level follows from it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safebench.analysis.verdict import join_seeds, pooled_words
from safebench.card.io import load_card
from safebench.checks import check
from safebench.errors import InputError
from safebench.evidence import keys
from safebench.evidence.board_log import LOG_FILE, LogLine
from safebench.evidence.signature import Signer, sign_with_key
from safebench.site import build
from safebench.site.board import Board
from safebench.site.board_rows import level_on_board, make_row
from safebench.site.sources import Entry, Rerun, read_submissions
from safebench.site.standing import Standing, seeds_words, standing_of
from tests.conformance.runner import EXAMPLES
from tests.conformance.signed import KEY
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

TASKS = (("safebench_harm", "harm"), ("safebench_capability", "capability"))
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(3)]
PRINTS = [keys.fingerprint(keys.public_key(key)) for key in KEYS]
FIRST = Signer(name="A. Person", organisation="Example Lab")
SECOND = Signer(name="B. Person", organisation="Second Lab")
STATED = Signer(name="Whoever", organisation="Any University")
BOTH = {PRINTS[0]: FIRST, PRINTS[1]: SECOND}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe with three seeds, and two reruns with as many others."""
    root = tmp_path_factory.mktemp("standing")
    recipe = Recipe(prompts=12, repeats=1, seeds=(1, 2, 3), tasks=TASKS)
    home = made_by_code.write_submission(root / "submissions", recipe)
    for name, seeds in (("b", (4, 5, 6)), ("c", (4, 5, 13))):
        made_by_code.write_rerun(
            home, name, replace(recipe, id=f"again-{name}", organisation="Second Lab", seeds=seeds)
        )
    return root


@pytest.fixture(scope="module")
def entry(board: Path) -> Entry:
    """The same as it is read; the verdicts on so few prompts are replaced."""
    (found,), left_out = read_submissions(board)
    assert left_out == []
    return replace(found, reruns=tuple(with_word(one, "reproduced") for one in found.reruns))


def with_word(rerun: Rerun, word: str, which: slice = slice(None)) -> Rerun:
    """Return a rerun with another verdict on some primary estimands."""
    rows = list(rerun.verdict.verdicts)
    rows[which] = [row.model_copy(update={"verdict": word}) for row in rows[which]]
    return replace(rerun, verdict=rerun.verdict.model_copy(update={"verdicts": tuple(rows)}))


def standing(
    entry: Entry, original: int | None, rerun: int | None, signers: dict[str, Signer]
) -> Standing:
    """Sign both with keys, and say what a board thinks of the first rerun alone."""
    one = replace(entry.reruns[0])
    for place, key in ((entry, original), (one, rerun)):
        (place.folder / "signature.json").unlink(missing_ok=True)
        if key is not None:
            sign_with_key(place.folder, KEYS[key], STATED)
    return standing_of(replace(entry, reruns=(one,)), Board(signers=signers), ())


@pytest.mark.parametrize(
    ("original", "rerun", "signers", "who"),
    [
        (0, None, BOTH, "unsigned"),
        (0, 0, BOTH, "by the submitter"),
        (0, 2, BOTH, "key not listed"),
        (0, 1, {}, "key not listed"),
        (0, 1, {**BOTH, PRINTS[1]: Signer(name="B", organisation=" example  LAB")},
         "by the submitter"),
        (0, 1, {PRINTS[0]: SECOND, PRINTS[1]: SECOND}, "by the submitter"),
        (None, 1, BOTH, "original not signed"),
        (2, 1, BOTH, "original not signed"),
        (0, 1, BOTH, "independent"),
    ],
)  # fmt: skip
def test_who_made_a_rerun(
    entry: Entry, original: int | None, rerun: int | None, signers: dict[str, Signer], who: str
) -> None:
    found = standing(entry, original, rerun, signers)
    assert [maker.who for maker in found.makers] == [who]
    independent = who == "independent"
    assert found.is_reproduced == independent
    assert (found.not_counted == ("",)) == independent
    assert bool(found.missing) != independent
    assert level_on_board("replicated", found) == ("reproduced" if independent else "replicated")
    assert level_on_board("evidenced", found) == "evidenced"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda v: v.model_copy(update={"kind": "regenerate"}), "its kind is regenerate"),
        (lambda v: v.model_copy(update={"kind": "rejudge"}), "its kind is rejudge"),
        (
            lambda v: v.model_copy(
                update={"rerun": v.rerun.model_copy(update={"protocol": "0" * 64})}
            ),
            "another protocol",
        ),
    ],
)
def test_what_does_not_count(entry: Entry, change: Any, why: str) -> None:
    standing(entry, 0, 1, BOTH)
    one = replace(entry.reruns[0], verdict=change(entry.reruns[0].verdict))
    found = standing_of(replace(entry, reruns=(one,)), Board(signers=BOTH), ())
    assert why in found.not_counted[0]
    assert found.pooled is None
    assert not found.is_reproduced


def test_one_estimand_that_is_not_reproduced_is_enough(entry: Entry) -> None:
    standing(entry, 0, 1, BOTH)
    for word, pooled in (
        ("inconclusive", "inconclusive"),
        ("not_reproduced", "not_reproduced"),
        ("no_verdict", None),
    ):
        one = with_word(entry.reruns[0], word, slice(1))
        found = standing_of(replace(entry, reruns=(one,)), Board(signers=BOTH), ())
        assert (found.pooled, found.is_reproduced) == (pooled, False)


def test_a_rerun_that_is_gone_withholds_the_level(entry: Entry) -> None:
    standing(entry, 0, 1, BOTH)
    line = LogLine(
        kind="rerun", id=f"{entry.id}/reruns/z", content="0" * 64, key=None, previous="0" * 64
    )
    known = replace(entry, reruns=(replace(entry.reruns[0]),))
    assert not standing_of(known, Board(signers=BOTH), (line,)).is_reproduced
    elsewhere = line.model_copy(update={"id": "another/reruns/z"})
    assert standing_of(known, Board(signers=BOTH), (elsewhere,)).is_reproduced


def test_reruns_are_pooled_and_a_seed_counts_once(entry: Entry) -> None:
    first, second = (
        next(b for b in rerun.blocks if b.checkpoint == 2 and b.construct == "harm")
        for rerun in entry.reruns
    )
    seeds, scores = join_seeds([first, second])
    assert sorted(seeds) == [5, 6, 7, 14]
    assert np.array_equal(
        scores[0], (first.scores[first.seeds.index(5)] + second.scores[second.seeds.index(5)]) / 2
    )
    first_run, *others = [alike(one) for one in (entry, *entry.reruns)]
    for paired in (False, True):
        again = [first_run, first_run] if paired else others
        words = pooled_words(first_run, again, paired=paired, alpha=0.05)
        assert set(words.values()) == {"reproduced"}
        assert len(words) == len(TASKS)


def alike(one: Entry | Rerun) -> Any:
    """Return outcomes on many prompts of which every seed has the same."""
    blocks = [replace(b, scores=np.tile(b.scores[:1], (len(b.seeds), 1, 60))) for b in one.blocks]
    return SimpleNamespace(card=one.card, blocks=blocks)


def test_the_board_shows_it_and_misses_what_is_erased(board: Path, tmp_path: Path) -> None:
    home, out = board / "submissions" / "household", tmp_path / "site"
    for place, key in ((home, 0), (home / "reruns" / "b", 1)):
        (place / "signature.json").unlink(missing_ok=True)
        sign_with_key(place, KEYS[key], STATED)
    listed = {print_: signer.model_dump() for print_, signer in BOTH.items()}
    (board / "board.yaml").write_text(json.dumps({"signers": listed}))
    build(board, out)
    (row,) = json.loads((out / "leaderboard.json").read_text())["submissions"]
    assert row["rerun_makers"] == ["independent", "unsigned"]
    assert row["reruns"]["elsewhere"] == 1
    assert (out / "files/household/reruns/b/signature.json").is_file()
    page = (out / "submissions" / "household.html").read_text()
    assert "B. Person, Second Lab (signed)" in page
    assert (out / LOG_FILE).read_bytes() == (board / LOG_FILE).read_bytes()

    (home / "reruns" / "c").rename(tmp_path / "c")
    left = build(board, out).left_out
    assert [(one.name, one.is_gone) for one in left] == [("household/reruns/c", True)]
    assert "household/reruns/c" in (out / "index.html").read_text()

    log = (board / LOG_FILE).read_bytes().splitlines(keepends=True)
    (board / LOG_FILE).write_bytes(log[0])
    with pytest.raises(InputError, match=LOG_FILE):
        build(board, out)
    (board / LOG_FILE).write_bytes(b"".join(log))
    (tmp_path / "c").rename(home / "reruns" / "c")


def test_a_card_without_a_board_s_nonce_says_so(entry: Entry) -> None:
    assert make_row(entry).standing.seeds.startswith("Declared")


@pytest.mark.parametrize(
    ("changes", "signers", "words"),
    [
        ({}, {"a registrar": None}, "key that this board does not list"),
        ({}, {"a registrar": "Board"}, r"3 training seeds .* Board, 2026-01-01"),
        ({}, {"a registrar": "example lab"}, "by the submitter"),
        ({"nonce": "self_derived", "registration": None}, {}, "Self-derived"),
        ({"registration": None}, {}, "no registration"),
        ({"scheme": "declared"}, {}, "Declared"),
    ],
)
def test_where_the_seeds_come_from(
    changes: dict[str, Any], signers: dict[str, str | None], words: str
) -> None:
    folder = EXAMPLES / "boundary" / "SB-SEED-011" / "keeps-registered"
    card = load_card(folder / "card.yaml")
    card = card.model_copy(update={"seeds": card.seeds.model_copy(update=changes)})
    known = {
        keys.fingerprint(keys.public_key(KEY)): Signer(name="R.", organisation=organisation)
        for organisation in signers.values()
        if organisation
    }
    one = Entry(card, folder, check(folder / "card.yaml"), ())
    assert re.search(words, seeds_words(one, Board(signers=known)))
