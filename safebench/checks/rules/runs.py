"""Runs that were registered, reruns that are reported, and who may speak for them."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.checks.registry import Hit, Rules, Subject, duplicates, items, reported

rules = Rules("card.md#evidence")


@rules.error("SB-EVI-011")
def evidence_is_own(subject: Subject) -> Iterator[Hit]:
    """A third party does not attach a first party's evidence.

    Whoever trained the recipe makes its evidence; a copy vouches for nobody.
    """
    card = subject.card
    third = card.submission.relationship == "third_party"
    if third and card.submission.object == "recipe" and card.given_evidence is not None:
        yield Hit(
            ("evidence",),
            "relationship is third_party, but evidence of the recipe's own runs is attached",
            "remove evidence; if you trained it yourself, it is your first_party submission",
        )


@rules.error("SB-EVI-012")
def reruns_once(subject: Subject) -> Iterator[Hit]:
    """Every rerun is counted once.

    One rerun listed three times is not agreement between three laboratories.
    """
    reruns = subject.reruns
    found: dict[int, str] = {}
    for number, name in duplicates([rerun.id for rerun in reruns]):
        found[number] = f"a rerun called {name} is listed before"
    for number, _ in duplicates([reported(rerun.sha256) for rerun in reruns]):
        found.setdefault(number, "a rerun with the same outcomes is listed before")
    for number, message in sorted(found.items()):
        yield Hit(("evidence", "reruns", number), message, "list every rerun once")


@rules.error("SB-EVI-013")
def reruns_independent(subject: Subject) -> Iterator[Hit]:
    """A rerun that retrains uses new training seeds.

    Training with the same seed again repeats a run and is not new evidence.
    """
    used = dict.fromkeys(subject.training_seeds or (), "the original")
    for number, rerun in enumerate(subject.reruns):
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


@rules.error("SB-EVI-014")
def losses_explained(subject: Subject) -> Iterator[Hit]:
    """A run that did not finish has a reason.

    Failures are evidence too, for instance that one seed in five collapses.
    """
    for number, run in enumerate(subject.runs):
        if run.status != "finished" and run.reason is None:
            ended = "was withdrawn" if run.status == "withdrawn" else run.status
            yield Hit(
                ("evidence", "runs", number),
                f"a run of training seed {reported(run.training_seed)} {ended}, "
                "and there is no reason",
                "add reason",
            )


@rules.error("SB-EVI-015")
def runs_registered(subject: Subject) -> Iterator[Hit]:
    """Every run that has a score was registered.

    A journal that lists only some runs cannot show that none was dropped.
    """
    evidence, results = subject.card.given_evidence, subject.card.given_results
    if evidence is None or results is None or reported(evidence.runs) is None:
        return
    registered = {(run.condition, reported(run.training_seed)) for run in items(evidence.runs)}
    scored = {
        (score.condition, reported(run.training_seed))
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


@rules.warning("SB-EVI-016")
def responses_kept(subject: Subject) -> Iterator[Hit]:
    """Responses to harmful prompts are not published unredacted.

    A board that publishes harmful answers becomes a collection of them.
    """
    evidence, results = subject.card.given_evidence, subject.card.given_results
    public = evidence is not None and reported(evidence.response_policy) == "public"
    if public and results is not None and any(s.construct == "harm" for s in results.scores):
        yield Hit(
            ("evidence", "response_policy"),
            "response_policy is public, and harm is measured: "
            "every harmful answer is published unredacted",
            "set redacted, or gated with access",
        )
