"""Everything that is known about imported runs, as one value per field of the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.decoding import Prompting
from safebench.card.model import WeightsModel
from safebench.errors import InteropError, visible
from safebench.files import sha256_of
from safebench.harness.tasks import LoadedTask
from safebench.importing.draft.gather import Gathered, gather
from safebench.importing.draft.settle import BASE, METHOD
from safebench.importing.draft.start import first_facts
from safebench.importing.draft.tree import decoding_names
from safebench.importing.facts import BY_PERSON, INDIRECT, Absent, Fact
from safebench.importing.interface import ModelKey
from safebench.importing.prompts import check_prompts
from safebench.importing.record import read_record
from safebench.importing.submission.declared import card_facts, keyed, seen_from, setting_facts
from safebench.importing.submission.models import Models, seed_facts
from safebench.importing.submission.request import Request, TrainingFile, judges_called
from safebench.importing.submission.weights import check_loaded, check_responses

_OF_PROMPTS = frozenset({"dataset_id", "dataset_revision", "metric", "direction", "version"})
"""Fields of safebench's own tasks that are taken from the task, not from files of results."""


@dataclass(frozen=True)
class ImportState:
    """What is known about an import before anything is judged."""

    gathered: Gathered
    models: dict[ModelKey, ModelKey]
    """Every model as it was read, and with its checkpoint."""
    names: dict[str, str]
    """Decodings' names by their keys."""
    files: dict[str, Path]
    """Training files by their path in the submission."""


def collected_facts(request: Request) -> list[Fact]:
    """Return what the files of responses say, and a person in a card and in options.

    Raises:
        InteropError: the file is not a card, its decodings are not those that answered, or prompts
            were not sent as declared.
    """
    of_files = list(request.collected.facts)
    of_card = [] if request.card is None else card_facts(request.card, request.out)
    decodings = [f for f in of_card if f.place[0] == "decoding"]
    decodings += setting_facts(request.settings)
    of_person = [*(f for f in of_card if f.place[0] != "decoding"), *keyed(of_files, decodings)]
    of_person += _judges(request, {f.place[1] for f in of_files if f.place[0] == "judge"})
    facts = [*_basics(request, of_person), *of_files, *of_person, *_counted(request)]
    answered = dict.fromkeys(sample.decoding for sample in request.collected.samples)
    for key in answered:
        if not any(f.place == ("decoding", key, "do_sample") for f in facts):
            raise InteropError(
                f"nothing says how decoding {visible(key)} chose its tokens",
                fix=f"give --decoding {key}:do_sample=false,max_new_tokens=N, or "
                f"{key}:do_sample=true,temperature=T,max_new_tokens=N; or describe it in --card",
            )
    for fact in facts:
        if fact.place[0] == "decoding" and fact.place[1] not in answered:
            raise InteropError(
                f"decoding {visible(fact.place[1])} has no responses",
                fix="import them too, correct its name, or leave it out",
            )
    check_prompts(request.collected.sent, of_person)
    return facts


def _judges(request: Request, reporting: set[str]) -> Iterator[Fact]:
    """Yield the kinds and ids of judges that options give."""
    for name, (kind, identifier) in request.judges.items():
        parts = judges_called(name, "--judge", reporting)
        for part, (field, value) in product(parts, (("kind", kind), ("id", identifier))):
            if value:
                note = "--judge"
                yield Fact(("judge", part, field), value, None, note, note, rank=BY_PERSON)


def _basics(request: Request, of_person: Sequence[Fact]) -> list[Fact]:
    """Return what a draft begins with, without what the card says itself."""
    basics = request.basics
    untuned = all(s.model.condition == "base" for s in request.collected.samples)
    if basics.method is None and untuned:
        basics = replace(basics, method="none")
    in_card = {fact.place for fact in of_person}
    facts = {
        fact.place: fact
        for fact in first_facts(basics, plan=False)
        if fact.place not in in_card or fact.key.startswith("--")
    }
    if basics != request.basics and METHOD in facts:
        why = "no responses of a tuned model were given"
        facts[METHOD] = replace(facts[METHOD], key=why, note=why)
    if request.artefact:
        place = ("submission", "object")
        facts[place] = Fact(place, "artefact", None, key="--object", rank=BY_PERSON)
    return list(facts.values())


def _counted(request: Request) -> Iterator[Fact]:
    """Yield how many responses to a prompt each decoding has, and which prompts are used."""
    most: dict[str, int] = {}
    for sample in request.collected.samples:
        most[sample.decoding] = max(most.get(sample.decoding, 1), sample.repeat)
    for key, repeats in most.items():
        yield Fact(("decoding", key, "repeats"), repeats, None, note="counted", rank=BY_PERSON)
    for task in dict.fromkeys(sample.task for sample in request.collected.samples):
        yield Fact(("tasks", task, "name"), task, None, rank=INDIRECT)
        if request.limit is not None:
            place = ("tasks", task, "limit")
            yield Fact(place, request.limit, None, note="--limit", rank=BY_PERSON)


def settle_facts(
    request: Request, tasks: Sequence[LoadedTask], facts: Sequence[Fact], remarks: Sequence[str]
) -> ImportState:
    """Return one value per field, and every model's checkpoint.

    `facts` are those of `collected_facts` and of judges; the entries of tasks are still to come.

    Raises:
        InteropError: two sources contradict each other, or something is open that has to be known.
    """
    models = Models(request)
    own = {task.name for task in tasks if task.task is not None}
    training = {f"data/{t.name}{t.file.suffix.lower()}": t for t in _training(request, facts)}
    gathered = gather(
        request.paths,
        request.out,
        [
            *(f for f in facts if not _is_superseded(f, own)),
            *_data_facts(training),
            *_model_facts(request, facts),
            *seed_facts(request),
        ],
        declared=request.weights,
        choose=models.choose,
    )
    collected = request.collected
    base = request.model or (gathered.filled[BASE].value if BASE in gathered.filled else None)
    check_loaded(collected.loaded, None if base is None else str(base), facts)
    same = check_responses(collected.samples, collected.loaded, facts)
    all_remarks = (*collected.remarks, *remarks, *gathered.remarks, *models.remarks, *same)
    files = (*collected.files, *gathered.files)
    return ImportState(
        gathered=replace(gathered, files=files, remarks=tuple(dict.fromkeys(all_remarks))),
        models=models.keys,
        names=decoding_names(gathered.filled),
        files={path: one.file for path, one in training.items()},
    )


def _is_superseded(fact: Fact, own: set[str]) -> bool:
    """Whether the import itself decides: the prompts of own tasks, a copy of a training file."""
    section, field = fact.place[0], fact.place[-1]
    if section == "tasks":
        return field == "prompts" or (fact.place[1] in own and field in _OF_PROMPTS)
    return section == "data" and field == "path"


def _training(request: Request, facts: Iterable[Fact]) -> list[TrainingFile]:
    """Return the files of training examples, including those that a card names."""
    of_data = {f.place: f.value for f in facts if f.place[0] == "data" and len(f.place) > 1}
    found = {one.name: one for one in request.data}
    for (_, name, *field), value in of_data.items():
        if field == ["path"] and name not in found:
            role = str(of_data.get(("data", name, "role"), "tuned"))
            found[name] = TrainingFile(name, request.out / str(value), role)
    return list(found.values())


def _data_facts(files: dict[str, TrainingFile]) -> Iterator[Fact]:
    """Yield what files of training examples say; raises InteropError where one is missing."""
    from safebench.tuning.examples import read_examples

    for path, one in files.items():
        if not one.file.is_file():
            raise InteropError(f"data {one.name}: no such file: {one.file}", fix="check the path")
        place = ("data", one.name)
        yield Fact((*place, "name"), one.name, None)
        yield Fact((*place, "role"), one.role, None)
        yield Fact((*place, "path"), path, None, note=f"a copy of {one.file.name}")
        yield Fact((*place, "sha256"), sha256_of(one.file), None, note="of the file")
        examples = len(read_examples(one.file))
        yield Fact((*place, "examples"), examples, one.file, note="counted")


def _model_facts(request: Request, facts: Sequence[Fact]) -> Iterator[Fact]:
    """Yield what the folder of the base model says: its digest, quantization and own settings."""
    if request.model is None:
        return
    from safebench.models.loading import locate

    folder = request.model
    revision = locate(str(folder), None, Path()).revision
    name = seen_from(folder, request.out)
    yield Fact(BASE, name, None, key="--model", note="--model", rank=BY_PERSON)
    place = ("model", "base", "revision")
    yield Fact(place, revision, None, note="of its files", rank=BY_PERSON)
    config = folder / "config.json"
    if config.is_file() and "quantization_config" not in read_record(config).data:
        quantization = ("model", "quantization")
        if all(isinstance(fact.value, Absent) for fact in facts if fact.place == quantization):
            note = "the model's own weights are not quantized"
            yield Fact(quantization, "none", config, note=note)
    yield from _repetition_penalty(folder / "generation_config.json", facts)


def _repetition_penalty(file: Path, facts: Sequence[Fact]) -> Iterator[Fact]:
    """Yield the repetition penalty, where the model's own settings decided it."""
    place = ("environment", "backend")
    if any(fact.place == place and fact.value != "hf" for fact in facts):
        return  # servers have defaults of their own
    source = file if file.is_file() else None
    own = read_record(file).number("repetition_penalty") if source else None
    note = "the model's own settings have none" if own is None else ""
    # A sampler that was given no penalty leaves it to the model's own settings.
    for fact in facts:
        if fact.place[0] == "decoding" and fact.place[-1] == "repetition_penalty":
            value = 1.0 if own is None else own
            yield Fact(fact.place, value, source, note=note, rank=INDIRECT)


def rendered_facts(card: Card, folder: Path, base: Path | None) -> Iterator[Fact]:
    """Yield the digests of the rendered examples, where card and base model say how they render.

    Args:
        card: The draft.
        folder: Where its training files lie.
        base: Folder of the base model, whose tokenizer renders; None where it is not here.

    Raises:
        CardError: the base model has another chat template than was applied.
    """
    if isinstance(card.data, NotReported):
        return
    of_model = list(_missing(card, base))
    fields = ("path", "template", "subset", "weight")
    for number, dataset in enumerate(card.data):
        place = ("data", dataset.name, "rendered_sha256")
        missing = [f"data.{f}" for f in fields if isinstance(getattr(dataset, f), NotReported)]
        missing += of_model + (["a file of it"] if dataset.path is None else [])
        if missing or base is None:
            reason = f"computed by the import once these are known: {', '.join(missing)}"
            yield Fact(place, Absent(reason), None)
        else:
            digest = _rendered(card, folder, base, number)
            yield Fact(place, digest, None, note="rendered here with the base model's tokenizer")


def _rendered(card: Card, folder: Path, base: Path, number: int) -> str:
    """Return the digest of a data set's examples as the base model's tokenizer renders them."""
    from safebench.models.conversation import pin_template
    from safebench.models.loading import load_tokenizer, locate
    from safebench.tuning.render import as_rows, rendered_sha256, training_tokenizer
    from safebench.tuning.sets import load_set

    tokenizer = load_tokenizer(locate(str(base), None, Path()))
    card, _ = pin_template(card, folder, tokenizer)
    tokenizer, _ = training_tokenizer(cast("WeightsModel", card.model), folder, tokenizer)
    dataset = cast("tuple[Any, ...]", card.data)[number]
    loaded = load_set(dataset, folder, number)
    system = cast("Prompting", card.prompting).system_prompt
    rows = as_rows(loaded.examples.examples, loaded.template, cast("str | None", system))
    return rendered_sha256(rows, tokenizer)


def _missing(card: Card, base: Path | None) -> Iterator[str]:
    """Yield the names of what decides how examples are rendered and is not known."""
    if base is None or not isinstance(card.model, WeightsModel):
        yield "--model"
    elif isinstance(card.model.chat_template, NotReported):
        yield "model.chat_template"
    prompting = card.prompting
    if isinstance(prompting, NotReported) or isinstance(prompting.system_prompt, NotReported):
        yield "prompting.system_prompt"
