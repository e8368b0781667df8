"""From paths to what their files say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safebench.importing.draft.facts import Fact, Place
from safebench.importing.draft.find import Found, Kind, find
from safebench.importing.draft.merge import METHOD, Filled, merge
from safebench.importing.lm_eval import results as lm_eval
from safebench.importing.lm_eval import tasks as lm_eval_tasks
from safebench.importing.record import Record, read_record
from safebench.importing.trained import arguments, peft, trainer, weights


@dataclass(frozen=True)
class Gathered:
    """What all files say."""

    filled: dict[Place, Filled]
    paths: tuple[Path, ...] = ()
    """What was given to be read."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know and no field holds."""
    weights: tuple[weights.Known, ...] = ()
    """Weights that were found and are listed."""


Choose = Callable[[list[weights.Known], Fact | None], tuple[list[weights.Known], list[Fact]]]
"""Given all weights and what says that training was counted in steps: those that are listed, and
what follows from that."""


def gather(
    paths: Iterable[Path],
    start: Path,
    extra: Sequence[Fact] = (),
    *,
    stated: Sequence[weights.Stated] = (),
    choose: Choose = lambda known, in_steps: (known, []),
) -> Gathered:
    """Read everything under the paths; folders of weights are named from `start`.

    `extra` are facts from elsewhere, such as options of a command line. `stated` says of folders
    of weights what they are, and `choose` picks those that are listed.

    Raises:
        InteropError: nothing can be read, a file is damaged, or two files contradict each other.
    """
    given = tuple(paths)
    found = find(given, [one.folder for one in stated])
    remarks: list[str] = []
    listed: list[weights.Known] = []

    def chosen(
        known: list[weights.Known], in_steps: Fact | None
    ) -> tuple[list[weights.Known], list[Fact]]:
        kept, more = choose(known, in_steps)
        listed.extend(kept)
        return kept, more

    facts = [*extra, *_facts(found, start, remarks, stated, chosen)]
    filled = merge(facts, remarks)
    files = tuple(one.file for one in found if one.kind not in ("pickle", "generation config"))
    if METHOD not in filled and METHOD[:1] not in filled:
        remarks.append(
            "no file says what was fine-tuned, if anything: give the adapter's folder with --from, "
            "or --method"
        )
    return Gathered(filled, given, files, tuple(dict.fromkeys(remarks)), tuple(listed))


def _facts(
    found: list[Found],
    start: Path,
    remarks: list[str],
    stated: Sequence[weights.Stated],
    choose: Choose,
) -> Iterator[Fact]:
    by_kind: dict[Kind, list[Path]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one.file)
    states = {file.parent: read_record(file) for file in by_kind.get("trainer state", ())}
    given = {file.parent: read_record(file) for file in by_kind.get("training arguments", ())}
    adapters = by_kind.get("adapter", [])
    for file in adapters:
        yield from peft.facts(read_record(file))
    training = [fact for record in given.values() for fact in arguments.facts(record)]
    for folder, record in states.items():
        alone = not any(around in given for around in (folder, *folder.parents))
        training += trainer.facts(record, alone=alone)
        best = trainer.best_checkpoint(record)
        if best is not None:
            remarks.append(
                f"{record.file} calls {best} the best checkpoint: if the numbers are about it for "
                "that reason, say so in model.checkpoint_rule"
            )
    in_steps = weights.length_in_steps(training)
    known = weights.known_weights(adapters, by_kind.get("weights", []), states, given, stated)
    known, more = choose(known, in_steps)
    yield from more
    yield from training
    yield from weights.facts(known, start, in_steps)
    if not known:
        yield from weights.seeds_of_arguments(given)
    yield from _templates(by_kind)
    yield from _lm_eval(by_kind, remarks)
    remarks.extend(_remarks(by_kind, given))


def _templates(by_kind: dict[Kind, list[Path]]) -> Iterator[Fact]:
    for file in by_kind.get("chat template", ()):
        yield from trainer.template_facts(file, None)
    for file in by_kind.get("tokenizer", ()):
        yield from trainer.template_facts(file, read_record(file))


def _lm_eval(by_kind: dict[Kind, list[Path]], remarks: list[str]) -> Iterator[Fact]:
    told: set[tuple[Path, str]] = set()
    for file in by_kind.get("lm-eval results", ()):
        record = read_record(file)
        yield from lm_eval.facts(record)
        remarks.extend(lm_eval.remarks(record))
        configs = record.mapping("configs")
        told.update((file.parent, task) for task in (configs.data if configs else ()))
    for file in by_kind.get("lm-eval samples", ()):
        task = file.name.removeprefix("samples_").rpartition("_")[0]
        if (file.parent, task) not in told:
            yield from lm_eval_tasks.sample_facts(lm_eval_tasks.first_line(file), task)


def _remarks(by_kind: dict[Kind, list[Path]], given: dict[Path, Record]) -> Iterator[str]:
    for file in by_kind.get("pickle", ()):
        if file.parent not in given and not any(p in given for p in file.parent.parents):
            yield (
                f"{file} is a pickle, which can run code and is never loaded: write "
                "trainer.args.to_json_string() to training_args.json beside it"
            )
    for file in by_kind.get("generation config", ()):
        record = read_record(file)
        values = ((key, record.number(key)) for key in ("temperature", "top_p", "top_k"))
        told = ", ".join(f"{key} {value:g}" for key, value in values if value is not None)
        if told:
            yield (
                f"{file} has {told}, the model's own settings: a user meets them, so measure "
                "them as a decoding"
            )
