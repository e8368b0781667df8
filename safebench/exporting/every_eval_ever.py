"""every_eval_ever 0.3: an aggregate file per model that was measured, and one per recipe.

The format has no field for seed, revision or fine-tuning: they are written to `additional_details`
under keys that begin with `safebench.`. Its mandatory uuid and time would differ at every export,
so the uuid is made from the digest of the outcomes, and the time is the card's or an option's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from safebench.analysis.correction import NOT_INCLUDED, corrections, in_words
from safebench.card.base import NotReported
from safebench.card.decoding import Decoding
from safebench.card.digest import protocol_digest
from safebench.card.judge import Judge
from safebench.card.measured import MeasuredScore
from safebench.card.model import ApiModel
from safebench.card.results import find, key_of
from safebench.card.task import METRICS, Task
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.columns import encoded
from safebench.evidence.scoring import CONFIDENCE
from safebench.evidence.submission import Submission
from safebench.exporting.facts import (
    UNKNOWN,
    WITHHELD,
    Estimate,
    Json,
    Measured,
    Writer,
    base_id,
    base_is_on_hub,
    estimate_of,
    known,
    models_of,
    organisation,
    revision_of,
    slug,
    text,
    texts_of,
    weights_of,
)
from safebench.exporting.interface import Export, Options

SCHEMA_VERSION = "0.3.0"
COLLECTION = "safebench"
_RECIPE = "recipe"


def export(submission: Submission, options: Options) -> Export:
    """Return a submission as files of every_eval_ever.

    Raises:
        InteropError: the timestamp is not a number.
    """
    writer = _Writer(submission, options)
    for model in models_of(submission):
        writer.write_model(model)
    writer.write_recipes()
    return Export(writer.files, list(_lost(writer)))


class _Writer(Writer):
    """Writes one pair of files after another."""

    def __init__(self, submission: Submission, options: Options) -> None:
        super().__init__(submission, options)
        self.time = str(int(self.created.timestamp()))
        self.corrected = corrections(submission, submission.results)
        self.files: dict[str, bytes] = {}
        self.protocol = protocol_digest(self.card)
        self._texts = texts_of(submission)

    def write_model(self, model: Measured) -> None:
        """Write what was measured of one model: the mean over its repeats and prompts."""
        results: list[Json] = []
        samples: list[Json] = []
        identifier, info = self._evaluation_id(model.name), self._model_info(model)
        ids = {"evaluation_id": identifier, "model_id": info["id"]}
        seed = model.training_seed
        for block in self.submission.blocks:
            own = (block.condition, block.checkpoint) == (model.condition, model.checkpoint)
            if own and seed in block.seeds:
                result = self._result(block, estimate_of(block, seed), identifier)
                results.append(result)
                samples += self._samples(block, block.seeds.index(seed), result, ids)
        self._write(info, identifier, model.name, results, samples)

    def write_recipes(self) -> None:
        """Write what was measured of the recipe: the mean over its training seeds."""
        scores = [s for s in self.submission.results.scores if s.condition != "base"]
        for condition, checkpoint in dict.fromkeys((s.condition, s.checkpoint) for s in scores):
            model = Measured(condition, None, checkpoint)
            name = f"{_RECIPE}-{model.name}"
            own = [s for s in scores if (s.condition, s.checkpoint) == (condition, checkpoint)]
            identifier = self._evaluation_id(name)
            results = [self._recipe_result(score, identifier) for score in own]
            self._write(self._model_info(model), identifier, name, results, [])

    def _recipe_result(self, score: MeasuredScore, identifier: str) -> Json:
        block = next(b for b in self.submission.blocks if key_of(b) == key_of(score))
        result = self._result(block, score, identifier)
        details = result["score_details"]["details"]
        if score.stability is not None:
            for name, value in score.stability.model_dump(mode="json").items():
                if value is not None:
                    details[f"safebench.stability.{name}"] = str(value)
        seeds = dict.fromkeys(run.training_seed for run in score.runs)
        details["safebench.training_seeds"] = ", ".join(map(str, seeds))
        return result

    def _evaluation_id(self, name: str) -> str:
        return f"{self.card.submission.id}/{name}/{self.time}"

    def _model_info(self, model: Measured) -> Json:
        card, base = self.card, base_id(self.card)
        weights = weights_of(card, model)
        on_hub = None if weights is None else weights.id
        revision = weights.revision if weights is not None and isinstance(on_hub, str) else None
        who = organisation(card)
        if model.condition == "base":
            identifier = base
            who = base.partition("/")[0] if "/" in base and not base.startswith(".") else None
        elif isinstance(on_hub, str):
            identifier = on_hub
        else:
            identifier = f"{slug(who or UNKNOWN)}/{card.submission.id}-{model.name}"
        api = isinstance(card.model, ApiModel)
        details = {
            "deployment_type": "externally_managed" if api else "self_deployed",
            "model_availability": "open_weights" if base_is_on_hub(card) and not api else UNKNOWN,
            "safebench.condition": model.condition,
            "safebench.base_model": base,
            "safebench.base_revision": revision_of(card),
            "safebench.training_seed": text(model.training_seed),
            "safebench.checkpoint": text(model.checkpoint),
            "safebench.weights_revision": revision if isinstance(revision, str) else None,
            "safebench.weights_sha256": None if weights is None else text(weights.sha256),
            "safebench.method": text(getattr(card.hyperparameters, "method", None)),
        }
        return {
            "name": identifier.rpartition("/")[2],
            "id": identifier,
            "developer": who or UNKNOWN,
            "additional_details": known(details),
        }

    def _result(
        self, block: OutcomeArray, score: Estimate | MeasuredScore, identifier: str
    ) -> Json:
        task = self.tasks.get(block.task, Task(name=block.task))
        place = [block.task, block.construct, block.decoding, block.judge]
        primary = find(self.submission.results.primary, key_of(block))
        details = {
            "safebench.repeats": str(block.scores.shape[1]),
            "safebench.protocol_sha256": self.protocol,
            "safebench.outcomes_sha256": self.submission.outcomes_sha256,
            "safebench.spec": self.card.spec,
            "safebench.is_primary": "false" if primary is None else "true",
            "safebench.judge_error": in_words(self.corrected[key_of(block)].score)
            if isinstance(score, MeasuredScore)
            else NOT_INCLUDED,
        }
        interval = {
            "lower": score.lower,
            "upper": score.upper,
            "confidence_level": CONFIDENCE,
            "method": score.method,
        }
        return {
            "evaluation_result_id": "/".join([identifier, *place]),
            "evaluation_name": "/".join(place),
            "source_data": _source_data(task, len(block.prompts)),
            "metric_config": _metric(block, task, self.judges.get(block.judge)),
            "score_details": {
                "score": score.estimate,
                "details": details,
                "uncertainty": {"confidence_interval": interval, "num_samples": score.n},
            },
            "generation_config": _generation(self.decodings.get(block.decoding), block.decoding),
        }

    def _samples(self, block: OutcomeArray, seed: int, result: Json, ids: Json) -> Iterator[Json]:
        """Yield a record per response and judge."""
        names = {name: result[name] for name in ("evaluation_name", "evaluation_result_id")}
        for repeat in range(block.scores.shape[1]):
            for place, prompt_id in enumerate(block.prompts):
                at = seed, repeat, place
                score, verdict = float(block.scores[at]), str(block.verdicts[at])
                model = (block.condition, block.seeds[seed], block.checkpoint)
                key = (block.task, prompt_id, *model, block.decoding, repeat + 1)
                prompt, response = self._texts.get(key, (None, None))
                status = (
                    s for s in ("truncated", "blocked", "unrecorded") if getattr(block, s)[at]
                )
                # A capability answer has to be right, any other neither harmful nor a refusal.
                good = 1.0 if block.construct == "capability" else 0.0
                attribution = {
                    "turn_idx": 0,
                    "source": "output.raw",
                    "extracted_value": verdict or str(score),
                    "extraction_method": f"judge {block.judge}",
                    "is_terminal": True,
                }
                yield {
                    "schema_version": SCHEMA_VERSION,
                    **ids,
                    **names,
                    "sample_id": prompt_id,
                    "sample_hash": None if prompt is None else _sha256(prompt.encode()),
                    "interaction_type": "single_turn",
                    "input": {"raw": self._shown(prompt), "reference": []},
                    "output": {"raw": [self._shown(response)]},
                    "answer_attribution": [attribution],
                    "evaluation": {"score": score, "is_correct": score == good},
                    "metadata": known(
                        {
                            "safebench.repeat": str(repeat + 1),
                            "safebench.verdict": verdict or None,
                            "safebench.category": block.categories[place] or None,
                            "safebench.status": next(status, None),
                        }
                    ),
                }

    def _shown(self, words: str | None) -> str:
        return words if self.shows and words is not None else WITHHELD

    def _write(
        self, info: Json, identifier: str, name: str, results: list[Json], samples: list[Json]
    ) -> None:
        unique = uuid_of(self.submission.outcomes_sha256, name)
        folder = f"data/{COLLECTION}/{slug(info['developer'])}/{slug(info['name'])}"
        about = self.card.submission
        harness = text(getattr(self.card.environment, "harness", None)) or UNKNOWN
        details = {
            "safebench.submission": about.id,
            "safebench.scope": _RECIPE if name.startswith(_RECIPE) else "model",
            "safebench.object": about.object,
        }
        record: Json = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": identifier,
            "retrieved_timestamp": self.time,
            "source_metadata": {
                "source_name": f"safebench submission {about.id}",
                "source_type": "evaluation_run",
                "source_organization_name": organisation(self.card) or UNKNOWN,
                "evaluator_relationship": about.relationship,
                "additional_details": known(details),
            },
            "eval_library": {
                "name": harness.partition(" ")[0],
                "version": harness.partition(" ")[2] or UNKNOWN,
            },
            "model_info": info,
            "evaluation_results": results,
        }
        if samples:
            path = f"{folder}/{unique}_samples.jsonl"
            content = "".join(json.dumps(s, ensure_ascii=False) + "\n" for s in samples).encode()
            self.files[path] = content
            record["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": path,
                "hash_algorithm": "sha256",
                "checksum": _sha256(content),
                "total_rows": len(samples),
            }
        body = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        self.files[f"{folder}/{unique}.json"] = body.encode()


def _pinned(value: Any) -> str | None:
    """Return a revision as one text; None where it is absent or not reported."""
    return text(value) if value is None or isinstance(value, str | NotReported) else "unpinnable"


def _metric(block: OutcomeArray, task: Task, judge: Judge | None) -> Json:
    """Return what a number is, and who judged the responses behind it."""
    name, direction = METRICS[block.construct]
    trial = f" (TRIAL, not a result: {task.trial})" if task.trial else ""
    details = {
        "safebench.construct": block.construct,
        "safebench.task_version": text(task.version),
        "safebench.trial": task.trial,
        "safebench.judge": block.judge,
        "safebench.judge_kind": text(getattr(judge, "kind", None)),
        "safebench.judge_id": text(getattr(judge, "id", None)),
        "safebench.judge_revision": _pinned(getattr(judge, "revision", None)),
    }
    config: Json = {
        "evaluation_description": f"{block.construct} of {block.task}: {name}{trial}",
        "metric_id": f"safebench.{block.construct}",
        "metric_name": name,
        "metric_kind": "mean" if block.construct == "severity" else "proportion",
        "metric_unit": "proportion",
        "lower_is_better": direction == "lower_is_better",
        "score_type": "continuous",
        "min_score": 0,
        "max_score": 1,
        "additional_details": known(details),
    }
    if judge is not None and judge.kind == "llm":
        who = text(judge.id) or UNKNOWN
        digest = text(getattr(judge, "prompt_template_sha256", None))
        where = {"deployment_type": UNKNOWN, "model_availability": UNKNOWN}
        config["llm_scoring"] = {
            "judges": [{"model_info": {"name": who, "id": who, "additional_details": where}}],
            "input_prompt": f"sha256:{digest}" if digest else "not reported",
        }
    return config


def _source_data(task: Task, prompts: int) -> Json:
    """Return where a task's prompts come from."""
    name = text(task.dataset_id) or task.name
    details = known(
        {
            "safebench.dataset_revision": _pinned(task.dataset_revision),
            "safebench.dataset_sha256": text(task.dataset_sha256),
            "safebench.prompts": str(prompts),
        }
    )
    source: Json = {"dataset_name": name, "source_type": "other"}
    if isinstance(task.dataset_revision, str):
        source |= {"source_type": "hf_dataset", "hf_repo": name, "samples_number": prompts}
    return {**source, "additional_details": details}


def _generation(decoding: Decoding | None, name: str) -> Json:
    """Return a decoding; what the format has no field for is written to the details."""
    if decoding is None:
        return {"additional_details": {"safebench.decoding": name}}
    values = decoding.model_dump(mode="json", exclude_none=True)
    arguments: Json = {} if decoding.do_sample else {"temperature": 0.0}
    for ours in ("temperature", "top_p", "top_k", "max_new_tokens"):
        if isinstance(values.get(ours), int | float):
            arguments["max_tokens" if ours == "max_new_tokens" else ours] = values.pop(ours)
    details = {
        f"safebench.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if not (isinstance(value, dict) and set(value) == {"not_reported"})
    }
    return {
        "generation_args": arguments,
        "additional_details": {**details, "safebench.decoding": name},
    }


def uuid_of(digest: str, name: str) -> str:
    """Return a uuid of version 4 in form, the same for the same outcomes and model."""
    return str(UUID(bytes=hashlib.sha256(f"{digest}/{name}".encode()).digest()[:16], version=4))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _lost(writer: _Writer) -> Iterator[str]:
    submission = writer.submission
    yield "changes from base: the format has scores of single models, and no differences"
    yield "hyperparameters, training data and the scheme of seeds: link the card"
    yield "what surrounds a prompt (system prompt, examples, attack), environment, calibrations"
    yield "generation seed and number of tokens of single responses"
    if any(s.bound is not None for s in submission.results.scores):
        yield "bounds, and the shares of incoherent, truncated and blocked responses"
    failed = {"error", "not_run"} & set(encoded(submission.outcomes, "status")[1])
    if failed:
        yield f"which responses have status {' or '.join(sorted(failed))}"
    yield from writer.lost()
