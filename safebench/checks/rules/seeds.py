"""Seeds: enough of them, all different, and derived ones recomputed."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.seeds import Seeds
from safebench.checks.registry import Hit, Rules, Subject, duplicates, items, reported
from safebench.words import count

rules = Rules("card.md#seeds")
FEWEST = 3
"""Training seeds below which the spread between them cannot be estimated."""


def _seeds(subject: Subject) -> Seeds | None:
    seeds = subject.card.seeds
    return seeds if isinstance(seeds, Seeds) else None


def _derived(subject: Subject) -> Seeds | None:
    """Return the seeds where they can be recomputed: they are derived, and the nonce is known."""
    seeds = _seeds(subject)
    if seeds is None or seeds.scheme != "derived" or isinstance(seeds.nonce, NotReported):
        return None
    return seeds


@rules.error("SB-SEED-001")
def seeds_differ(subject: Subject) -> Iterator[Hit]:
    """Training seeds are all different.

    Counting one run twice makes the spread look smaller.
    """
    for number, seed in duplicates(subject.training_seeds or ()):
        yield Hit(
            ("seeds", "training", number),
            f"{seed} is listed before: the same run would be counted twice",
            "remove it, or train with another seed",
        )


@rules.error("SB-SEED-002", section="seeds.md#seeds")
def training_derived(subject: Subject) -> Iterator[Hit]:
    """Derived training seeds are the ones that follow from the protocol.

    Computed seeds cannot be picked for their results.
    """
    seeds, values = _derived(subject), subject.training_seeds or ()
    if seeds is None:
        return
    expected = derive_seeds(subject.card, len(values))
    for number, (found, derived) in enumerate(zip(values, expected, strict=True)):
        if found != derived:
            yield Hit(
                ("seeds", "training", number),
                f"{found} is not derived seed {number} of this protocol, which is {derived}",
                "give the number of seeds alone, restore the protocol that was run, "
                "or set scheme: declared and say in origin where they came from",
            )


@rules.error("SB-SEED-003", section="seeds.md#seeds")
def generation_derived(subject: Subject) -> Iterator[Hit]:
    """The derived generation seed is the one that follows from the protocol.

    A computed generation seed cannot be picked for its results.
    """
    seeds = _derived(subject)
    found = reported(seeds.generation) if seeds else None
    if found is None:
        return
    expected = generation_seed(subject.card)
    if found != expected:
        yield Hit(
            ("seeds", "generation"),
            f"{found} is not the derived generation seed of this protocol, which is {expected}",
            "remove it, restore the protocol that was run, or set scheme: declared",
        )


@rules.warning("SB-SEED-004")
def enough(subject: Subject) -> Iterator[Hit]:
    """A recipe is measured with at least 3 training seeds.

    The same recipe scored .73 or .82, depending on the seed (arXiv 2506.17209).
    """
    if subject.is_untuned:
        return
    if subject.card.submission.object == "artefact":
        return
    seeds = subject.seed_count
    if seeds is not None and seeds < FEWEST:
        yield Hit(
            ("seeds", "training"),
            f"{count(seeds, 'training seed')}: the spread between seeds cannot be estimated",
            f"train with {FEWEST} or more, preferably 5",
        )


@rules.error("SB-SEED-005")
def declared_listed(subject: Subject) -> Iterator[Hit]:
    """Declared training seeds are listed.

    A count identifies the seeds only if they are derived.
    """
    seeds = _seeds(subject)
    if seeds and seeds.scheme == "declared" and isinstance(reported(seeds.training), int):
        yield Hit(
            ("seeds", "training"),
            f"scheme is declared, but training is a number ({reported(seeds.training)})",
            "list the values, training: {not_reported: why}, or set scheme: derived",
        )


@rules.warning("SB-SEED-006")
def origin_given(subject: Subject) -> Iterator[Hit]:
    """Declared seeds say where they came from.

    Seeds chosen by a person may have been chosen for their results.
    """
    seeds = _seeds(subject)
    if seeds and seeds.scheme == "declared" and seeds.origin is None:
        yield Hit(
            ("seeds",),
            "scheme is declared, but origin does not say where the seeds came from",
            "add origin, e.g. `the API chose them`, or `runs of March, before this card`",
        )


@rules.error("SB-SEED-007", section="seeds.md#nonce")
def nonce_used(subject: Subject) -> Iterator[Hit]:
    """Only derived seeds have a nonce.

    A nonce beside hand-picked seeds looks like a safeguard and is none.
    """
    seeds = _seeds(subject)
    if seeds is None or seeds.scheme != "declared":
        return
    defaults = {"nonce": "self_derived", "nonce_source": None, "series": "original"}
    for field, default in defaults.items():
        if getattr(seeds, field) != default:
            yield Hit(
                ("seeds", field),
                f"scheme is declared, so {field} has no effect",
                f"remove {field}, or set scheme: derived",
            )


@rules.warning("SB-SEED-008", section="seeds.md#nonce")
def nonce_sourced(subject: Subject) -> Iterator[Hit]:
    """A nonce says who drew it.

    One's own nonce can be redrawn until the seeds are lucky.
    """
    seeds = _seeds(subject)
    if seeds is None or seeds.scheme != "derived":
        return
    nonce = reported(seeds.nonce)
    if nonce not in (None, "self_derived") and seeds.nonce_source is None:
        yield Hit(
            ("seeds", "nonce"),
            "the nonce has no nonce_source: nobody can tell that it was not chosen",
            "add nonce_source, e.g. the board that issued it, or a beacon and its round",
        )


@rules.error("SB-SEED-009")
def not_both(subject: Subject) -> Iterator[Hit]:
    """Nothing is both set by the training seed and fixed.

    A source of randomness cannot both vary with the seed and stay the same.
    """
    seeds = _seeds(subject)
    fixed = reported(seeds.fixed) if seeds else None
    for name in items(seeds.controls) if seeds and fixed else ():
        if getattr(fixed, name) is not None:
            yield Hit(
                ("seeds", "fixed", name),
                f"{name} has a fixed seed, but controls says that the training seed sets it",
                "remove one of the two",
            )


@rules.error("SB-SEED-010")
def sets_something(subject: Subject) -> Iterator[Hit]:
    """A training seed sets something.

    Runs that do not differ in anything are one run counted several times.
    """
    seeds = _seeds(subject)
    if subject.is_untuned or seeds is None:
        return
    count = subject.seed_count
    if seeds.controls == () and count is not None and count > 1:
        yield Hit(
            ("seeds", "controls"),
            f"{count} training seeds that set nothing give the same run {count} times",
            "say what each seed sets: adapter_init, data_order, dropout",
        )
