"""Runs that were registered, reruns that are reported, and who may speak for them."""

from __future__ import annotations

from safebench.card.results import RegisteredRun
from safebench.checks.registry import Hits, Rules, Subject, duplicates, items, reported

rules = Rules("card.md#evidence")


@rules.error(
    "SB-EVI-011",
    "A third party does not attach a first party's evidence.",
    condition="`submission.relationship` is `third_party`, `submission.object` is `recipe`, and "
    "`evidence` is given. Points to `/evidence`.",
    why="Whoever trained the recipe makes its evidence; a copy vouches for nobody.",
    fix="remove evidence; if you trained it yourself, it is your first_party submission",
)
def _evidence_is_own(subject: Subject) -> Hits:
    submission = subject.card.submission
    third = submission.relationship == "third_party"
    if third and submission.object == "recipe" and subject.card.given_evidence is not None:
        attached = "evidence of the recipe's own runs is attached"
        yield "evidence", f"relationship is third_party, but {attached}"


@rules.error(
    "SB-EVI-012",
    "Every rerun is counted once.",
    condition="`id` or `sha256` of an entry of `evidence.reruns` is that of an earlier one. "
    "Points to the later entry, once.",
    why="One rerun listed three times is not agreement between three laboratories.",
    fix="list every rerun once",
)
def _reruns_once(subject: Subject) -> Hits:
    reruns = [rerun for _, rerun in subject.each("evidence.reruns")]
    same_name = dict(duplicates(rerun.id for rerun in reruns))
    same_outcomes = dict(duplicates(reported(rerun.sha256) for rerun in reruns))
    for number in sorted(same_name.keys() | same_outcomes.keys()):
        name = same_name.get(number)
        which = f"called {name}" if name is not None else "with the same outcomes"
        yield ("evidence", "reruns", number), f"a rerun {which} is listed before"


@rules.error(
    "SB-EVI-013",
    "A rerun that retrains uses new training seeds.",
    condition="An item of `training_seeds` of a rerun of kind `retrain` is in the list "
    "`seeds.training`, or occurs before it in this or an earlier such rerun. Points to the "
    "item.",
    why="Training with the same seed again repeats a run and is not new evidence.",
    fix="correct the list, or give the rerun as regenerate",
)
def _reruns_independent(subject: Subject) -> Hits:
    used = dict.fromkeys(subject.training_seeds or (), "the original")
    for at, rerun in subject.each("evidence.reruns"):
        seeds = items(rerun.training_seeds) if rerun.kind == "retrain" else ()
        for position, seed in enumerate(seeds):
            if seed in used:
                message = f"training seed {seed} was used by {used[seed]}"
                yield (*at, "training_seeds", position), message
            used.setdefault(seed, f"rerun {rerun.id}")


@rules.error(
    "SB-EVI-014",
    "A run that did not finish has a reason.",
    condition="`status` of an entry of `evidence.runs` is not `finished`, and `reason` is "
    "left out. Points to `reason`.",
    why="Failures are evidence too, for instance that one seed in five collapses.",
    fix="add reason",
    each="evidence.runs",
)
def _losses_explained(run: RegisteredRun) -> Hits:
    if run.status != "finished" and run.reason is None:
        ended = "was withdrawn" if run.status == "withdrawn" else run.status
        which = f"a run of training seed {reported(run.training_seed)}"
        yield "reason", f"{which} {ended}, and there is no reason"


@rules.error(
    "SB-EVI-015",
    "Every run that has a score was registered.",
    condition="`evidence.runs` lacks the condition and training seed (null for the base "
    "model, and where it is not given) of a run of `results.scores`. Points to "
    "`/evidence/runs`, once for each pair.",
    why="A journal that lists only some runs cannot show that none was dropped.",
    fix="list every run with its status",
)
def _runs_registered(subject: Subject) -> Hits:
    evidence = subject.card.given_evidence
    if evidence is None or reported(evidence.runs) is None:
        return
    registered = {(run.condition, reported(run.training_seed)) for run in subject.runs}
    scored = {
        (score.condition, reported(run.training_seed))
        for score in subject.scores
        for run in items(score.runs)
    }
    for condition, seed in sorted(scored - registered, key=str):
        whose = condition if seed is None else f"{condition}, training seed {seed}"
        message = f"there are scores of {whose}, but no such run is registered"
        yield ("evidence", "runs"), message


@rules.warning(
    "SB-EVI-016",
    "Responses to harmful prompts are not published unredacted.",
    condition="`evidence.response_policy` is `public`, and some score has construct harm. Points "
    "to `/evidence/response_policy`.",
    why="A board that publishes harmful answers becomes a collection of them.",
    fix="set redacted, or gated with access",
)
def _responses_kept(subject: Subject) -> Hits:
    public = getattr(subject.card.evidence, "response_policy", None) == "public"
    if public and any(score.construct == "harm" for score in subject.scores):
        yield (
            ("evidence", "response_policy"),
            "response_policy is public, and harm is measured: "
            "every harmful answer is published unredacted",
        )
