"""Logs of Inspect: one per model, decoding and task, a response with all its judges' verdicts.

JSON, which `inspect view` and `read_eval_log` open as they open `.eval`. A verdict is the value of
a score, under the judge's name; repeats are epochs. Ids are made from the digest of the outcomes,
and the time is the card's or an option's, so that the same submission gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from safebench.analysis.selection import Selection
from safebench.card.base import NotReported
from safebench.card.decoding import Decoding
from safebench.card.results import PlaceKey, key_of
from safebench.card.task import Task
from safebench.evidence.submission import Submission
from safebench.evidence.tables import Unread
from safebench.exporting.every_eval_ever import uuid_of
from safebench.exporting.facts import (
    RESPONSE,
    WITHHELD,
    Json,
    Measured,
    Writer,
    base_id,
    known,
    models_of,
    revision_of,
    rows_of,
    slug,
    text,
    texts_of,
    weights_of,
)
from safebench.exporting.interface import Export, Options

Row = Mapping[str, Any]
_STOPS = {"ok": "stop", "truncated": "max_tokens", "blocked": "content_filter"}
_OF_CALL = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "max_new_tokens": "max_tokens",
    "reasoning_budget": "reasoning_tokens",
}
"""Fields of a decoding by what Inspect calls them; others go to `extra_body`."""
_IN_METADATA = ("category", "status", "generation_seed")
"""Columns of outcomes that a sample has no field of its own for."""


def export(submission: Submission, options: Options) -> Export:
    """Return a submission as logs of Inspect, `MODEL/DECODING/TIME_TASK_ID.json`.

    Raises:
        InteropError: the timestamp is not a number.
        EvidenceError: nothing was measured of what is selected.
    """
    writer = _Writer(submission, options)
    rows = list(_selected(submission, options.selection))
    by_log: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (row["condition"], row["training_seed"], row["checkpoint"])
        by_log.setdefault((Measured(*key), row["decoding"], row["task"]), []).append(row)
    order = {model: number for number, model in enumerate(models_of(submission))}
    files = {}
    for model, decoding, task in sorted(by_log, key=lambda k: (order[k[0]], k[1], k[2])):
        name, log = writer.log(model, decoding, task, by_log[model, decoding, task])
        body = json.dumps(log, indent=1, ensure_ascii=False) + "\n"
        files[name] = body.encode(errors="backslashreplace")
    return Export(files, list(_lost(writer, rows)))


def _selected(submission: Submission, selection: Selection) -> Iterator[Row]:
    """Yield the outcomes of the numbers that are selected, in canonical order."""
    places = {key_of(score) for score in selection.of(submission.results).scores}
    names = submission.outcomes.column_names
    for values in rows_of(submission.outcomes, names):
        row = dict(zip(names, values, strict=True))
        if PlaceKey(**{name: row[name] for name in PlaceKey._fields}) in places:
            yield row


class _Writer(Writer):
    """Makes one log after another."""

    def __init__(self, submission: Submission, options: Options) -> None:
        super().__init__(submission, options)
        self.texts = texts_of(submission) if self.shows else {}
        self.tokens: dict[tuple[Any, ...], int | None] = {}
        if submission.responses is not None:
            rows = rows_of(submission.responses, (*RESPONSE, "new_tokens"))
            self.tokens = {row[:-1]: row[-1] for row in rows}
        prompting = self.card.prompting
        system = None if isinstance(prompting, NotReported) else text(prompting.system_prompt)
        self.system = system if self.shows else None

    def log(
        self, model: Measured, decoding: str, task: str, rows: Sequence[Row]
    ) -> tuple[str, Json]:
        """Return the name and content of a log; `rows` are its outcomes."""
        digest = self.submission.outcomes_sha256  # ids of Inspect have 22 characters
        unique = uuid_of(digest, f"inspect/{model.name}/{decoding}/{task}").replace("-", "")[:22]
        judges = list(dict.fromkeys(row["judge"] for row in rows))
        samples = list(self._samples(rows, self._name(model)))
        config = _config(self.decodings.get(decoding), {row["generation_seed"] for row in rows})
        spec = {
            "eval_id": unique,
            "run_id": uuid_of(digest, "inspect").replace("-", "")[:22],
            "created": self.created.isoformat(),
            "task": task,
            "task_id": unique[::-1],  # another id of the same form
            "task_version": text(self.tasks.get(task, Task(name=task)).version) or 0,
            "dataset": self._dataset(task, samples),
            "model": self._name(model),
            "model_generate_config": config,
            "config": {"epochs": max(sample["epoch"] for sample in samples)},
            "packages": {},
            "metadata": self._about(model, decoding),
            "scorers": [self._scorer(judge) for judge in judges],
        }
        scores = [_result(judge, rows) for judge in judges]
        log = {
            "version": 2,
            "status": "success",
            "eval": spec,
            "plan": {"name": "plan", "steps": [], "config": config},
            "results": {
                "total_samples": len(samples),
                "completed_samples": len(samples),
                "scores": scores,
            },
            "stats": {"started_at": spec["created"], "completed_at": spec["created"]},
            "samples": samples,
        }
        time = self.created.strftime("%Y-%m-%dT%H-%M-%S+00-00")
        dashed = slug(task).replace("_", "-")  # Inspect divides the parts of a name by `_`
        return f"{model.name}/{slug(decoding)}/{time}_{dashed}_{unique}.json", log

    def _name(self, model: Measured) -> str:
        base = base_id(self.card)
        return base if model.condition == "base" else f"{base}+{model.name}"

    def _dataset(self, task: str, samples: Sequence[Json]) -> Json:
        entry = self.tasks.get(task, Task(name=task))
        ids = list(dict.fromkeys(sample["id"] for sample in samples))
        about = {"name": task, "samples": len(ids), "sample_ids": ids, "shuffled": False}
        source = text(entry.dataset_id)
        return about if source is None else {**about, "location": source}

    def _about(self, model: Measured, decoding: str) -> Json:
        weights = weights_of(self.card, model)
        about = {
            "spec": self.card.spec,
            "submission": self.card.submission.id,
            "outcomes_sha256": self.submission.outcomes_sha256,
            "condition": model.condition,
            "training_seed": model.training_seed,
            "checkpoint": model.checkpoint,
            "decoding": decoding,
            "base_revision": revision_of(self.card),
            "weights_sha256": None if weights is None else text(weights.sha256),
        }
        return {f"safebench.{name}": value for name, value in known(about).items()}

    def _scorer(self, name: str) -> Json:
        judge = self.judges.get(name)
        options = known({n: text(getattr(judge, n, None)) for n in ("kind", "id", "revision")})
        if judge is not None and judge.kind == "llm" and "id" in options:
            options["model"] = options["id"]
        return {"name": name, "options": options, "metrics": [{"name": "mean", "options": {}}]}

    def _samples(self, rows: Sequence[Row], model: str) -> Iterator[Json]:
        """Yield one sample per response, with the verdict of every judge on it."""
        grouped: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            grouped.setdefault(tuple(row[name] for name in RESPONSE), []).append(row)
        for key, judged in grouped.items():
            first = judged[0]
            prompt, response = self.texts.get(key, (None, None))
            asked = WITHHELD if prompt is None else prompt
            content = WITHHELD if response is None else response
            messages = [{"role": "user", "content": asked}]
            if self.system is not None:
                messages.insert(0, {"role": "system", "content": self.system})
            answer = {"role": "assistant", "content": content, "source": "generate"}
            stop = _STOPS.get(first["status"], "unknown")
            output: Json = {"model": model, "choices": [{"message": answer, "stop_reason": stop}]}
            tokens = self.tokens.get(key)
            if tokens is not None:
                output["usage"] = {"output_tokens": tokens, "total_tokens": tokens}
            yield {
                "id": first["prompt_id"],
                "epoch": first["repeat"],
                "input": asked,
                "target": "",
                "messages": [*messages, answer],
                "output": output,
                "scores": _scores(judged),
                "metadata": known({name: first[name] for name in _IN_METADATA}),
            }


def _config(decoding: Decoding | None, seeds: set[int | None]) -> Json:
    """Return Inspect's settings of a decoding; greedy is a temperature of 0."""
    seed = {"seed": next(iter(seeds))} if len(seeds) == 1 and None not in seeds else {}
    if decoding is None:
        return seed
    values = decoding.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    found: Json = {} if decoding.do_sample else {"temperature": 0.0}
    for ours, theirs in _OF_CALL.items():
        if isinstance(values.get(ours), int | float):
            found[theirs] = values.pop(ours)
    if isinstance(values.get("stop"), list):
        found["stop_seqs"] = values.pop("stop")
    others = {
        name: value
        for name, value in values.items()
        if name not in ("name", "do_sample", "repeats") and not isinstance(value, dict)
    }
    return {**found, **({"extra_body": others} if others else {}), **seed}


def _scores(judged: Sequence[Row]) -> Json:
    """Return the scores of a response, by judge: a verdict's word, or a number.

    A judge that decided harm has the degree of it, severity, beside its verdict.
    """
    found: Json = {}
    for row in sorted(judged, key=lambda row: row["construct"] == "severity"):
        verdict, score = row["verdict"], row["score"]
        if row["judge"] in found:
            found[row["judge"]]["metadata"][row["construct"]] = score
            continue
        value = verdict if verdict is not None and verdict not in get_args(Unread) else score
        about = known({"construct": row["construct"], "score": score, "verdict": verdict})
        # NaN is what Inspect writes where a scorer could not score.
        graded = float("nan") if value is None else value
        found[row["judge"]] = {"value": graded, "metadata": about}
    return found


def _result(judge: str, rows: Sequence[Row]) -> Json:
    """Return the mean score of a judge, by what it measures."""
    metrics = {}
    mine = [row for row in rows if row["judge"] == judge and row["score"] is not None]
    for construct in dict.fromkeys(row["construct"] for row in mine):
        scores = [row["score"] for row in mine if row["construct"] == construct]
        metrics[construct] = {"name": construct, "value": sum(scores) / len(scores), "params": {}}
    return {"name": judge, "scorer": judge, "params": {}, "metrics": metrics}


def _lost(writer: _Writer, rows: Sequence[Row]) -> Iterator[str]:
    yield "intervals, changes from base and stability: a log is about one run of one model"
    yield "hyperparameters, training data and the scheme of seeds: link the card"
    yield "examples, attacks and chat template around a prompt, environment, calibration of judges"
    yield "right answers (target): a submission keeps what was asked and scored, not these"
    found = {n: {row[n] for row in rows} for n in ("generation_seed", "repeat", "construct")}
    if len(found["repeat"]) > 1 and found["generation_seed"] - {None}:
        yield "a seed of its own for every epoch: it is in the metadata of each sample"
    configs = (_config(decoding, set()) for decoding in writer.decodings.values())
    others = sorted({name for config in configs for name in config.get("extra_body", {})})
    if others:
        yield f"{', '.join(others)} of the decodings: in extra_body, which providers read as theirs"
    if "severity" in found["construct"]:
        yield "severity beside harm as a score: it is in the metadata of the judge's score of harm"
    yield from writer.lost()
