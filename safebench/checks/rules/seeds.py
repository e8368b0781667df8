"""Seeds: enough of them, all different, and derived ones recomputed."""

from __future__ import annotations

from safebench.card.base import NotReported
from safebench.card.digest import derive_seeds, generation_seed, protocol_digest
from safebench.card.seeds import Seeds
from safebench.checks.registry import Hits, Rules, Subject, duplicates, reported
from safebench.errors import EvidenceError
from safebench.evidence.registration import (
    REGISTRATION_FILE,
    Registration,
    departures,
    read_registration,
)
from safebench.files import sha256_of
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
    if seeds and isinstance(seeds.training, int) and not isinstance(seeds.origin, NotReported):
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
    condition="`scheme` is `declared`, and `nonce`, `nonce_source`, `registration` or `series` is "
    "another than its default, be it `not_reported`. Points to the field.",
    why="A nonce beside hand-picked seeds looks like a safeguard and is none.",
    section="seeds.md#nonce",
)
def _nonce_used(subject: Subject) -> Hits:
    seeds = _seeds(subject, "declared")
    fields = ("nonce", "nonce_source", "registration", "series")
    for field in fields if seeds else ():
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


def _registration(subject: Subject) -> Registration | EvidenceError | None:
    """Return the registration of derived seeds, or why it cannot be read; None without one."""
    seeds = _seeds(subject, "derived")
    declared = reported(seeds.registration) if seeds else None
    if declared is None or subject.folder is None:
        return None
    path = subject.beside(REGISTRATION_FILE)
    if path is None or not path.is_file():
        return EvidenceError(f"there is no {REGISTRATION_FILE} beside the card")
    found = sha256_of(path)
    if found != declared:
        return EvidenceError(f"{REGISTRATION_FILE} has sha256 {found}, expected {declared}")
    try:
        return read_registration(path)
    except EvidenceError as problem:
        return EvidenceError(str(problem).replace(str(path), REGISTRATION_FILE))


@rules.error(
    "SB-SEED-011",
    "A registration lies beside the card, and its signature holds.",
    condition="`scheme` is `derived`, `seeds.registration` is given, and `registration.json` "
    "beside the card is missing, has another SHA-256, is not of "
    "[registration.schema.json](registration.schema.json), has a null among `nonce`, "
    "`registrar`, `public_key` and `signature`, or is not signed by its key. Points to "
    "`registration`.",
    why="A registration that nobody can check is a claim.",
    fix="put the file that the board returned beside the card, and give its SHA-256",
    section="seeds.md#registration",
)
def _registration_holds(subject: Subject) -> Hits:
    problem = _registration(subject)
    if isinstance(problem, EvidenceError):
        yield ("seeds", "registration"), str(problem)


@rules.error(
    "SB-SEED-012",
    "A card keeps to what was registered.",
    condition="Where a registration holds (SB-SEED-011): `seeds.nonce` is another, or the number "
    "of training seeds is; in a card with results also where the generation digest is another, "
    "or the set of `primary` of the tasks is. Points to `nonce`, `training`, `registration`, "
    "`/tasks`.",
    why="What was changed after registration may have been changed for its results.",
    fix="restore what was registered, or register the changed plan and run that",
    section="seeds.md#registration",
)
def _registration_kept(subject: Subject) -> Hits:
    registration = _registration(subject)
    if isinstance(registration, Registration):
        yield from departures(subject.card, registration)


@rules.warning(
    "SB-SEED-013",
    "The judges are those that were registered.",
    condition="The generation digest is the registered one, and the protocol digest is another. "
    "Points to `/judge`.",
    why="A judge chosen after the responses were seen may have been chosen for its verdicts.",
    fix="judge with what was registered too, and name that judge in `primary`",
    section="seeds.md#registration",
)
def _judges_registered(subject: Subject) -> Hits:
    registration = _registration(subject)
    if isinstance(registration, Registration):
        kept = not any(at[-1] == "registration" for at, _ in departures(subject.card, registration))
        if kept and protocol_digest(subject.card) != registration.protocol:
            yield ("judge",), "a judge was added or changed after the protocol was registered"
