"""What becomes of the fields of a log of Inspect; whatever is not named here is kept in extra."""

from __future__ import annotations

from safebench.importing.fields import Field, Fields, several

_KEPT = Field("extra")
LOG: Fields = {
    "status": Field("checked", "`success`; others are refused"),
    "invalidated": Field("refused", "where it is true: its owner does not count the log"),
    "error": Field("refused", "with a status that is not `success`"),
    "eval": Field("card", "below"),
    "plan": Field("card", "config: decoding[]; system messages of steps: checked"),
    "results": Field("checked", "total_samples; scores: what scorers old logs had; kept in extra"),
    "stats": Field("card", "judge[].id: the other model that was used; kept in extra"),
    "samples": Field("evidence", "below"),
    "reductions": Field("ignored", "they follow from the scores of samples"),
    **several("version tags metadata log_updates config_updates", _KEPT),
}
"""Fields of a log."""
EVAL: Fields = {
    "task": Field("card", "tasks[].name"),
    "task_version": Field("card", "tasks[].version"),
    "model": Field("card", "model.base.id, environment.backend"),
    "packages": Field("card", "environment.harness, environment.libraries"),
    "dataset": Field("card", "tasks[].dataset_id, available; kept in extra"),
    "config": Field("card", "tasks[].limit, where the first samples were run; kept in extra"),
    "model_args": Field("checked", "the weights that were loaded; kept in extra"),
    "model_generate_config": Field("card", "decoding[]; kept in extra"),
    "scorers": Field("card", "judge[], of those that gave scores; kept in extra"),
    "model_roles": Field("card", "judge[].id, of a scorer that asks that role; kept in extra"),
    **several(
        "eval_set_id eval_id run_id created task_id task_file task_display_name task_registry_name "
        "task_attribs task_args task_args_passed solver solver_args solver_args_passed tags "
        "sandbox model_base_url revision metadata viewer metrics",
        _KEPT,
    ),
}
"""Fields of a log's `eval`."""
IMPORTED = ("task", "task_version", "model", "packages")
"""Fields of `eval` that facts were made of in full."""

_SPEED = Field("ignored", "how requests are sent")
GENERATE: Fields = {
    "temperature": Field("card", "decoding[].temperature, do_sample"),
    **{
        name: Field("card", f"decoding[].{name}")
        for name in ("top_p", "top_k", "frequency_penalty", "presence_penalty")
    },
    "max_tokens": Field("card", "decoding[].max_new_tokens"),
    "stop_seqs": Field("card", "decoding[].stop"),
    "seed": Field("card", "seeds.generation, of each response"),
    "system_message": Field("card", "prompting.system_prompt"),
    **several(
        "max_retries timeout attempt_timeout max_connections adaptive_connections cache_prompt "
        "cache batch",
        _SPEED,
    ),
    "extra_headers": Field("ignored", "they can hold keys of access"),
    **several(
        "best_of logit_bias num_choices logprobs top_logprobs prompt_logprobs parallel_tool_calls "
        "internal_tools max_tool_output fallback_models verbosity effort reasoning_effort "
        "reasoning_mode reasoning_tokens reasoning_summary reasoning_history response_schema "
        "extra_body modalities",
        _KEPT,
    ),
}
"""Settings of Inspect's GenerateConfig; others are kept under `decoding[].extra`."""

SAMPLE: Fields = {
    "id": Field("evidence", "prompt_id"),
    "epoch": Field("evidence", "repeat"),
    "input": Field("evidence", "prompt: the last message of the user; parts but text are refused"),
    "target": Field("evidence", "target"),
    "output": Field("evidence", "response, status, new_tokens; the rest in extra"),
    "scores": Field("evidence", "verdict, score: each value a judge; what explains them in extra"),
    "score": Field("evidence", "the same, in old logs"),
    "messages": Field("checked", "what was sent: prompting.system_prompt, turns"),
    "error": Field("refused", "the response does not exist"),
    "invalidation": Field("refused", "its owner does not count the sample"),
    "model_fallbacks": Field("refused", "where another model answered"),
    "events": Field("checked", "the first call: what was sent, with which settings; in extra too"),
    "attachments": Field("checked", "texts of messages; in extra too"),
    "events_data": Field("checked", "messages that events share; in extra too"),
    "transcript": Field("checked", "events and texts of old logs; in extra too"),
    "limit": Field("extra", "and counted in a note"),
    **several(
        "choices sandbox files setup metadata store timelines model_usage role_usage started_at "
        "completed_at total_time working_time uuid error_retries turn_count token_limit "
        "token_limit_type token_limit_usage",
        _KEPT,
    ),
}
"""Fields of a sample."""
NOT_KEPT = {name for name, field in SAMPLE.items() if field.fate == "evidence"} | {
    *("messages", "error", "invalidation")
}
"""Fields of a sample that are not kept as extra."""
