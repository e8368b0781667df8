"""Who made a rerun, as far as signatures show, and whether a submission is reproduced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from safebench.analysis.verdict import pooled_words
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.seeds import Seeds
from safebench.errors import EvidenceError
from safebench.evidence.board_log import LogEntry, LogLine
from safebench.evidence.registration import REGISTRATION_FILE, read_registration
from safebench.evidence.signature import Signer, content_digest, covered_files
from safebench.evidence.verdicts import Word
from safebench.site.board import Board
from safebench.site.sources import Entry, Rerun
from safebench.words import count

Who = Literal[
    "unsigned", "key not listed", "by the submitter", "original not signed", "independent"
]


@dataclass(frozen=True)
class Maker:
    """Who made a rerun, as far as signatures show."""

    who: Who
    words: str
    """The same for a reader: `Lab B, Second University (signed)`."""


@dataclass(frozen=True)
class Standing:
    """What a submission's reruns show, all of them together."""

    makers: tuple[Maker, ...] = ()
    """One for each rerun, in their order."""
    not_counted: tuple[str, ...] = ()
    """For each rerun why it does not count towards the level `reproduced`; empty where it does."""
    pooled: Word | None = None
    """The verdict on all that count together; None where none does."""
    is_reproduced: bool = False
    """Whether the reruns, with a level `replicated`, make the level `reproduced`."""
    missing: str = ""
    """What the level `reproduced` asks for beyond them, in words; empty where nothing."""
    seeds: str = ""
    """Where the seeds come from, in a sentence."""


def standing_of(entry: Entry, board: Board, gone: Iterable[LogLine]) -> Standing:
    """Return what a board can say of a submission; `gone`: what is logged and not there."""
    makers = tuple(_maker(entry, rerun, board) for rerun in entry.reruns)
    reasons = tuple(_reason(entry, *pair) for pair in zip(entry.reruns, makers, strict=True))
    counted = [rerun for rerun, why in zip(entry.reruns, reasons, strict=True) if not why]
    pooled = _pooled(entry, counted)
    erased = [line.id for line in gone if line.id.startswith(f"{entry.id}/")]
    missing = _missing(entry, pooled, erased)
    return Standing(makers, reasons, pooled, not missing, missing, seeds_words(entry, board))


def log_entries(entries: Sequence[Entry]) -> list[LogEntry]:
    """Return what a board's log says of submissions and their reruns."""
    found = []
    for entry in entries:
        if entry.card.given_evidence is not None:
            found.append(_log_entry("submission", entry.id, entry))
        found += [
            _log_entry("rerun", f"{entry.id}/reruns/{rerun.name}", rerun) for rerun in entry.reruns
        ]
    return found


def _log_entry(kind: Literal["submission", "rerun"], id: str, one: Entry | Rerun) -> LogEntry:
    key = None if one.signature is None else one.signature.fingerprint
    content = content_digest(covered_files(one.folder))
    return LogEntry(kind=kind, id=id, content=content, key=key)


def _listed(one: Entry | Rerun, board: Board) -> Signer | None:
    """Return whose key signed, as the board lists it."""
    return None if one.signature is None else board.signers.get(one.signature.fingerprint)


def _maker(entry: Entry, rerun: Rerun, board: Board) -> Maker:
    signature, first = rerun.signature, entry.signature
    if signature is None:
        return Maker("unsigned", "unsigned: anybody may have made it")
    if first is not None and first.fingerprint == signature.fingerprint:
        return Maker("by the submitter", "by the submitter, with the original’s key")
    signer, submitter = _listed(rerun, board), _listed(entry, board)
    if signer is None:
        key = signature.fingerprint[:16]
        return Maker("key not listed", f"signed with key {key}, which this board does not list")
    named = f"{signer.name}, {signer.organisation} (signed)"
    organisations = [entry.card.submission.organisation]
    organisations += [] if submitter is None else [submitter.organisation]
    if _same(signer.organisation, *organisations):
        return Maker("by the submitter", f"by the submitter: {named}")
    if submitter is None:
        return Maker(
            "original not signed", f"{named}; the original has no signature of a known key"
        )
    return Maker("independent", named)


def _same(name: str, *others: str) -> bool:
    plain = [" ".join(other.casefold().split()) for other in (name, *others)]
    return plain[0] in plain[1:]


def needed_kind(entry: Entry) -> str:
    """Return which kind of rerun counts towards the level `reproduced`."""
    return "regenerate" if entry.card.submission.object == "artefact" else "retrain"


def _reason(entry: Entry, rerun: Rerun, maker: Maker) -> str:
    """Return why a rerun does not count towards the level `reproduced`; empty where it does."""
    verdict, kind = rerun.verdict, needed_kind(entry)
    if maker.who != "independent":
        return maker.who
    if verdict.kind != kind:
        return f"its kind is {verdict.kind}, not {kind}"
    if verdict.nonce is not None:
        return "a sample of the prompts"
    if verdict.rerun.protocol != verdict.original.protocol:
        return "another protocol"
    if kind == "retrain" and _seeds(entry) & _seeds(rerun):
        return "training seeds of the original"
    if "no_verdict" in {row.verdict for row in verdict.verdicts}:
        return "no verdict on a primary estimand"
    return ""


def _seeds(one: Entry | Rerun) -> set[int]:
    seeds = getattr(one.card.seeds, "training", None)
    return set(seeds) if isinstance(seeds, tuple) else set()


def _pooled(entry: Entry, counted: Sequence[Rerun]) -> Word | None:
    if not counted:
        return None
    paired = needed_kind(entry) == "regenerate"
    if any(rerun.verdict.contradictions for rerun in counted):
        return "not_reproduced"
    if len(counted) == 1:
        words = {row.verdict for row in counted[0].verdict.verdicts}
    else:
        alpha = min(rerun.verdict.alpha for rerun in counted)
        words = set(pooled_words(entry, counted, paired=paired, alpha=alpha).values())
    if "not_reproduced" in words:
        return "not_reproduced"
    return words.pop() if len(words) == 1 else "inconclusive"


def _missing(entry: Entry, pooled: Word | None, erased: Sequence[str]) -> str:
    if erased:
        return f"the reruns that this board has logged, and that are gone: {', '.join(erased)}"
    if pooled is None:
        return (
            f"a rerun of kind {needed_kind(entry)}, signed with a key that this board lists, by "
            "another organisation than the submitter’s, who has signed with a listed key too"
        )
    if pooled != "reproduced":
        return "that every primary estimand is reproduced by the reruns that count, together"
    return ""


def runs_begun(card: Card) -> dict[str, int]:
    """Return how many registered runs finished, failed and were withdrawn."""
    runs = None if card.given_evidence is None else card.given_evidence.runs
    return dict(Counter(run.status for run in runs)) if isinstance(runs, tuple) else {}


def seeds_words(entry: Entry, board: Board) -> str:
    """Return where a card's seeds come from, in a sentence."""
    seeds = entry.card.seeds
    if isinstance(seeds, NotReported) or isinstance(seeds.nonce, NotReported):
        return "Where the seeds come from is not reported."
    if seeds.scheme == "declared":
        return "Declared: the submitter chose the seeds."
    if seeds.nonce == "self_derived":
        return (
            "Self-derived: the seeds follow from the protocol alone, and nobody knows how many "
            "variants of it were tried."
        )
    return _registered(entry, seeds, board)


def _registered(entry: Entry, seeds: Seeds, board: Board) -> str:
    if not isinstance(seeds.registration, str):
        return "Derived from a nonce that no registration beside the card shows."
    try:
        found = read_registration(entry.path(REGISTRATION_FILE))
    except EvidenceError:
        return "Derived from a nonce whose registration cannot be read."
    planned = f"{count(found.seeds, 'training seed')} registered before anything was run"
    registrar = board.signers.get(found.fingerprint)
    if registrar is None:
        return f"{planned}, signed with a key that this board does not list."
    submitter = _listed(entry, board)
    theirs = [entry.card.submission.organisation]
    theirs += [] if submitter is None else [submitter.organisation]
    if _same(registrar.organisation, *theirs):
        return f"{planned}, by the submitter: {registrar.name}, {registrar.organisation}."
    day = f", {found.date}" if found.date else ""
    return f"{planned} with {registrar.name}, {registrar.organisation}{day}."
