"""Everything that is said of imported runs, as one value per field of the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.files import sha256_of
from safebench.harness.tasks import LoadedTask
from safebench.importing.draft.facts import ASKED, INDIRECT, Absent, Fact, Place
from safebench.importing.draft.frame import frame
from safebench.importing.draft.gather import Gathered, gather
from safebench.importing.draft.merge import BASE, METHOD
from safebench.importing.draft.tree import decoding_names
from safebench.importing.record import read_record
from safebench.importing.samples import ModelKey
from safebench.importing.sent import check_sent
from safebench.importing.submission.loaded import check_loaded, same_words
from safebench.importing.submission.models import Models, seed_facts
from safebench.importing.submission.request import Request, TrainingFile
from safebench.importing.submission.stated import card_facts, keyed, seen_from, setting_facts

_OF_PROMPTS = frozenset({"dataset_id", "dataset_revision", "metric", "direction", "version"})
"""Of safebench's tasks: what their prompts say, and no file of results."""


@dataclass(frozen=True)
class Known:
    """What is known of an import before anything is judged."""

    gathered: Gathered
    models: dict[ModelKey, ModelKey]
    """Every model as it was read, and with its checkpoint."""
    names: dict[str, str]
    """Decodings' names by their keys."""
    files: dict[str, Path]
    """Training files by their path in the submission."""


def said_facts(request: Request) -> list[Fact]:
    """Return what the files of responses and a person say: a card, options.

    Raises:
        InteropError: a card is none, its decodings are not those that answered, or prompts were
            sent otherwise than is said.
    """
    theirs = list(request.collected.facts)
    stated = [] if request.card is None else card_facts(request.card, request.out)
    by_name = [*(f for f in stated if f.place[0] == "decoding"), *setting_facts(request.settings)]
    mine = [*(f for f in stated if f.place[0] != "decoding"), *keyed(theirs, by_name)]
    spoken = {fact.place for fact in mine}
    trained = any(s.model.condition != "base" for s in request.collected.samples)
    method = request.said.method or (None if trained else "none")
    begun = frame(replace(request.said, method=method), plan=False)
    facts = [f for f in begun if f.place not in spoken or f.key.startswith("--")]
    if method != request.said.method:
        why = "no responses of a tuned model were given"
        facts = [replace(f, key=why, note=why) if f.place == METHOD else f for f in facts]
    if request.artefact:
        place = ("submission", "object")
        facts = [f for f in facts if f.place != place]
        facts.append(Fact(place, "artefact", None, key="--object", rank=ASKED))
    found = [*facts, *theirs, *mine, *_counted(request)]
    answered = dict.fromkeys(sample.decoding for sample in request.collected.samples)
    for key in answered:
        if not any(f.place == ("decoding", key, "do_sample") for f in found):
            raise InteropError(
                f"nothing says how decoding {visible(key)} chose its tokens",
                fix=f"give --decoding {key}:do_sample=false,max_new_tokens=N, or "
                f"{key}:do_sample=true,temperature=T,max_new_tokens=N; or describe it in --card",
            )
    for fact in found:
        if fact.place[0] == "decoding" and fact.place[1] not in answered:
            raise InteropError(
                f"decoding {visible(fact.place[1])} has no responses",
                fix="import them too, correct its name, or take it out",
            )
    check_sent(request.collected.sent, mine)
    return found


def _counted(request: Request) -> Iterator[Fact]:
    """Yield how many responses to a prompt each decoding has, and which prompts are used."""
    most: dict[str, int] = {}
    for sample in request.collected.samples:
        most[sample.decoding] = max(most.get(sample.decoding, 1), sample.repeat)
    for key, repeats in most.items():
        yield Fact(("decoding", key, "repeats"), repeats, None, note="counted", rank=ASKED)
    for task in dict.fromkeys(sample.task for sample in request.collected.samples):
        yield Fact(("tasks", task, "name"), task, None, rank=INDIRECT)
        if request.limit is not None:
            place = ("tasks", task, "limit")
            yield Fact(place, request.limit, None, note="--limit", rank=ASKED)


def gather_said(request: Request, tasks: Sequence[LoadedTask], facts: Sequence[Fact]) -> Known:
    """Return everything that is said, and every model's checkpoint.

    `facts` are those of `said_facts` and of judges; the entries of tasks are still to come.

    Raises:
        InteropError: two sources contradict each other, or something is open that has to be known.
    """
    models = Models(request)
    ours = {task.name for task in tasks if task.task is not None}
    training = {f"data/{t.name}{t.file.suffix.lower()}": t for t in _training(request, facts)}
    gathered = gather(
        request.paths,
        request.out,
        [
            *(f for f in facts if not _superseded(f, ours)),
            *_data_facts(training),
            *_model_facts(request, facts),
            *seed_facts(request),
        ],
        stated=request.weights,
        choose=models.choose,
    )
    collected = request.collected
    base = request.model or (gathered.filled[BASE].value if BASE in gathered.filled else None)
    check_loaded(collected.loaded, None if base is None else str(base), facts)
    same = same_words(collected.samples, collected.loaded, facts)
    remarks = (*collected.remarks, *gathered.remarks, *models.remarks, *same)
    return Known(
        gathered=replace(
            gathered,
            files=(*collected.files, *gathered.files),
            remarks=tuple(dict.fromkeys(remarks)),
        ),
        models=models.keys,
        names=decoding_names(gathered.filled),
        files={path: one.file for path, one in training.items()},
    )


def _superseded(fact: Fact, ours: set[str]) -> bool:
    """Whether something else says it: the prompts of our tasks, a copy of a training file."""
    at = fact.place
    if at[0] == "data":
        return at[-1] == "path"
    counted = at[0] == "tasks" and at[-1] == "prompts"
    return counted or (at[0] == "tasks" and at[1] in ours and at[-1] in _OF_PROMPTS)


def _training(request: Request, facts: Iterable[Fact]) -> list[TrainingFile]:
    """Return the files of training examples, those that a card names among them."""
    of_data = {f.place: f.value for f in facts if f.place[0] == "data" and len(f.place) > 1}
    found = {one.name: one for one in request.data}
    for (_, name, *field), value in of_data.items():
        if field == ["path"] and name not in found:
            role = str(of_data.get(("data", name, "role"), "tuned"))
            found[name] = TrainingFile(name, request.out / str(value), role)
    return list(found.values())


def _data_facts(files: dict[str, TrainingFile]) -> Iterator[Fact]:
    """Yield what files of training examples say; raises InteropError where one is not there."""
    from safebench.tuning.examples import read_examples

    for path, one in files.items():
        if not one.file.is_file():
            raise InteropError(
                f"data {one.name}: {one.file} is no file", fix="check the path of the training data"
            )
        place: Place = ("data", one.name)
        yield Fact((*place, "name"), one.name, None)
        yield Fact((*place, "role"), one.role, None)
        yield Fact((*place, "path"), path, None, note=f"a copy of {one.file.name}")
        yield Fact((*place, "sha256"), sha256_of(one.file), None, note="of the file")
        examples = len(read_examples(one.file))
        yield Fact((*place, "examples"), examples, one.file, note="counted")


def _model_facts(request: Request, facts: Sequence[Fact]) -> Iterator[Fact]:
    """Yield what the folder of the base model says: its digest, and what it generates with."""
    if request.model is None:
        return
    from safebench.models.loading import locate

    folder = request.model
    base = locate(str(folder), None, Path())
    name = seen_from(folder, request.out)
    yield Fact(BASE, name, None, key="--model", note="--model", rank=ASKED)
    yield Fact(("model", "base", "revision"), base.revision, None, note="of its files", rank=ASKED)
    config = folder / "config.json"
    if config.is_file() and "quantization_config" not in read_record(config).data:
        note = "the model's own weights are not quantized"
        open_ = [f for f in facts if f.place == ("model", "quantization")]
        if all(isinstance(fact.value, Absent) for fact in open_):
            yield Fact(("model", "quantization"), "none", config, note=note)
    yield from _generation(folder, facts)


def _generation(folder: Path, facts: Sequence[Fact]) -> Iterator[Fact]:
    """Yield the repetition penalty that the model's own settings decided."""
    file = folder / "generation_config.json"
    own = read_record(file).number("repetition_penalty") if file.is_file() else None
    place = ("environment", "backend")
    if any(fact.place == place and fact.value != "hf" for fact in facts):
        return  # servers have defaults of their own
    for fact in facts:
        if fact.place[0] == "decoding" and fact.place[-1] == "repetition_penalty":
            note = "the model's own settings have none" if own is None else ""
            source = file if file.is_file() else None
            yield Fact(fact.place, 1.0 if own is None else own, source, note=note, rank=INDIRECT)
