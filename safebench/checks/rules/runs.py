"""Runs that were registered, reruns that are known, and who may speak for them."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule

_SECTION = "card.md#evidence"


@rule(
    "SB-EVI-011",
    "error",
    section=_SECTION,
    title="A third party does not attach a first party's evidence.",
    rationale="Evidence of a recipe is made by whoever trained; a copy of it vouches for nobody.",
)
def evidence_is_own(subject: Subject) -> Iterator[Hit]:
    """Find evidence of a recipe that is somebody else's."""
    card = subject.card
    third = card.submission.relationship == "third_party"
    if third and card.submission.object == "recipe" and card.given_evidence is not None:
        yield Hit(
            ("evidence",),
            "relationship is third_party, but evidence of the recipe's own runs is attached",
            "remove evidence; if you trained it yourself, it is your first_party submission",
        )


@rule(
    "SB-EVI-012",
    "error",
    section=_SECTION,
    title="A rerun is counted once.",
    rationale="One rerun that is listed three times is not three labs that agree.",
)
def reruns_once(subject: Subject) -> Iterator[Hit]:
    """Find reruns with the id, or the outcomes, of an earlier one."""
    evidence = subject.card.given_evidence
    reruns = items(evidence.reruns) if evidence is not None else ()
    found: dict[int, str] = {}
    for number, name in duplicates([rerun.id for rerun in reruns]):
        found[number] = f"a rerun called {name} is listed before"
    for number, digest in duplicates([known(rerun.sha256) for rerun in reruns]):
        if digest is not None:
            found.setdefault(number, "a rerun with the same outcomes is listed before")
    for number, message in sorted(found.items()):
        yield Hit(("evidence", "reruns", number), message, "list every rerun once")


@rule(
    "SB-EVI-013",
    "error",
    section=_SECTION,
    title="A rerun that trains anew has training seeds of its own.",
    rationale="The same seed trained again is the same run, not new evidence.",
)
def reruns_independent(subject: Subject) -> Iterator[Hit]:
    """Find retrain reruns whose seeds the original, or an earlier rerun, has used."""
    evidence = subject.card.given_evidence
    training = known(getattr(known(subject.card.seeds), "training", None))
    used: dict[int, str] = dict.fromkeys(training, "the original") if _listed(training) else {}
    for number, rerun in enumerate(items(evidence.reruns) if evidence is not None else ()):
        if rerun.kind != "retrain":
            continue
        for position, seed in enumerate(items(rerun.training_seeds)):
            if seed in used:
                yield Hit(
                    ("evidence", "reruns", number, "training_seeds", position),
                    f"training seed {seed} was used by {used[seed]}",
                    "correct the list, or give the rerun as regenerate",
                )
            used.setdefault(seed, f"rerun {rerun.id}")


def _listed(training: object) -> bool:
    return isinstance(training, tuple)


@rule(
    "SB-EVI-014",
    "error",
    section=_SECTION,
    title="A run that did not finish says why.",
    rationale="Failures are evidence too: a recipe that collapses in one of five seeds is that.",
)
def losses_explained(subject: Subject) -> Iterator[Hit]:
    """Find failed and withdrawn runs without a reason."""
    evidence = subject.card.given_evidence
    for number, run in enumerate(items(evidence.runs) if evidence is not None else ()):
        if run.status != "finished" and run.reason is None:
            yield Hit(
                ("evidence", "runs", number),
                f"a run of training seed {known(run.training_seed)} {_ended(run.status)}, "
                "and there is no reason",
                "add reason",
            )


def _ended(status: str) -> str:
    return "was withdrawn" if status == "withdrawn" else status


@rule(
    "SB-EVI-015",
    "error",
    section=_SECTION,
    title="Every run that has a score was registered.",
    rationale="A journal that lists only some of the runs cannot show that none was dropped.",
)
def runs_registered(subject: Subject) -> Iterator[Hit]:
    """Find conditions and training seeds with scores that evidence.runs does not list."""
    evidence, results = subject.card.given_evidence, subject.card.given_results
    if evidence is None or results is None or known(evidence.runs) is None:
        return
    registered = {(run.condition, known(run.training_seed)) for run in items(evidence.runs)}
    scored = {
        (score.condition, known(run.training_seed))
        for score in results.scores
        for run in items(score.runs)
    }
    for condition, seed in sorted(scored - registered, key=str):
        whose = condition if seed is None else f"{condition}, training seed {seed}"
        yield Hit(
            ("evidence", "runs"),
            f"there are scores of {whose}, but no such run is registered",
            "list every run with its status",
        )


@rule(
    "SB-EVI-016",
    "warning",
    section=_SECTION,
    title="Responses to harmful prompts are not published in the clear.",
    rationale="A board of harmful answers is a collection of them.",
)
def responses_kept(subject: Subject) -> Iterator[Hit]:
    """Find public responses of a card that measures harm."""
    evidence, results = subject.card.given_evidence, subject.card.given_results
    public = evidence is not None and known(evidence.response_policy) == "public"
    if public and results is not None and any(s.construct == "harm" for s in results.scores):
        yield Hit(
            ("evidence", "response_policy"),
            "response_policy is public, and harm is measured: "
            "every harmful answer is published in the clear",
            "set redacted, or gated with access",
        )
