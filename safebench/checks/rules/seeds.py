"""Seeds: enough of them, all different, and derived ones recomputed."""

from __future__ import annotations

from safebench.card.base import NotReported
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.seeds import Seeds
from safebench.checks.registry import Hits, Rules, Subject, duplicates, reported
from safebench.words import count

rules = Rules("card.md#seeds")
FEWEST = 3
"""Training seeds below which the spread between them cannot be estimated."""


def _seeds(subject: Subject, scheme: str) -> Seeds | None:
    """Return the seeds, where they are reported and follow a scheme."""
    seeds = subject.card.seeds
    return seeds if isinstance(seeds, Seeds) and seeds.scheme == scheme else None


def _recomputable(subject: Subject) -> Seeds | None:
    """Return the seeds where they can be recomputed: they are derived, and the nonce is known."""
    seeds = _seeds(subject, "derived")
    return None if seeds is None or isinstance(seeds.nonce, NotReported) else seeds


@rules.error(
    "SB-SEED-001",
    "Training seeds are all different.",
    condition="An item of `seeds.training` equals an earlier one. Points to the later one.",
    why="Counting one run twice makes the spread look smaller.",
    fix="remove it, or train with another seed",
)
def _seeds_differ(subject: Subject) -> Hits:
    for number, seed in duplicates(subject.training_seeds or ()):
        message = f"{seed} is listed before: the same run would be counted twice"
        yield ("seeds", "training", number), message


@rules.error(
    "SB-SEED-002",
    "Derived training seeds are the ones that follow from the protocol.",
    condition="`scheme` is `derived`, `nonce` is given, and item n of the list "
    "`seeds.training` is not training seed n of [seeds.md](seeds.md#seeds), of the card as "
    "it stands. Untuned cards are no exception. Points to the item.",
    why="Computed seeds cannot be picked for their results.",
    fix="give the number of seeds alone, restore the protocol that was run, "
    "or set scheme: declared and say in origin where they came from",
    section="seeds.md#seeds",
)
def _training_derived(subject: Subject) -> Hits:
    values = subject.training_seeds or ()
    if _recomputable(subject) is None:
        return
    expected = derive_seeds(subject.card, len(values))
    for number, (found, derived) in enumerate(zip(values, expected, strict=True)):
        if found != derived:
            yield (
                ("seeds", "training", number),
                f"{found} is not derived seed {number} of this protocol, which is {derived}",
            )


@rules.error(
    "SB-SEED-003",
    "The derived generation seed is the one that follows from the protocol.",
    condition="As SB-SEED-002, for `seeds.generation`. Points to it.",
    why="A computed generation seed cannot be picked for its results.",
    fix="remove it, restore the protocol that was run, or set scheme: declared",
    section="seeds.md#seeds",
)
def _generation_derived(subject: Subject) -> Hits:
    seeds = _recomputable(subject)
    found = reported(seeds.generation) if seeds else None
    if found is None:
        return
    expected = generation_seed(subject.card)
    if found != expected:
        yield (
            ("seeds", "generation"),
            f"{found} is not the derived generation seed of this protocol, which is {expected}",
        )


@rules.warning(
    "SB-SEED-004",
    "A recipe is measured with at least 3 training seeds.",
    condition=f"`seeds.training` is, or lists, fewer than {FEWEST}, unless the card is "
    "untuned or `submission.object` is `artefact`. Points to `training`.",
    why="The same recipe scored .73 or .82, depending on the seed (arXiv 2506.17209).",
    fix=f"train with {FEWEST} or more, preferably 5",
)
def _enough(subject: Subject) -> Hits:
    seeds = subject.seed_count
    if subject.is_untuned or subject.card.submission.object == "artefact" or seeds is None:
        return
    if seeds < FEWEST:
        few = count(seeds, "training seed")
        yield ("seeds", "training"), f"{few}: the spread between seeds cannot be estimated"


@rules.error(
    "SB-SEED-005",
    "Declared training seeds are listed.",
    condition="`scheme` is `declared` and `training` a number, unless `origin` is "
    "`not_reported`. Points to `training`.",
    why="A count identifies the seeds only if they are derived.",
    fix="list the values, say in origin: {not_reported: why} that nobody knows them, "
    "or set scheme: derived",
)
def _declared_listed(subject: Subject) -> Hits:
    seeds = _seeds(subject, "declared")
    known = seeds and not isinstance(seeds.origin, NotReported)
    if seeds and known and isinstance(seeds.training, int):
        message = f"scheme is declared, but training is a number ({seeds.training})"
        yield ("seeds", "training"), message


@rules.warning(
    "SB-SEED-006",
    "Declared seeds say where they came from.",
    condition="`scheme` is `declared`, and `origin` is left out. Points to `origin`.",
    why="Seeds chosen by a person may have been chosen for their results.",
    fix="add origin, e.g. `the API chose them`, or `runs of March, before this card`",
)
def _origin_given(subject: Subject) -> Hits:
    seeds = _seeds(subject, "declared")
    if seeds and seeds.origin is None:
        yield (
            ("seeds", "origin"),
            "scheme is declared, but origin does not say where the seeds came from",
        )


@rules.error(
    "SB-SEED-007",
    "Only derived seeds have a nonce.",
    condition="`scheme` is `declared`, and `nonce`, `nonce_source` or `series` is another "
    "than its default, be it `not_reported`. Points to the field.",
    why="A nonce beside hand-picked seeds looks like a safeguard and is none.",
    section="seeds.md#nonce",
)
def _nonce_used(subject: Subject) -> Hits:
    seeds = _seeds(subject, "declared")
    for field in ("nonce", "nonce_source", "series") if seeds else ():
        if getattr(seeds, field) != Seeds.model_fields[field].default:
            message = f"scheme is declared, so {field} has no effect"
            yield ("seeds", field), message, f"remove {field}, or set scheme: derived"


@rules.warning(
    "SB-SEED-008",
    "A nonce says who drew it.",
    condition="`scheme` is `derived`, `nonce` is a text other than `self_derived`, and "
    "`nonce_source` is left out. Points to `nonce_source`.",
    why="One's own nonce can be redrawn until the seeds are lucky.",
    fix="add nonce_source, e.g. the board that issued it, or a beacon and its round",
    section="seeds.md#nonce",
)
def _nonce_sourced(subject: Subject) -> Hits:
    seeds = _recomputable(subject)
    if seeds and seeds.nonce != "self_derived" and seeds.nonce_source is None:
        message = "the nonce has no nonce_source: nobody can tell that it was not chosen"
        yield ("seeds", "nonce_source"), message


@rules.error(
    "SB-SEED-009",
    "Nothing is both set by the training seed and fixed.",
    condition="A name in `seeds.controls` is not left out of `seeds.fixed`. Points to it in "
    "`seeds.fixed`.",
    why="A source of randomness cannot both vary with the seed and stay the same.",
    fix="remove one of the two",
)
def _not_both(subject: Subject) -> Hits:
    fixed = reported(getattr(subject.card.seeds, "fixed", None))
    for _, name in subject.each("seeds.controls") if fixed else ():
        if getattr(fixed, name) is not None:
            yield (
                ("seeds", "fixed", name),
                f"{name} has a fixed seed, but controls says that the training seed sets it",
            )


@rules.error(
    "SB-SEED-010",
    "A training seed sets something.",
    condition="`seeds.controls` is an empty list, unless the card is untuned. Points to it.",
    why="Runs that do not differ in anything are one run counted several times.",
    fix="say what each seed sets: adapter_init, data_order, dropout",
)
def _sets_something(subject: Subject) -> Hits:
    if not subject.is_untuned and getattr(subject.card.seeds, "controls", None) == ():
        yield ("seeds", "controls"), "training seeds that set nothing give one run, however many"
