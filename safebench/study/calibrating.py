"""Calibrating the judges of a card on labels: which responses are labelled, and what is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.io import dump_card, load_card
from safebench.card.judge import Calibration
from safebench.card.judge import Judge as JudgeEntry
from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import CardError, JudgeError
from safebench.evidence.columns import distinct
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import COUNTED
from safebench.files import replace_file
from safebench.judges.calibration import Outputs, with_calibrations
from safebench.judges.labels import Label


def find_judge(card: Card, name: str) -> JudgeEntry:
    """Return a judge of a card; raises CardError."""
    entries = require(card.judge, "judge")
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise CardError(
            f"there is no judge {name}",
            fix=f"the card has {', '.join(entry.name for entry in entries)}",
        )
    return found


@dataclass(frozen=True)
class Matched:
    """Labels, each with what the submission knows about its response."""

    labels: list[Label]
    constructs: list[Construct]
    outputs: list[Outputs]
    same_prompts: bool | None
    """Whether the submission asked any of their prompts; None where it has no responses."""

    @property
    def these(self) -> int:
        """How many of the labelled responses are the submission's."""
        return self.outputs.count("these")


def match(
    labels: Sequence[Label], submission: Submission | None, construct: Construct = "harm"
) -> Matched:
    """Find labelled responses, by text, among those of a submission.

    `construct` is assumed where neither the label nor its prompt's task names one.

    Raises:
        JudgeError: a prompt is given by its id alone, and the submission has none of that id; or a
            prompt's task is not decided by verdicts.
        EvidenceError: the tables cannot be read.
    """
    responses = None if submission is None else submission.responses
    if submission is None or responses is None:
        texts = [_with_text(one, {}) for one in labels]
        constructs = [one.construct or construct for one in labels]
        return Matched(texts, constructs, ["other"] * len(labels), None)
    columns = ("task", "prompt_id", "prompt", "response", "condition")
    rows = list(zip(*(responses.column(name).to_pylist() for name in columns), strict=True))
    prompt_of = {(task, prompt_id): prompt for task, prompt_id, prompt, _, _ in rows}
    places: dict[tuple[str, str], dict[tuple[str, str, Condition], None]] = {}
    for task, prompt_id, prompt, response, condition in rows:
        key = _plain(prompt), _plain(response or "")
        places.setdefault(key, {})[task, prompt_id, condition] = None
    kinds = _kinds(submission)
    asked = {_plain(prompt) for prompt in prompt_of.values()}
    same_prompts, found = False, Matched([], [], [], None)
    for label in labels:
        one = _with_text(label, prompt_of)
        same_prompts |= _plain(one.prompt or "") in asked
        at = list(places.get((_plain(one.prompt or ""), _plain(one.response)), {}))
        conditions = {condition for _, _, condition in at}
        kind: tuple[str, str | None] = kinds.get(at[0][:2], ("", None)) if at else ("", None)
        own = one.construct or kind[0] or construct
        if own not in COUNTED:
            raise JudgeError(
                f"{one.at}: its prompt, {at[0][1]} of {at[0][0]}, measures {own}, and labels say "
                f"what {' and '.join(COUNTED)} count",
                fix="remove the row, or give its construct in a column `construct`",
            )
        if at:
            condition = next(iter(conditions)) if len(conditions) == 1 else None
            one = replace(
                one,
                task=at[0][0],
                prompt_id=at[0][1],
                condition=one.condition or condition,
                category=one.category or kind[1],
            )
        found.labels.append(one)
        found.constructs.append(cast("Construct", own))
        found.outputs.append("these" if at else "other")
    return replace(found, same_prompts=same_prompts)


def _with_text(label: Label, prompt_of: Mapping[tuple[str, str], str]) -> Label:
    if label.prompt is not None:
        return label
    prompt = prompt_of.get((str(label.task), str(label.prompt_id)))
    if prompt is None:
        raise JudgeError(
            f"{label.at}: there is no prompt {label.prompt_id} of {label.task} to be read",
            fix="give the text in a column `prompt`, or --card with the submission that asked it",
        )
    return replace(label, prompt=prompt)


def _plain(text: str) -> str:
    """Return a text without differences in white space, which editors make."""
    return " ".join(text.split())


def _kinds(submission: Submission) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return construct and category of every prompt that was judged by verdicts, or at all."""
    found: dict[tuple[str, str], tuple[str, str | None]] = {}
    rows = distinct(submission.outcomes, ["task", "prompt_id", "construct", "category"])
    for task, prompt_id, construct, category in rows:
        if construct in COUNTED or (task, prompt_id) not in found:
            found[task, prompt_id] = construct, category
    return found


def open_card(path: Path) -> tuple[Path, Submission]:
    """Return the path of a card, given as a file or as its folder, and its submission."""
    file = path / CARD_FILE if path.is_dir() else path
    return file, Submission(load_card(file), file.parent)


def store(
    file: Path, submission: Submission, new: Mapping[str, Sequence[Calibration]], *added: str
) -> Card:
    """Write new calibrations, by judge, into a card, and `added` files into its evidence.

    `file` is the card; `added` are paths relative to the submission's folder.
    """
    card = submission.card
    judges = tuple(
        with_calibrations(entry, new[entry.name]) if entry.name in new else entry
        for entry in require(card.judge, "judge")
    )
    return write_judges(file, submission, judges, *added)


def write_judges(
    file: Path, submission: Submission, judges: tuple[JudgeEntry, ...], *added: str
) -> Card:
    """Write a card with these entries of its judges; the arguments are those of `store`.

    Comments would be lost: a card that has some is first copied to FILE.bak.
    """
    before = file.read_bytes()
    if re.search(rb"(?:^|\s)#", before):
        replace_file(file.with_name(f"{file.name}.bak"), before)
    card = submission.card.model_copy(update={"judge": judges})
    evidence = card.given_evidence
    if added and evidence is not None:
        paths = {*(one.path for one in evidence.files), *added}
        files = describe_files(submission.folder, sorted(paths))
        write_manifest(submission.folder, files)
        card = card.model_copy(update={"evidence": evidence.model_copy(update={"files": files})})
    return write_card(card, file)


def write_card(card: Card, file: Path) -> Card:
    """Write a card, and return it as its readers will see it: `model_copy` validates nothing."""
    card = Card.model_validate_json(card.model_dump_json())
    dump_card(card, file)
    return card
