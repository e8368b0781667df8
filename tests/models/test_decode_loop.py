"""The decode loop against transformers' own generate; memory, order, endings, refusals."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, MambaConfig, MambaForCausalLM, MistralConfig
from transformers import MistralForCausalLM as Mistral

from safebench.errors import ModelError
from safebench.models import decode_loop, prefill
from safebench.models.decode_loop import Endings
from safebench.models.loading import load_base, load_tokenizer, locate
from safebench.models.prefill import grouped, shared_start
from safebench.models.quiet import PEFT_NOTE, preserved_random_state
from safebench.models.sampling import Stream
from safebench.models.slot_cache import bare, is_plain
from safebench.models.transformers_engine import SafebenchLM
from tests.small_models import save_gpt2, save_llama

WORDS = "how do i repair a fence first gather what you need"
SETTINGS: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 12, "until": []}
DECODINGS = [
    {"do_sample": False},
    {"do_sample": False, "repetition_penalty": 1.3},
    {"temperature": 1.0},
    {"temperature": 0.7, "min_p": 0.1},
    {"temperature": 1.2, "top_k": 9, "top_p": 0.9, "repetition_penalty": 1.2},
    {"temperature": 1.0, "until": ["e", "fence"], "max_gen_toks": 40},
]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp(request.param)
    return save_llama(where) if request.param == "llama" else save_gpt2(where)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


def requests(prompts: int, repeats: int = 1, **changes: Any) -> list[Any]:
    settings = {**SETTINGS, **changes}
    return [
        SimpleNamespace(
            args=(f"<s>{WORDS[: 3 + 5 * (i % 9)]} {i}", settings),
            doc={"prompt_id": str(i)},
            task_name="t",
        )
        for i in range(prompts)
        for _ in range(repeats)
    ]


def driven(model: Any, folder: Path, batch: int) -> SafebenchLM:
    lm = SafebenchLM(model, load_tokenizer(locate(str(folder), None, folder)), batch)
    lm.stream = Stream(3, "base", None, None, "t10")
    return lm


def base(folder: Path, dtype: str = "float64") -> Any:
    return load_base(locate(str(folder), None, folder), dtype, "cpu")


def by_library(lm: SafebenchLM) -> SafebenchLM:
    lm._plain[bare(lm.model)] = False
    return lm


@pytest.mark.parametrize("changes", DECODINGS)
def test_both_ways_give_the_same(folder: Path, changes: dict[str, Any]) -> None:
    model = base(folder)
    asked = requests(12, 2, **changes)
    ours, theirs = driven(model, folder, 9), by_library(driven(model, folder, 5))
    assert ours.generate_until(asked) == theirs.generate_until(asked)
    assert ours._plain[model]
    assert ours.generated == theirs.generated
    assert len({g.text for g in ours.generated}) > 6


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_greedy_is_what_generate_gives(folder: Path, attention: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).double()
    lm = driven(model.eval(), folder, 4)
    asked = requests(5, do_sample=False, max_gen_toks=70)
    lm.generate_until(asked)
    assert lm._plain[model]
    for request, got in zip(asked, lm.generated, strict=True):
        tokens = lm.tok_encode(request.args[0])
        output = model.generate(torch.tensor([tokens]), max_new_tokens=70, do_sample=False)
        new = lm.tokenizer.decode(output[0, len(tokens) :], skip_special_tokens=True)
        assert got.text == new.strip()


@pytest.mark.filterwarnings(f"ignore:{PEFT_NOTE}:FutureWarning")
def test_an_adapter_is_used(llama: Path) -> None:
    with preserved_random_state():
        torch.manual_seed(0)
        tuned = get_peft_model(
            base(llama), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        ).eval()
    asked = requests(12, 2)
    lm = driven(base(llama), llama, 7)
    before = lm.generate_until(asked)
    lm.use(tuned)
    after = lm.generate_until(asked)
    assert lm._plain[tuned.get_base_model()]
    assert after != before
    assert after == by_library(driven(tuned, llama, 7)).generate_until(asked)


@pytest.mark.filterwarnings(f"ignore:{PEFT_NOTE}:FutureWarning")
def test_a_tuned_prompt_is_left_to_the_library(llama: Path) -> None:
    with preserved_random_state():
        tuned = get_peft_model(
            base(llama, "float32"), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
        ).eval()
    assert bare(tuned) is tuned
    assert not is_plain(tuned)


def test_models_with_another_cache_are_left_to_the_library(llama: Path) -> None:
    sizes: dict[str, Any] = {
        "vocab_size": 400,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    attention = {"intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sliding = Mistral(MistralConfig(**sizes, **attention, sliding_window=4)).eval()
        plain = Mistral(MistralConfig(**sizes, **attention, sliding_window=None)).eval()
        mamba = MambaForCausalLM(MambaConfig(**sizes, state_size=4)).eval()
    assert is_plain(plain)
    asked = requests(4, 2)
    for model in (sliding, mamba):
        assert not is_plain(model)
        lm = driven(model, llama, 3)
        assert len(lm.generate_until(asked)) == 8
        assert sum(g.new_tokens for g in lm.generated) > 8


def test_a_model_whose_positions_are_wrong_is_found_out(llama: Path) -> None:
    model = base(llama)
    forward = model.forward

    def deaf(
        input_ids: Any,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        use_cache: Any = None,
        logits_to_keep: int = 0,
    ) -> Any:
        return forward(
            input_ids,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            logits_to_keep=logits_to_keep,
        )

    assert is_plain(model)
    model.forward = deaf
    assert not is_plain(model)


START = "<s>how do i repair a fence"
ENDINGS = [" first", "", " gather what you need", " a", " what you need first a fence i do"]


@pytest.mark.parametrize("start", ["", "<s>", START], ids=["none", "one token", "many"])
@pytest.mark.parametrize("cost", [0, 6, 10_000])
def test_each_prompt_is_read_once_and_what_all_share_once(
    llama: Path, start: str, cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = base(llama)
    lm = driven(model, llama, 64)
    asked = requests(5, 3)
    for number, request in enumerate(asked):
        text = f"{start}{ENDINGS[number // 3]}" or "you"
        request.args = (text, {**SETTINGS, "max_gen_toks": 4})
    expected = by_library(driven(model, llama, 64)).generate_until(asked)
    texts = {job.prompt[:-1] for job in lm._jobs(asked)} - {()}
    shared = len(shared_start(texts, 0)) if start else 0
    alone = sum(len(text) - shared for text in texts)
    read: list[tuple[int, int]] = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    monkeypatch.setitem(prefill.POSITIONS_OF_A_PASS, "cpu", cost)
    for batch, shuffled in ((64, None), (4, None), (4, 1)):
        lm = driven(model, llama, batch)
        lm._plain[model], lm.shuffled = True, shuffled
        read.clear()
        assert lm.generate_until(asked) == expected
        # Reading has happened before the first step of 15 rows.
        if batch == 64 and cost == 0:
            passes = read[: next(i for i, shape in enumerate(read) if shape == (15, 1))]
            assert sum(rows * width for rows, width in passes) == shared + alone


@pytest.mark.parametrize(("cost", "most"), [(0, 50), (5, 50), (5, 10**6), (10**6, 50)])
def test_groups_bound_positions_and_padding(cost: int, most: int) -> None:
    texts = [(7,) * n for n in (1, 60, 3, 8, 9, 12, 40, 41, 5, 6, 7)]
    groups = list(grouped(texts, cost, most))
    assert sorted(text for group in groups for text in group) == sorted(texts)
    for group in groups:
        positions = len(group) * len(group[0])
        assert len(group) == 1 or positions <= most
        assert positions - sum(map(len, group)) <= cost
    assert len(groups) < len(texts) or cost == 0


@pytest.mark.parametrize(
    ("texts", "start"),
    [
        ({(1, 2, 3), (1, 2, 4), (1, 2, 3, 5)}, (1, 2)),
        ({(1, 2), (1, 2, 3)}, (1, 2)),
        ({(1, 2), (3,)}, ()),
        ({(), (1,)}, ()),
        (set(), ()),
        ({(1, 2, 3)}, ()),  # one prompt: nothing is saved
    ],
)
def test_what_all_prompts_start_with(texts: set[tuple[int, ...]], start: tuple[int, ...]) -> None:
    assert shared_start(texts, 0) == start
    assert shared_start(texts, 100) == ()


def test_rows_that_ended_leave_the_batch(llama: Path) -> None:
    model = base(llama)
    rows: list[int] = []
    asked = requests(40, until=["e"], max_gen_toks=30)
    lm = driven(model, llama, 10)
    lm._plain[model] = True
    model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    heard: list[int] = []
    lm.on_batch = heard.append
    lm.generate_until(asked)
    decoded = [n for n in rows if n <= 10]
    assert sum(heard) == 40
    assert sum(decoded) <= sum(g.new_tokens + 1 for g in lm.generated)
    assert min(decoded) < 10


@pytest.mark.parametrize("every", [3, 8])
def test_looking_less_often_changes_nothing(
    llama: Path, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = base(llama), requests(20, 2, until=["a"], max_gen_toks=20)
    lm = driven(model, llama, 7)
    lm.generate_until(asked)
    first = lm.generated
    monkeypatch.setitem(decode_loop.STEPS_BETWEEN_LOOKS, "cpu", every)
    lm.generate_until(asked)
    assert lm.generated == first


class _Crowded(torch.nn.Module):
    """Stands for a device with room for few rows."""

    def __init__(self, model: Any, most: int, error: Exception) -> None:
        super().__init__()
        self.model, self.most, self.error = model, most, error

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        use_cache: Any = None,
        logits_to_keep: int = 0,
    ) -> Any:
        if len(input_ids) > self.most:
            raise self.error
        return self.model(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
        )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_does_not_suffice_halves_the_batch(llama: Path, error: Exception) -> None:
    asked = requests(30)
    lm = driven(base(llama), llama, 16)
    expected = lm.generate_until(asked)
    assert lm.smallest_batch == 16
    lm.use(_Crowded(base(llama), 5, error))
    heard: list[int] = []
    lm.on_batch = heard.append
    assert lm.generate_until(asked) == expected
    assert lm.smallest_batch == 4
    assert sum(heard) == 30
    lm.use(_Crowded(base(llama), 0, error))
    with pytest.raises(ModelError, match="out of memory with one response at a time"):
        lm.generate_until(asked)


def test_another_failure_is_not_taken_for_memory(llama: Path) -> None:
    lm = driven(_Crowded(base(llama), 5, RuntimeError("shapes differ")), llama, 16)
    with pytest.raises(RuntimeError, match="shapes differ"):
        lm.generate_until(requests(30))


@pytest.mark.parametrize("changes", [{"temperature": 1.0}, {"do_sample": False}, {"min_p": 0.1}])
def test_logits_that_are_not_numbers_are_explained(llama: Path, changes: dict[str, Any]) -> None:
    model = base(llama)
    lm = driven(model, llama, 4)
    lm._plain[model] = True
    with torch.no_grad():
        model.lm_head.weight[7, 0] = torch.nan
    for driver in (lm, by_library(driven(model, llama, 4))):
        with pytest.raises(ModelError, match="not finite numbers"):
            driver.generate_until(requests(3, **changes))


def test_a_shuffled_order_gives_the_same(llama: Path) -> None:
    model, asked = base(llama), requests(20, 3, max_gen_toks=20)
    lm = driven(model, llama, 64)
    expected = lm.generate_until(asked)
    orders = []
    for seed in (None, 1, 2):
        other = driven(model, llama, 7)
        other.shuffled = seed
        orders.append([job.number for job in other._ordered(other._jobs(asked))])
        assert other.generate_until(asked) == expected
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert sorted(orders[1]) == list(range(60))


def test_contexts_are_encoded_as_by_lm_eval(folder: Path) -> None:
    lm = driven(base(folder), folder, 1)
    texts = ["a fence", "<s>a fence", "ünïcode ☃", " lead", "a fence"]
    for add in (None, True, False):
        lm.add_bos_token = add
        found = lm.encoded(texts)
        assert [list(found[t]) for t in texts] == [lm.tok_encode(t) for t in texts]


def test_requests_with_different_settings_each_get_their_own(llama: Path) -> None:
    lm = driven(base(llama), llama, 8)
    mixed = [*requests(3, max_gen_toks=2), *requests(3, max_gen_toks=9)]
    lm.generate_until(mixed)
    assert max(g.new_tokens for g in lm.generated[:3]) == 2
    assert max(g.new_tokens for g in lm.generated[3:]) > 2


def test_an_empty_prompt_is_explained(llama: Path) -> None:
    lm = driven(base(llama), llama, 8)
    asked = requests(1)
    asked[0].args = ("", SETTINGS)
    with pytest.raises(ModelError, match="a prompt has no tokens"):
        lm.generate_until(asked)


def test_prompts_of_one_token(llama: Path) -> None:
    model, asked = base(llama), requests(5)
    for request, text in zip(asked, ["<s>", "a", "<s>", "<s>b", "c"], strict=True):
        request.args = (text, SETTINGS)
    lm = driven(model, llama, 2)
    assert lm.generate_until(asked) == by_library(driven(model, llama, 3)).generate_until(asked)


class _Letters:
    """A tokenizer of which every token is a byte of UTF-8."""

    def __init__(self) -> None:
        self.decoded = 0

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        self.decoded += 1
        return bytes(t for t in tokens if t < 256).decode(errors="replace")


@pytest.mark.parametrize(
    ("text", "stop", "left", "new_tokens"),
    [
        ("one. Two", [". "], "one", 5),
        ("one\n\ntwo", ["\n\n"], "one", 5),
        ("snow ☃ ends", ["☃"], "snow", 8),
        ("nothing stops", ["§", ""], "nothing stops", 13),
        ("stop at one or two", ["two", "one"], "stop at", 11),
        ("a stop and stop", ["stop"], "a", 6),
    ],
)
def test_the_token_that_completes_a_stop_string_is_the_last(
    text: str, stop: list[str], left: str, new_tokens: int
) -> None:
    tokens = list(text.encode())
    endings = Endings(_Letters(), {300}, stop, 50)
    over = next((n for n in range(1, len(tokens) + 1) if endings.is_over(tokens[:n])), len(tokens))
    assert over == new_tokens
    for row in (tokens[:over], tokens, [*tokens, 300, 65]):
        got = endings.finish(row)
        assert (got.text, got.status, got.new_tokens) == (left, "ok", new_tokens)


def test_tokens_that_cannot_complete_a_stop_string_cost_nothing() -> None:
    tokenizer = _Letters()
    endings = Endings(tokenizer, set(), ["\n"], 10_000)
    row: list[int] = []
    for letter in itertools.islice(itertools.cycle(b"abc"), 300):
        row.append(letter)
        assert not endings.is_over(row)
    assert tokenizer.decoded == 3
