"""From paths to one value per field, with everything that says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safebench.importing.draft.find import Found, Kind, find
from safebench.importing.draft.settle import METHOD, FieldValue, settle
from safebench.importing.facts import Fact, Place
from safebench.importing.lm_eval import results as lm_eval
from safebench.importing.lm_eval.decoding import sample_facts
from safebench.importing.record import Record, read_record
from safebench.importing.training import adapter, arguments, trainer, weights
from safebench.importing.training.weights import DeclaredWeights, FoundWeights


@dataclass(frozen=True)
class Gathered:
    """What all files say."""

    filled: dict[Place, FieldValue]
    paths: tuple[Path, ...] = ()
    """What was given to be read."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know and no field holds."""
    weights: tuple[FoundWeights, ...] = ()
    """Weights that were found and are listed."""


Choose = Callable[[list[FoundWeights], str | None], tuple[list[FoundWeights], list[Fact]]]
"""Given all weights and the unit of their checkpoints: those that are listed, and what follows."""


def gather(
    paths: Iterable[Path],
    start: Path,
    extra: Sequence[Fact] = (),
    *,
    declared: Sequence[DeclaredWeights] = (),
    choose: Choose = lambda found, unit: (found, []),
) -> Gathered:
    """Read everything under the paths; folders of weights are named from `start`.

    Args:
        paths: Files and folders.
        start: Folder of the card.
        extra: Facts from elsewhere, such as options of a command line.
        declared: What a person declares about folders of weights, which are read too.
        choose: Picks the weights that are listed.

    Raises:
        InteropError: nothing can be read, a file is damaged, or two files contradict each other.
    """
    paths = tuple(paths)
    found = find(paths, [one.folder for one in declared])
    remarks: list[str] = []
    facts, listed = _read(found, start, remarks, declared, choose)
    filled = settle([*extra, *facts], remarks)
    files = tuple(one.file for one in found if one.kind not in ("pickle", "generation config"))
    if METHOD not in filled and METHOD[:1] not in filled:
        remarks.append(
            "no file says what was fine-tuned, if anything: give the adapter's folder with --from, "
            "or --method"
        )
    return Gathered(filled, paths, files, tuple(dict.fromkeys(remarks)), tuple(listed))


def _read(
    found: list[Found],
    start: Path,
    remarks: list[str],
    declared: Sequence[DeclaredWeights],
    choose: Choose,
) -> tuple[list[Fact], list[FoundWeights]]:
    files: dict[Kind, list[Path]] = {}
    for one in found:
        files.setdefault(one.kind, []).append(one.file)
    states = {file.parent: read_record(file) for file in files.get("trainer state", ())}
    given = {file.parent: read_record(file) for file in files.get("training arguments", ())}
    adapters = files.get("adapter", [])
    facts = [fact for file in adapters for fact in adapter.facts(read_record(file))]
    training = [fact for record in given.values() for fact in arguments.facts(record)]
    for folder, record in states.items():
        training += trainer.facts(record, alone=not _has_arguments(folder, given))
        best = trainer.best_checkpoint(record)
        if best is not None:
            remarks.append(
                f"{record.file} calls {best} the best checkpoint: if the numbers are about it for "
                "that reason, say so in model.checkpoint_rule"
            )
    steps = weights.length_in_steps(training)
    all_ = weights.find_weights(adapters, files.get("weights", []), states, given, declared)
    listed, more = choose(all_, weights.unit_of(all_, in_steps=steps is not None))
    facts += [*more, *training, *weights.facts(listed, start, steps)]
    if not listed:
        facts += weights.seeds_of_arguments(given)
    for file in files.get("chat template", ()):
        facts += trainer.template_facts(file, None)
    for file in files.get("tokenizer", ()):
        facts += trainer.template_facts(file, read_record(file))
    facts += _lm_eval(files, remarks)
    remarks.extend(_remarks(files, given))
    return facts, listed


def _has_arguments(folder: Path, arguments: dict[Path, Record]) -> bool:
    return any(around in arguments for around in (folder, *folder.parents))


def _lm_eval(files: dict[Kind, list[Path]], remarks: list[str]) -> Iterator[Fact]:
    listed: set[tuple[Path, str]] = set()
    for file in files.get("lm-eval results", ()):
        record = read_record(file)
        yield from lm_eval.facts(record)
        remarks.extend(lm_eval.remarks(record))
        listed.update((file.parent, task) for task in record.at("configs").data)
    for file in files.get("lm-eval samples", ()):
        task = file.name.removeprefix("samples_").rpartition("_")[0]
        if (file.parent, task) not in listed:
            yield from sample_facts(file, task)


def _remarks(files: dict[Kind, list[Path]], arguments: dict[Path, Record]) -> Iterator[str]:
    for file in files.get("pickle", ()):
        if not _has_arguments(file.parent, arguments):
            yield (
                f"{file} is a pickle, which can run code and is never loaded: write "
                "trainer.args.to_json_string() to training_args.json beside it"
            )
    for file in files.get("generation config", ()):
        record = read_record(file)
        values = ((key, record.number(key)) for key in ("temperature", "top_p", "top_k"))
        listed = ", ".join(f"{key} {value:g}" for key, value in values if value is not None)
        if listed:
            yield (
                f"{file} has {listed}, the model's own settings: a user meets them, so measure "
                "them as a decoding"
            )
