"""docs/formats.md says what the readers do: of each field, and of one that no table names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safebench.importing import tables
from safebench.importing.fields import LEFT_OUT, Fields, without_secrets
from safebench.importing.inspect import fields as inspect
from safebench.importing.interface import Collected
from safebench.importing.lm_eval import fields as lm_eval
from safebench.importing.lm_eval import results as of_results
from safebench.importing.record import Record, read_record
from safebench.importing.training import adapter, trainer
from tests.importing import made
from tests.importing.make_formats import FORMATS, PAGE, page
from tests.importing.test_inspect_logs import log, read, sample

MARK = "a mark of the test"
NEW = "a_field_of_the_next_version"


def test_the_page_has_the_tables_of_the_readers() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.importing.make_formats"
    assert set(tables.MEANINGS) == set(tables.FIELDS)
    assert all(len(fields) > 2 for parts in FORMATS.values() for fields in parts.values())


def extras(facts: Iterator[Any]) -> dict[str, Any]:
    """Settings of a training that are kept."""
    return {f.place[2]: f.value for f in facts if f.place[:2] == ("hyperparameters", "extra")}


def of_adapter(folder: Path, **changes: Any) -> dict[str, Any]:
    return extras(adapter.facts(read_record(made.adapter(folder, **changes))))


def of_arguments(folder: Path, **changes: Any) -> dict[str, Any]:
    return extras(trainer.argument_facts(read_record(made.arguments(folder, **changes))))


def kept(fields: Fields) -> list[str]:
    return [*(name for name, field in fields.items() if field.fate == "extra"), NEW]


@pytest.mark.parametrize(
    ("kept_of", "fields"), [(of_adapter, adapter.PEFT), (of_arguments, trainer.ARGUMENTS)]
)
def test_a_setting_of_a_training_is_kept_unless_it_is_unused(
    kept_of: Callable[..., dict[str, Any]], fields: Fields, tmp_path: Path
) -> None:
    assert kept_of(tmp_path) == {}
    marked = dict.fromkeys(kept(fields), MARK)
    assert kept_of(tmp_path, **marked) == marked
    for nothing in (None, False, "", [], {}, {"a": None, "b": False}):
        known = {name for name, field in fields.items() if field.unused}
        blank = {name: nothing for name in kept(fields) if name not in known}
        assert kept_of(tmp_path, **blank) == {}
    for number in range(3):  # values that a library writes of itself
        written = {n: f.unused[number] for n, f in fields.items() if len(f.unused) > number}
        assert kept_of(tmp_path, **written) == {}
    ignored = [name for name, field in fields.items() if field.fate == "ignored"]
    assert kept_of(tmp_path, **dict.fromkeys(ignored, MARK)) == {}


@pytest.mark.parametrize(
    "name", ["logging_steps", "hub_strategy", "dataloader_pin_memory", "wandb_run_id", "cache_dir"]
)
def test_arguments_about_the_way_alone_are_ignored(name: str, tmp_path: Path) -> None:
    assert of_arguments(tmp_path, **{name: MARK}) == {}


def test_a_setting_with_parts_is_kept_with_all_of_them(tmp_path: Path) -> None:
    found = of_adapter(tmp_path, kasa_config={"beta": 1e-4, "gamma": 0.5}, init_lora_weights=False)
    assert found == {"kasa_config": "beta: 0.0001, gamma: 0.5", "init_lora_weights": False}
    assert of_adapter(tmp_path, init_lora_weights=True) == {}


def test_keys_of_access_are_kept_nowhere(tmp_path: Path) -> None:
    assert of_arguments(tmp_path, extra_loader={"token": "hf_1", "size": 2}, hub_token="hf_1") == {
        "extra_loader": f"token: {LEFT_OUT}, size: 2"
    }
    data = {
        "a": [{"api_key": "k", "max_tokens": 5, "eos_token": "</s>"}],
        "extra_headers": {"A": 1},
    }
    found = {"a": [{"api_key": LEFT_OUT, "max_tokens": 5, "eos_token": "</s>"}]}
    assert without_secrets(data) == {**found, "extra_headers": LEFT_OUT}


def test_results_of_lm_eval(tmp_path: Path) -> None:
    def read_results(**changes: Any) -> tuple[list[Any], dict[str, Any]]:
        record: Record = read_record(made.results(tmp_path, **changes))
        facts = list(of_results.facts(record))
        return facts, of_results.left_over(record, facts)

    tables = {"config": lm_eval.CONFIG, "task": lm_eval.TASK}
    more = {part: dict.fromkeys(kept(fields), MARK) for part, fields in tables.items()}
    marks = dict.fromkeys({*kept(lm_eval.RESULTS)} - {"results", "group_subtasks"}, MARK)
    facts, rest = read_results(**marks, **more)
    assert marks.items() <= rest.items()
    assert more["config"].items() <= rest["config"].items()
    assert more["task"].items() <= rest["configs"]["harm"].items()
    for inside, fields in (("", lm_eval.RESULTS), ("config.", lm_eval.CONFIG)):
        for name, field in fields.items():
            if field.fate == "card" and name not in ("config", "configs", "chat_template_sha"):
                assert any(f"{inside}{name}" in fact.key for fact in facts), name


def read_log(folder: Path, config: dict[str, Any], **more: dict[str, Any]) -> Collected:
    data = log(sample(**more.get("sample", {})), **more.get("log", {}))
    data["eval"] |= {
        "model_generate_config": {"temperature": 0.7, **config},
        **more.get("eval", {}),
    }
    return read(folder, data)


def test_a_log_of_inspect(tmp_path: Path) -> None:
    parts = {"log": inspect.LOG, "eval": inspect.EVAL, "sample": inspect.SAMPLE}
    marks = {p: {key: {"is": MARK} for key in kept(fields)} for p, fields in parts.items()}
    found = read_log(tmp_path, {}, **marks)
    rest = found.extra["log.json"]
    assert marks["log"].items() <= rest.items() and marks["eval"].items() <= rest["eval"].items()
    assert marks["sample"].items() <= found.samples[0].extra.items()


def test_settings_of_generation_of_inspect(tmp_path: Path) -> None:
    def decoding(**config: Any) -> dict[str, Any]:
        found = read_log(tmp_path, config)
        return {f.place[2]: f.value for f in found.facts if f.place[0] == "decoding"}

    usual = decoding()
    marks = dict.fromkeys(kept(inspect.GENERATE), MARK)
    assert decoding(**marks)["extra"] == marks
    ignored = [name for name, field in inspect.GENERATE.items() if field.fate == "ignored"]
    assert decoding(**dict.fromkeys(ignored, MARK)) == usual
