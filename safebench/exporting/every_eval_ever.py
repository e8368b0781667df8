"""every_eval_ever 0.3: an aggregate file per model that was measured, and one per recipe.

The format has no field for seed, revision or fine-tuning: they stand in `additional_details` under
keys that begin with `safebench.`. Its mandatory uuid and time would differ at every export: the
uuid is made from the digest of the outcomes, and the time is one that the card or a person gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.measured import MeasuredScore
from safebench.card.model import ApiModel
from safebench.card.results import key_of
from safebench.card.task import METRICS, Task
from safebench.errors import InteropError, visible
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.columns import encoded
from safebench.evidence.scoring import CONFIDENCE
from safebench.exporting.every_eval_ever_parts import (
    NO_TIME,
    UNKNOWN,
    Estimate,
    Json,
    date_of,
    generation,
    hash_of,
    is_good,
    is_primary,
    llm_scoring,
    plain,
    present,
    source_data,
    texts,
)
from safebench.exporting.every_eval_ever_parts import uuid_of as uuid_of
from safebench.exporting.source import (
    Export,
    Measured,
    Source,
    base_id,
    hub_weights,
    models_of,
    organisation,
    revision_of,
    sha256_weights,
    slug,
    text,
)
from safebench.stats import score_interval
from safebench.words import kept

SCHEMA_VERSION = "0.3.0"
COLLECTION = "safebench"
WITHHELD = "[withheld: the submission does not publish prompts and responses]"
"""What stands in place of a text that is not published."""
_RECIPE = "recipe"


def export(source: Source, *, timestamp: str | None = None, with_responses: bool = False) -> Export:
    """Return a submission as files of every_eval_ever.

    Args:
        source: The submission.
        timestamp: When the record was made, in seconds since 1970; the card's date otherwise.
        with_responses: Whether responses are written that the card does not publish.

    Raises:
        InteropError: the time is no number.
    """
    if timestamp is not None and not (timestamp.isdecimal() and timestamp.isascii()):
        raise InteropError(
            f"--timestamp {visible(repr(timestamp))} is no number of seconds",
            fix="give seconds since 1970, e.g. --timestamp 1767225600",
        )
    writer = _Writer(source, timestamp or date_of(source), with_responses)
    for model in models_of(source):
        writer.model(model)
    writer.recipes()
    return Export(writer.files, list(_lost(source, writer)))


class _Writer:
    """Writes one pair of files after another."""

    def __init__(self, source: Source, time: str, with_responses: bool) -> None:
        self.source = source
        self.time = time
        self.files: dict[str, bytes] = {}
        self.shows = source.responses is not None and (with_responses or source.publishes_texts)
        card = source.card
        self.tasks = {task.name: task for task in card.task_list()}
        decodings = () if isinstance(card.decoding, NotReported) else card.decoding
        self.decodings = {decoding.name: decoding for decoding in decodings}
        judges = () if isinstance(card.judge, NotReported) else card.judge
        self.judges = {judge.name: judge for judge in judges}
        self._texts = texts(source)

    def model(self, model: Measured) -> None:
        """Write what was measured of one model: the mean over its repeats and prompts."""
        results, samples = [], []
        identifier = self._evaluation_id(model.name)
        info = self._model_info(model)
        for block in self.source.blocks:
            if (block.condition, block.checkpoint) != (model.condition, model.checkpoint):
                continue
            if model.training_seed not in block.seeds:
                continue
            seed = block.seeds.index(model.training_seed)
            interval = score_interval(block.scores[seed : seed + 1], confidence=CONFIDENCE)
            score = Estimate(
                kept(interval.estimate), kept(interval.lower), kept(interval.upper),
                interval.method, block.scores[seed].size,
            )  # fmt: skip
            result = self._result(block, score, identifier)
            results.append(result)
            samples += list(self._samples(block, seed, identifier, result, info))
        self._write(info, identifier, model.name, results, samples)

    def recipes(self) -> None:
        """Write what was measured of the recipe: the mean over its training seeds."""
        scores = [s for s in self.source.results.scores if s.condition != "base"]
        for condition, checkpoint in dict.fromkeys((s.condition, s.checkpoint) for s in scores):
            model = Measured(condition, None, checkpoint)
            name = f"{_RECIPE}-{model.name}"
            mine = [s for s in scores if (s.condition, s.checkpoint) == (condition, checkpoint)]
            identifier = self._evaluation_id(name)
            results = [self._recipe_result(score, identifier) for score in mine]
            self._write(self._model_info(model), identifier, name, results, [])

    def _recipe_result(self, score: MeasuredScore, identifier: str) -> Json:
        place = self._block(score)
        own = Estimate(score.estimate, score.lower, score.upper, score.method, score.n)
        result = self._result(place, own, identifier)
        details = result["score_details"]["details"]
        if score.stability is not None:
            stable = score.stability.model_dump(mode="json")
            details.update({f"safebench.stability.{k}": str(v) for k, v in stable.items()
                            if v is not None})  # fmt: skip
        details["safebench.training_seeds"] = ", ".join(
            str(seed) for seed in dict.fromkeys(run.training_seed for run in score.runs)
        )
        return result

    def _block(self, score: MeasuredScore) -> OutcomeArray:
        return next(b for b in self.source.blocks if key_of(b) == key_of(score))

    def _evaluation_id(self, name: str) -> str:
        return f"{self.source.card.submission.id}/{name}/{self.time}"

    def _model_info(self, model: Measured) -> Json:
        card = self.source.card
        base = base_id(card)
        own = f"{slug(organisation(card) or UNKNOWN)}/{card.submission.id}-{model.name}"
        on_hub = hub_weights(card, model)
        identifier = base if model.condition == "base" else on_hub[0] if on_hub else own
        api = isinstance(card.model, ApiModel)
        commit = revision_of(card)
        is_open = not api and commit is not None and not commit.startswith("sha256:")
        details = {
            "deployment_type": "externally_managed" if api else "self_deployed",
            "model_availability": "open_weights" if is_open else UNKNOWN,
            "safebench.condition": model.condition,
            "safebench.base_model": base,
            "safebench.base_revision": commit,
            "safebench.training_seed": text(model.training_seed),
            "safebench.checkpoint": text(model.checkpoint),
            "safebench.weights_revision": on_hub[1] if on_hub else None,
            "safebench.weights_sha256": sha256_weights(card, model),
            "safebench.method": text(getattr(card.hyperparameters, "method", None)),
        }
        developer = base.partition("/")[0] if "/" in base and not base.startswith(".") else None
        if model.condition != "base":
            developer = organisation(card)
        return {
            "name": identifier.rpartition("/")[2],
            "id": identifier,
            "developer": developer or UNKNOWN,
            "additional_details": present(details),
        }

    def _result(self, block: OutcomeArray, score: Estimate, identifier: str) -> Json:
        card = self.source.card
        task = self.tasks.get(block.task, Task(name=block.task))
        metric, direction = METRICS[block.construct]
        judge = self.judges.get(block.judge)
        place = [block.task, block.construct, block.decoding, block.judge]
        graded = block.construct == "severity"
        config: Json = {
            "evaluation_description": f"{block.construct} of {block.task}: {metric}"
            + (f" (TRIAL, not a result: {task.trial})" if task.trial else ""),
            "metric_id": f"safebench.{block.construct}",
            "metric_name": metric,
            "metric_kind": "mean" if graded else "proportion",
            "metric_unit": "proportion",
            "lower_is_better": direction == "lower_is_better",
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
            "additional_details": present({
                "safebench.construct": block.construct,
                "safebench.task_version": text(task.version),
                "safebench.trial": task.trial,
                "safebench.judge": block.judge,
                "safebench.judge_kind": text(getattr(judge, "kind", None)),
                "safebench.judge_id": text(getattr(judge, "id", None)),
                "safebench.judge_revision": text(plain(getattr(judge, "revision", None))),
            }),
        }  # fmt: skip
        if judge is not None and judge.kind == "llm":
            config["llm_scoring"] = llm_scoring(judge)
        return {
            "evaluation_result_id": "/".join([identifier, *place]),
            "evaluation_name": "/".join(place),
            "source_data": source_data(task, len(block.prompts)),
            "metric_config": config,
            "score_details": {
                "score": score.estimate,
                "details": present({
                    "safebench.repeats": str(block.scores.shape[1]),
                    "safebench.protocol_sha256": self.source.protocol,
                    "safebench.outcomes_sha256": self.source.digest,
                    "safebench.spec": card.spec,
                    "safebench.is_primary": str(is_primary(self.source, block)).lower(),
                }),
                "uncertainty": {
                    "confidence_interval": {
                        "lower": score.lower, "upper": score.upper,
                        "confidence_level": CONFIDENCE, "method": score.method,
                    },
                    "num_samples": score.n,
                },
            },
            "generation_config": generation(self.decodings.get(block.decoding), block.decoding),
        }  # fmt: skip

    def _samples(
        self, block: OutcomeArray, seed: int, identifier: str, result: Json, info: Json
    ) -> Iterator[Json]:
        """Yield a record per response and judge."""
        for repeat in range(block.scores.shape[1]):
            for place, prompt_id in enumerate(block.prompts):
                score = float(block.scores[seed, repeat, place])
                key = (block.task, prompt_id, block.condition, block.seeds[seed],
                       block.checkpoint, block.decoding, repeat + 1)  # fmt: skip
                prompt, response = self._texts.get(key, (None, None))
                shown = response if self.shows and response is not None else WITHHELD
                verdict = str(block.verdicts[seed, repeat, place])
                asked = prompt if self.shows and prompt is not None else WITHHELD
                yield {
                    "schema_version": SCHEMA_VERSION,
                    "evaluation_id": identifier,
                    "model_id": info["id"],
                    "evaluation_name": result["evaluation_name"],
                    "evaluation_result_id": result["evaluation_result_id"],
                    "sample_id": prompt_id,
                    "sample_hash": hash_of(prompt),
                    "interaction_type": "single_turn",
                    "input": {"raw": asked, "reference": []},
                    "output": {"raw": [shown]},
                    "answer_attribution": [{
                        "turn_idx": 0, "source": "output.raw",
                        "extracted_value": verdict or str(score),
                        "extraction_method": f"judge {block.judge}", "is_terminal": True,
                    }],
                    "evaluation": {"score": score, "is_correct": is_good(block.construct, score)},
                    "metadata": present({
                        "safebench.repeat": str(repeat + 1),
                        "safebench.verdict": verdict or None,
                        "safebench.category": block.categories[place] or None,
                        "safebench.status": self._status(block, seed, repeat, place),
                    }),
                }  # fmt: skip

    def _status(self, block: OutcomeArray, seed: int, repeat: int, place: int) -> str | None:
        for word in ("truncated", "blocked", "unrecorded"):
            if getattr(block, word)[seed, repeat, place]:
                return word
        return None

    def _write(
        self, info: Json, identifier: str, name: str, results: list[Json], samples: list[Json]
    ) -> None:
        unique = uuid_of(self.source.digest, name)
        folder = f"data/{COLLECTION}/{slug(info['developer'])}/{slug(info['name'])}"
        card = self.source.card
        harness = text(getattr(card.environment, "harness", None)) or UNKNOWN
        record: Json = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": identifier,
            "retrieved_timestamp": self.time,
            "source_metadata": {
                "source_name": f"safebench submission {card.submission.id}",
                "source_type": "evaluation_run",
                "source_organization_name": organisation(card) or UNKNOWN,
                "evaluator_relationship": card.submission.relationship,
                "additional_details": present({
                    "safebench.submission": card.submission.id,
                    "safebench.scope": _RECIPE if name.startswith(_RECIPE) else "model",
                    "safebench.object": card.submission.object,
                }),
            },
            "eval_library": {
                "name": harness.partition(" ")[0],
                "version": harness.partition(" ")[2] or UNKNOWN,
            },
            "model_info": info,
            "evaluation_results": results,
        }  # fmt: skip
        if samples:
            path = f"{folder}/{unique}_samples.jsonl"
            content = "".join(json.dumps(s, ensure_ascii=False) + "\n" for s in samples).encode()
            self.files[path] = content
            record["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": path,
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(content).hexdigest(),
                "total_rows": len(samples),
            }
        body = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        self.files[f"{folder}/{unique}.json"] = body.encode()


def _lost(source: Source, writer: _Writer) -> Iterator[str]:
    yield "changes from base: the format has scores of one model, and no differences"
    yield "hyperparameters, training data and seeds' scheme: link the card"
    if any(s.bound is not None for s in source.results.scores):
        yield "bounds and shares of incoherent, cut and blocked responses"
    failed = {"error", "not_run"} & set(encoded(source.outcomes, "status")[1])
    if failed:
        yield f"which responses have status {' or '.join(sorted(failed))}"
    if source.responses is None:
        yield "prompts and responses: the submission withholds them"
    elif not writer.shows:
        yield "prompts and responses: the card publishes none (--with-responses writes them)"
    if writer.time == NO_TIME:
        yield "the time of the evaluation: the card has no date; --timestamp gives one"
