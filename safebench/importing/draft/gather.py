"""From paths to one value per field: finds the files, reads them, and settles what they report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safebench.errors import InteropError
from safebench.importing.draft.settle import BASE, METHOD, FieldValue, settle
from safebench.importing.facts import Fact, Place, natural, where_read
from safebench.importing.folders import leads_outside, walk
from safebench.importing.lm_eval import results as lm_eval
from safebench.importing.lm_eval.decoding import sample_facts
from safebench.importing.record import Record, read_record
from safebench.importing.training import adapter, trainer, weights
from safebench.importing.training.weights import DeclaredWeights, FoundWeights

_NAMES = {
    "adapter": r"adapter_config\.json",
    "weights": r"model\.safetensors(\.index\.json)?",
    "trainer state": r"trainer_state\.json",
    "training arguments": r"training_args\.(json|ya?ml)",
    "chat template": r"chat_template\.jinja",
    "tokenizer": r"tokenizer_config\.json",
    "generation config": r"generation_config\.json",
    "lm-eval results": r"results_\d{4}-\d\d-\d\dT.*\.json",
    "lm-eval samples": r"samples_.+_\d{4}-\d\d-\d\dT.*\.jsonl",
    "pickle": r"training_args\.bin",
}
"""Kinds of files with the pattern of their names, in the order in which they are read."""
_CONTENT = {
    "adapter": {"peft_type"},
    "trainer state": {"log_history", "global_step"},
    "training arguments": {"per_device_train_batch_size"},
    "lm-eval results": {"results", "configs"},
}
"""Keys by which a file with another name is recognised."""
_SUFFICIENT = (*_CONTENT, "lm-eval samples")
"""Kinds that a card can be made from; the others only add to these."""
_READABLE = (
    "adapter_config.json (peft), trainer_state.json and training_args.json or .yaml "
    "(transformers, trl), results_*.json and samples_*.jsonl (lm-eval)"
)
_QUANTIZED = re.compile(r"(?i)(?:\b|_)(?:bnb|[48]-?bit|gptq|awq|int[48]|nf4|fp8)(?:\b|_)")
"""Words in the name of a model whose weights are quantized."""
Files = dict[str, list[Path]]
"""Files of each kind, as they were given or below the folder that was given."""


@dataclass(frozen=True)
class Gathered:
    """Everything that files, options and a person report about a card."""

    filled: dict[Place, FieldValue]
    paths: tuple[Path, ...] = ()
    """The files and folders to read."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know and no field holds."""
    weights: tuple[FoundWeights, ...] = ()
    """Weights that were found and are listed."""


Choose = Callable[[list[FoundWeights], str | None], tuple[list[FoundWeights], list[Fact]]]
"""Given all weights and the unit of their checkpoints: those to list, and what follows."""


def gather(
    paths: Iterable[Path],
    start: Path,
    extra: Sequence[Fact] = (),
    *,
    declared: Sequence[DeclaredWeights] = (),
    choose: Choose = lambda found, unit: (found, []),
) -> Gathered:
    """Read everything under the paths; paths of weights are relative to `start`.

    Args:
        paths: Files and folders.
        start: Folder of the card.
        extra: Facts from elsewhere, such as options of a command line.
        declared: What a person declares about folders of weights, which are read too.
        choose: Picks the weights to list.

    Raises:
        InteropError: nothing can be read, a file is damaged, or two files contradict each other.
    """
    paths = tuple(paths)
    files = find(paths, [one.folder for one in declared])
    remarks: list[str] = []
    states = {file.parent: read_record(file) for file in files["trainer state"]}
    arguments = {file.parent: read_record(file) for file in files["training arguments"]}
    training = list(_training(states, arguments, remarks))
    steps = weights.length_in_steps(training)
    found = weights.find_weights(files["adapter"], files["weights"], states, arguments, declared)
    listed, chosen = choose(found, weights.unit_of(found, in_steps=steps is not None))
    facts = [
        *extra,
        *(fact for file in files["adapter"] for fact in adapter.facts(read_record(file))),
        *chosen,
        *weights.in_the_unit(training, listed),
        *weights.facts(listed, start, steps),
        *(() if listed else weights.seeds_of_arguments(arguments)),
        *_templates(files, remarks),
    ]
    facts += _lm_eval(files, remarks)
    remarks.extend(_unread(files, arguments))
    filled = settle(facts, remarks)
    remarks.extend(_on_training(filled, facts))
    read = (all_ for kind, all_ in files.items() if kind not in ("pickle", "generation config"))
    read_files = tuple(file for all_ in read for file in all_)
    return Gathered(filled, paths, read_files, tuple(dict.fromkeys(remarks)), tuple(listed))


def _templates(files: Files, remarks: list[str]) -> Iterator[Fact]:
    """Yield the chat templates of tokenizers; transformers prefers one in a file of its own."""
    for file in files["chat template"]:
        yield from trainer.template_facts(file, None)
    in_files = {file.parent for file in files["chat template"]}
    for file in (one for one in files["tokenizer"] if one.parent not in in_files):
        record = read_record(file)
        yield from trainer.template_facts(file, record)
        names = trainer.chat_templates(record)
        if names and trainer.DEFAULT_TEMPLATE not in names:
            remarks.append(
                f"{file} has the chat templates {', '.join(sorted(names))}, and none is called "
                f"{trainer.DEFAULT_TEMPLATE}: say which was applied in model.chat_template"
            )


def _on_training(filled: Mapping[Place, FieldValue], facts: Iterable[Fact]) -> Iterator[str]:
    """Yield what a person should know about what files tell of a training."""
    names = [place[2] for place in filled if place[:2] == ("hyperparameters", "extra")]
    if names:
        listed = ", ".join(sorted(names))
        yield f"settings without a field of their own are kept in hyperparameters.extra: {listed}"
    method = filled.get(METHOD)
    if method is None and METHOD[:1] not in filled:
        yield (
            "no file says what was fine-tuned, if anything: give the adapter's folder with --from, "
            "or give --method"
        )
    if method is None or method.value not in ("lora", "dora") or method.facts[0].file is None:
        return
    how = next((f for f in facts if f.place == ("model", "quantization") and ":" in f.key), None)
    name = str(filled[BASE].value) if BASE in filled else ""
    if how is not None or _QUANTIZED.search(name):
        why = f"the name {name} says" if how is None else f"{where_read(how)} says"
        yield (
            f"{why} that the base model is quantized, and an adapter's file does not tell whether "
            "it was during training: if so, give --method qlora and hyperparameters.quantization"
        )


def _training(
    states: Mapping[Path, Record], arguments: Mapping[Path, Record], remarks: list[str]
) -> Iterator[Fact]:
    """Yield what arguments and states of trainers report; both are by folder."""
    for record in arguments.values():
        yield from trainer.argument_facts(record)
    for folder, record in states.items():
        yield from trainer.state_facts(record, alone=not _has_arguments(folder, arguments))
        best = trainer.best_checkpoint(record)
        if best is not None:
            remarks.append(
                f"{record.file} calls {best} the best checkpoint: if that is why it was measured, "
                "say so in model.checkpoint_rule"
            )


def _has_arguments(folder: Path, arguments: Mapping[Path, Record]) -> bool:
    return any(around in arguments for around in (folder, *folder.parents))


def _lm_eval(files: Files, remarks: list[str]) -> Iterator[Fact]:
    listed: set[tuple[Path, str]] = set()
    for file in files["lm-eval results"]:
        record = read_record(file)
        yield from lm_eval.facts(record)
        remarks.extend(lm_eval.remarks(record))
        listed.update((file.parent, task) for task in record.at("configs").data)
    for file in files["lm-eval samples"]:
        task = file.name.removeprefix("samples_").rpartition("_")[0]
        if (file.parent, task) not in listed:
            yield from sample_facts(file, task)


def _unread(files: Files, arguments: Mapping[Path, Record]) -> Iterator[str]:
    """Yield remarks on files that no field of the card is filled from."""
    for file in files["pickle"]:
        if not _has_arguments(file.parent, arguments):
            yield (
                f"{file} is a pickle, which can run code and is never loaded: write "
                "trainer.args.to_json_string() to training_args.json beside it"
            )
    for file in files["generation config"]:
        record = read_record(file)
        values = ((key, record.number(key)) for key in ("temperature", "top_p", "top_k"))
        listed = ", ".join(f"{key} {value:g}" for key, value in values if value is not None)
        if listed:
            yield (
                f"{file} has {listed}: these are the model's own settings, which its users get, so "
                "measure them as a decoding"
            )


def find(paths: Iterable[Path], weights: Iterable[Path] = ()) -> Files:
    """Return what can be read, each file once, in a fixed order.

    Files are recognised by name in folders, and by content when given alone. Folders are searched;
    a symbolic link is followed only to a file in the same folder's tree. `weights` are folders
    that need hold nothing else.

    Raises:
        InteropError: a path does not exist, or holds nothing that can be read.
    """
    found: dict[Path, tuple[str, Path]] = {}
    expected = [(path, _SUFFICIENT) for path in paths]
    expected += [(path, (*_SUFFICIENT, "weights")) for path in weights]
    for path, sufficient in expected:
        here = list(_search(path) if path.is_dir() else [_recognised(path)])
        if not any(kind in sufficient for kind, _ in here):
            raise _nothing(path, [file for _, file in here])
        for kind, file in here:  # the same file may lie below several paths
            found.setdefault(file.resolve(), (kind, file))
    return {
        name: sorted((file for kind, file in found.values() if kind == name), key=natural)
        for name in _NAMES
    }


def _recognised(path: Path) -> tuple[str, Path]:
    if not path.exists():
        raise InteropError(f"{path}: no such file or folder", fix="check the path after --from")
    kind = _kind(path.name)
    if kind is None and path.suffix == ".json":
        keys = set(read_record(path).data)
        kind = next((kind for kind, required in _CONTENT.items() if required <= keys), None)
    if kind is None:
        raise InteropError(f"{path} is not a file that init can read", fix=f"give {_READABLE}")
    return kind, path


def _kind(name: str) -> str | None:
    return next((kind for kind, pattern in _NAMES.items() if re.fullmatch(pattern, name)), None)


def _search(root: Path) -> Iterator[tuple[str, Path]]:
    fix = "give the folders of the adapters and of the results, each with --from"
    for file in walk(root, fix):
        kind = _kind(file.name)
        if kind is not None and file.is_file() and not leads_outside(file, root):
            yield kind, file


def _nothing(path: Path, here: list[Path]) -> InteropError:
    if here:
        names = ", ".join(sorted({file.name for file in here}))
        message = f"{path} holds only {names}, which is too little to make a card from"
    elif path.is_dir() and any(_kind(p.name) and p.is_symlink() for p in path.iterdir()):
        message = f"{path} holds links to files outside it, which are not followed"
    else:
        message = f"{path} holds nothing that init can read"
    return InteropError(message, fix=f"give a folder with {_READABLE}")
