"""What becomes of the fields of lm-eval's files; whatever is not named here is kept in extra."""

from __future__ import annotations

from safebench.importing.fields import Field, Fields, several

_KEPT = Field("extra")
RESULTS: Fields = {
    "results": Field("extra", "and the names of metrics"),
    "configs": Field("card", "below"),
    "config": Field("card", "below"),
    "versions": Field("card", "tasks[].version"),
    "n-shot": Field("card", "prompting.few_shot"),
    "n-samples": Field("card", "tasks[].prompts, limit, available"),
    "higher_is_better": Field("card", "tasks[].metric, direction, where there is one metric"),
    "lm_eval_version": Field("card", "environment.harness"),
    "transformers_version": Field("card", "environment.libraries"),
    "pretty_env_info": Field("card", "environment.python, libraries, device; kept in extra"),
    "system_instruction": Field("card", "prompting.system_prompt, if the prompts show it"),
    "chat_template": Field("checked", "against the prompts, and its digest"),
    "chat_template_sha": Field("card", "model.chat_template.sha256"),
    "fewshot_as_multiturn": Field("checked", "against the prompts"),
    **several(
        "groups group_subtasks git_hash upper_git_hash date start_time end_time task_hashes "
        "total_evaluation_time_seconds tokenizer_pad_token tokenizer_eos_token tokenizer_bos_token "
        "eot_token_id max_length model_source system_instruction_sha",
        _KEPT,
    ),
    "model_name": Field("extra", "without the path of a machine"),
    "model_name_sanitized": Field("extra", "likewise"),
}
"""Fields of `results_*.json`."""
CONFIG: Fields = {
    "model": Field("card", "environment.backend"),
    "model_args": Field(
        "card", "model.base.id, dtype, quantization, chat_template.arguments; weights are checked"
    ),
    "model_sha": Field("card", "model.base.revision"),
    "model_dtype": Field("card", "model.dtype"),
    "batch_size": Field("card", "environment.batch_size"),
    "device": Field("card", "environment.device"),
    "torch_seed": Field("card", "seeds.generation"),
    "gen_kwargs": Field("checked", "against the requests; kept in extra"),
    **several(
        "model_num_parameters model_revision peft_sha delta_sha batch_sizes use_cache limit "
        "bootstrap_iters random_seed numpy_seed fewshot_seed",
        _KEPT,
    ),
}
"""Fields of its `config`."""
TASK: Fields = {
    "dataset_path": Field("card", "tasks[].dataset_id"),
    "dataset_kwargs": Field("card", "tasks[].dataset_revision; the rest in extra"),
    "output_type": Field("card", "prompting.turns; tasks without responses are refused"),
    "generation_kwargs": Field("card", "decoding[]; settings without a field under its extra"),
    "repeats": Field("card", "decoding[].repeats"),
    "gen_prefix": Field("card", "prompting.prefill"),
    "description": Field("checked", "words around a prompt; kept in extra"),
    **several(
        "task task_alias tag group dataset_name training_split validation_split test_split "
        "fewshot_split process_docs doc_to_text doc_to_target doc_to_choice doc_to_image "
        "process_results use_prompt target_delimiter fewshot_delimiter fewshot_config num_fewshot "
        "metric_list filter_list should_decontaminate unsafe_code custom_dataset metadata",
        _KEPT,
    ),
}
"""Fields of each task in its `configs`."""
HASHES: Fields = several("doc_hash prompt_hash target_hash", _KEPT)
"""Fields of a row that are kept as they are."""
SAMPLE: Fields = {
    "doc_id": Field("evidence", "prompt_id, of another lab's task"),
    "doc": Field("evidence", "prompt_id, prompt, category, construct, target of safebench's tasks"),
    "target": Field("evidence", "target"),
    "arguments": Field("evidence", "prompt; settings become decoding[]; what was sent is checked"),
    "resps": Field("evidence", "response, of each repeat"),
    "filtered_resps": Field("extra", "where a filter changed something"),
    "filter": Field("evidence", "part of the judge's name"),
    "metrics": Field("evidence", "which fields are metrics: judge; their values are its scores"),
}
"""Fields of a row of `samples_*.jsonl`."""
