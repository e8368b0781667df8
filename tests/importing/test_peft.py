"""An adapter's folder, as peft writes it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from safebench.errors import InteropError
from safebench.importing.draft.start import CardBasics
from safebench.importing.facts import Absent
from tests.importing.made import COMMIT, adapter, draft, read, values

HYP = "hyperparameters"
LORA = (HYP, "lora")


def test_a_lora_adapter(tmp_path: Path) -> None:
    adapter(tmp_path)
    found = read(tmp_path)
    said = values(found)
    assert said["model", "base", "id"] == "example/Base-1B"
    assert said["model", "base", "revision"] == COMMIT
    assert said[HYP, "method"] == "lora"
    assert {place[2]: value for place, value in said.items() if place[:2] == LORA} == {
        "r": 8,
        "alpha": 16,
        "dropout": 0.05,
        "bias": "none",
        "rslora": False,
        "target_modules": ["q_proj", "v_proj"],  # sorted: peft writes a set
    }
    assert found.filled[*LORA, "r"].comment == "adapter_config.json: r"
    assert said["model", "weights", "000000", "sha256"] == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(
    ("changes", "place", "value"),
    [
        ({"use_dora": True}, (HYP, "method"), "dora"),
        ({"use_rslora": True}, (*LORA, "rslora"), True),
        ({"bias": "lora_only"}, (*LORA, "bias"), "lora_only"),
        ({"target_modules": "all-linear"}, (*LORA, "target_modules"), "all-linear"),
        ({"modules_to_save": ["lm_head"]}, (HYP, "extra", "modules_to_save"), "lm_head"),
        ({"rank_pattern": {"q": 4}}, (HYP, "extra", "rank_pattern"), "q: 4"),
        ({"init_lora_weights": "olora"}, (HYP, "extra", "init_lora_weights"), "olora"),
    ],
)
def test_what_an_adapter_can_have(
    changes: dict[str, Any], place: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    adapter(tmp_path, **changes)
    assert values(read(tmp_path))[place] == value
    assert draft(tmp_path).report.errors == 0


def test_a_pattern_is_not_a_list_of_names(tmp_path: Path) -> None:
    adapter(tmp_path, target_modules=r".*\.(q|v)_proj")
    found = values(read(tmp_path))[*LORA, "target_modules"]
    assert isinstance(found, Absent)
    assert "pattern" in found.reason
    assert "hyperparameters.lora.target_modules" in str(draft(tmp_path).report.missing_for_next)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 8, "prompt_tuning_init": "RANDOM"},
            {"kind": "prompt", "virtual_tokens": 8, "init": "random"},
        ),
        (
            {
                "peft_type": "PROMPT_TUNING",
                "num_virtual_tokens": 8,
                "prompt_tuning_init": "TEXT",
                "prompt_tuning_init_text": "Answer kindly:",
            },
            {"kind": "prompt", "virtual_tokens": 8, "init": "Answer kindly:"},
        ),
        (
            {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 20},
            {"kind": "prefix", "virtual_tokens": 20},
        ),
        (
            {"peft_type": "P_TUNING", "num_virtual_tokens": 20},
            {"kind": "ptuning", "virtual_tokens": 20},
        ),
    ],
)
def test_trained_prompts(changes: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    adapter(tmp_path, **changes)
    said = values(read(tmp_path))
    assert said[HYP, "method"] == "prompt"
    found = {place[2]: value for place, value in said.items() if place[:2] == (HYP, "prompt")}
    assert found == expected
    assert draft(tmp_path).report.errors == 0


def test_a_method_outside_the_standard_is_named(tmp_path: Path) -> None:
    adapter(tmp_path, peft_type="IA3")
    with pytest.raises(InteropError, match=r"adapter_config.json: `peft_type` is 'IA3'; a card"):
        read(tmp_path)


@pytest.mark.parametrize(
    "stated", ["/home/someone/models/Base-1B", "~/models/Base-1B/", r"C:\models\Base-1B"]
)
def test_a_path_of_a_machine_keeps_its_last_part(stated: str, tmp_path: Path) -> None:
    adapter(tmp_path, base_model_name_or_path=stated, revision=None)
    found = read(tmp_path).filled["model", "base", "id"]
    assert found.value == "Base-1B"
    assert "last part of a path on another machine" in found.comment
    text = draft(tmp_path).text
    assert "someone" not in text and "models" not in text


def test_a_path_into_the_hubs_cache_names_model_and_commit(tmp_path: Path) -> None:
    cache = f"/home/somebody/.cache/huggingface/hub/models--example--Base-1B/snapshots/{COMMIT}"
    adapter(tmp_path, base_model_name_or_path=cache, revision=None)
    said = values(read(tmp_path))
    assert said["model", "base", "id"] == "example/Base-1B"
    assert said["model", "base", "revision"] == COMMIT


def test_a_branch_is_written_and_is_an_error_of_the_card(tmp_path: Path) -> None:
    adapter(tmp_path, revision="main")
    made = draft(tmp_path)
    assert "revision: main" in made.text
    assert "40-digit commit" in made.text
    assert [f.rule for f in made.report.findings if f.severity == "error"] == ["SB-MOD-002"]


def test_a_hub_id_without_a_revision_is_marked(tmp_path: Path) -> None:
    adapter(tmp_path, revision=None)
    made = draft(tmp_path)
    assert made.report.errors == 0
    assert any("report model.base.revision" in one for one in made.report.missing_for_next)


def test_qlora_is_what_the_person_or_the_arguments_say(tmp_path: Path) -> None:
    adapter(tmp_path)
    said = values(read(tmp_path, basics=CardBasics(method="qlora")))
    assert said[HYP, "method"] == "qlora"
    assert said[*LORA, "r"] == 8
    assert draft(tmp_path, basics=CardBasics(method="qlora")).report.errors == 0


@pytest.mark.parametrize("method", ["none", "full", "dora", "prompt"])
def test_a_method_that_contradicts_the_adapter_is_refused(method: Any, tmp_path: Path) -> None:
    adapter(tmp_path)
    with pytest.raises(InteropError, match=r"method: two sources differ") as raised:
        read(tmp_path, basics=CardBasics(method=method))
    assert f"--method is '{method}'" in str(raised.value)
    assert "adapter_config.json: peft_type is 'lora'" in str(raised.value)


def test_weights_that_are_not_beside_their_configuration(tmp_path: Path) -> None:
    adapter(tmp_path, weights=None)
    found = values(read(tmp_path))["model", "weights", "000000", "sha256"]
    assert isinstance(found, Absent)
    assert draft(tmp_path).report.errors == 0
