"""Seeds: enough of them, all different, and derived ones recomputed."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.seeds import Seeds
from safebench.card.training import NoTraining
from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule
from safebench.words import count

_SECTION = "card.md#seeds"
FEWEST = 3
"""Training seeds below which the spread between them cannot be told."""


def _seeds(subject: Subject) -> Seeds | None:
    seeds = subject.card.seeds
    return seeds if isinstance(seeds, Seeds) else None


def _values(subject: Subject) -> tuple[int, ...]:
    seeds = _seeds(subject)
    training = known(seeds.training) if seeds else None
    return training if isinstance(training, tuple) else ()


def seed_count(subject: Subject) -> int | None:
    """Return how many training seeds a card declares; None when it does not say."""
    seeds = _seeds(subject)
    training = known(seeds.training) if seeds else None
    return training if training is None or isinstance(training, int) else len(training)


@rule(
    "SB-SEED-001",
    "error",
    section=_SECTION,
    title="Training seeds are all different.",
    rationale="The same run counted twice makes the spread look smaller.",
)
def seeds_differ(subject: Subject) -> Iterator[Hit]:
    """Find seeds listed twice."""
    for number, seed in duplicates(list(_values(subject))):
        yield Hit(
            ("seeds", "training", number),
            f"{seed} is listed before: the same run would count twice",
            "remove it, or train with another seed",
        )


@rule(
    "SB-SEED-002",
    "error",
    section="seeds.md#seeds",
    title="Derived training seeds are those that the protocol gives.",
    rationale="Seeds that are computed cannot be picked.",
)
def training_derived(subject: Subject) -> Iterator[Hit]:
    """Recompute the training seeds of scheme `derived`."""
    seeds, values = _seeds(subject), _values(subject)
    if seeds is None or seeds.scheme != "derived" or isinstance(seeds.nonce, NotReported):
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


@rule(
    "SB-SEED-003",
    "error",
    section="seeds.md#seeds",
    title="The derived generation seed is the one that the protocol gives.",
    rationale="A generation seed that is computed cannot be picked.",
)
def generation_derived(subject: Subject) -> Iterator[Hit]:
    """Recompute the generation seed of scheme `derived`."""
    seeds = _seeds(subject)
    found = known(seeds.generation) if seeds else None
    if seeds is None or seeds.scheme != "derived" or isinstance(seeds.nonce, NotReported):
        return
    if found is None:
        return
    expected = generation_seed(subject.card)
    if found != expected:
        yield Hit(
            ("seeds", "generation"),
            f"{found} is not the derived generation seed of this protocol, which is {expected}",
            "remove it, restore the protocol that was run, or set scheme: declared",
        )


@rule(
    "SB-SEED-004",
    "warning",
    section=_SECTION,
    title=f"A recipe is measured with at least {FEWEST} training seeds.",
    rationale="One recipe gave .73 or .82, depending on the seed (arXiv 2506.17209).",
)
def enough(subject: Subject) -> Iterator[Hit]:
    """Find recipes with one or two training seeds."""
    if isinstance(subject.card.hyperparameters, NoTraining):
        return
    if subject.card.submission.object == "artefact":
        return
    seeds = seed_count(subject)
    if seeds is not None and seeds < FEWEST:
        yield Hit(
            ("seeds", "training"),
            f"{count(seeds, 'training seed')}: the spread between seeds cannot be told",
            f"train with {FEWEST} or more, better 5",
        )


@rule(
    "SB-SEED-005",
    "error",
    section=_SECTION,
    title="Declared training seeds are listed.",
    rationale="A number of seeds says which they were only when they are derived.",
)
def declared_listed(subject: Subject) -> Iterator[Hit]:
    """Find a mere count under scheme `declared`."""
    seeds = _seeds(subject)
    if seeds and seeds.scheme == "declared" and isinstance(known(seeds.training), int):
        yield Hit(
            ("seeds", "training"),
            f"scheme is declared, but training is a number ({known(seeds.training)})",
            "list the values, training: {not_reported: why}, or set scheme: derived",
        )


@rule(
    "SB-SEED-006",
    "warning",
    section=_SECTION,
    title="Declared seeds say where they came from.",
    rationale="Seeds that somebody chose may have been chosen for their result.",
)
def origin_given(subject: Subject) -> Iterator[Hit]:
    """Find declared seeds without an origin."""
    seeds = _seeds(subject)
    if seeds and seeds.scheme == "declared" and seeds.origin is None:
        yield Hit(
            ("seeds",),
            "scheme is declared, but origin does not say where the seeds came from",
            "add origin, e.g. `the API chose them`, or `runs of March, before this card`",
        )


@rule(
    "SB-SEED-007",
    "error",
    section="seeds.md#nonce",
    title="Only derived seeds have a nonce.",
    rationale="A nonce beside seeds that somebody chose looks like a safeguard and is none.",
)
def nonce_used(subject: Subject) -> Iterator[Hit]:
    """Find a nonce, its source or a series under scheme `declared`."""
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


@rule(
    "SB-SEED-008",
    "warning",
    section="seeds.md#nonce",
    title="A nonce says who drew it.",
    rationale="A nonce of one's own can be tried until the seeds are lucky ones.",
)
def nonce_sourced(subject: Subject) -> Iterator[Hit]:
    """Find a nonce from nowhere."""
    seeds = _seeds(subject)
    if seeds is None or seeds.scheme != "derived":
        return
    nonce = known(seeds.nonce)
    if nonce not in (None, "self_derived") and seeds.nonce_source is None:
        yield Hit(
            ("seeds", "nonce"),
            "the nonce has no nonce_source: nobody can tell that it was not chosen",
            "add nonce_source, e.g. the board that issued it, or a beacon and its round",
        )


@rule(
    "SB-SEED-009",
    "error",
    section=_SECTION,
    title="What the training seed sets is not fixed.",
    rationale="One thing cannot both vary with the seed and stay the same.",
)
def not_both(subject: Subject) -> Iterator[Hit]:
    """Find fixed seeds of what `controls` says that the training seed sets."""
    seeds = _seeds(subject)
    fixed = known(seeds.fixed) if seeds else None
    for name in items(seeds.controls) if seeds and fixed else ():
        if getattr(fixed, name) is not None:
            yield Hit(
                ("seeds", "fixed", name),
                f"{name} has a fixed seed, but controls says that the training seed sets it",
                "remove one of the two",
            )


@rule(
    "SB-SEED-010",
    "error",
    section=_SECTION,
    title="A training seed sets something.",
    rationale="Runs that nothing tells apart are one run, counted often.",
)
def sets_something(subject: Subject) -> Iterator[Hit]:
    """Find several training seeds that control nothing."""
    seeds = _seeds(subject)
    if isinstance(subject.card.hyperparameters, NoTraining) or seeds is None:
        return
    count = seed_count(subject)
    if seeds.controls == () and count is not None and count > 1:
        yield Hit(
            ("seeds", "controls"),
            f"{count} training seeds that set nothing give the same run {count} times",
            "say what each seed sets: adapter_init, data_order, dropout",
        )
