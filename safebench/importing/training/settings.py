"""What becomes of the settings of peft, of a trainer's arguments, and of a trainer's state."""

from __future__ import annotations

import re

from safebench.importing.fields import Field, Fields, several

_SHAPE = Field("ignored", "the shape of the base model")
_SET = Field("extra", "where it is not null, false or empty")
PEFT: Fields = {
    "peft_type": Field("card", "hyperparameters.method, hyperparameters.prompt.kind"),
    "base_model_name_or_path": Field("card", "model.base.id, model.base.revision"),
    "revision": Field("card", "model.base.revision"),
    "use_dora": Field("card", "hyperparameters.method"),
    "r": Field("card", "hyperparameters.lora.r"),
    "lora_alpha": Field("card", "hyperparameters.lora.alpha"),
    "lora_dropout": Field("card", "hyperparameters.lora.dropout"),
    "bias": Field("card", "hyperparameters.lora.bias"),
    "use_rslora": Field("card", "hyperparameters.lora.rslora"),
    "target_modules": Field("card", "hyperparameters.lora.target_modules"),
    "num_virtual_tokens": Field("card", "hyperparameters.prompt.virtual_tokens"),
    "prompt_tuning_init_text": Field("card", "hyperparameters.prompt.init"),
    "prompt_tuning_init": Field("extra", "where it is not RANDOM or TEXT", ("RANDOM", "TEXT")),
    "task_type": Field("extra", "where it is not CAUSAL_LM", ("CAUSAL_LM",)),
    "init_lora_weights": Field("extra", "where it is not true", (True,)),
    "megatron_core": Field("extra", "where it is not megatron.core", ("megatron.core",)),
    "qalora_group_size": Field("extra", "where it is not 16", (16,)),
    "encoder_reparameterization_type": Field("extra", "where it is not MLP", ("MLP",)),
    "encoder_num_layers": Field("extra", "where it is not 2", (2,)),
    "encoder_dropout": Field("extra", "where it is not 0", (0.0, 0)),
    "peft_version": Field("ignored", "the program that wrote the file"),
    "inference_mode": Field("ignored", "true in every adapter that was saved"),
    "fan_in_fan_out": Field("ignored", "how the base model keeps its matrices"),
    "auto_mapping": Field("ignored", "the class of the base model"),
    **several("token_dim num_transformer_submodules num_attention_heads num_layers", _SHAPE),
    "tokenizer_name_or_path": Field("ignored", "the base model's"),
    **several(
        "exclude_modules modules_to_save layers_to_transform layers_pattern rank_pattern "
        "alpha_pattern layer_replication target_parameters trainable_token_indices lora_bias "
        "ensure_weight_tying use_qalora use_bdlora loftq_config eva_config corda_config "
        "lora_ga_config velora_config monteclora_config kasa_config arrow_config megatron_config "
        "alora_invocation_tokens runtime_config encoder_hidden_size prefix_projection init_weights "
        "tokenizer_kwargs",
        _SET,
    ),
}
"""Fields of `adapter_config.json`."""

_PLACE = Field("ignored", "where files lie and what they are called")
_REPORT = Field("ignored", "what was logged, evaluated, saved or uploaded on the way")
_SPEED = Field("ignored", "memory and speed alone")
_HYPER = "hyperparameters"
ARGUMENTS: Fields = {
    **{
        key: Field("card", f"{_HYPER}.{field}")
        for key, field in (
            ("optim", "optimizer"),
            ("optim_args", "optimizer_args"),
            *((name, name) for name in ("adam_beta1", "adam_beta2", "adam_epsilon")),
            *((name, name) for name in ("learning_rate", "weight_decay", "max_grad_norm")),
            ("lr_scheduler_type", "lr_scheduler"),
            ("lr_scheduler_kwargs", "lr_scheduler_args"),
            ("packing", "packing"),
            ("per_device_train_batch_size", "batch_size.per_device"),
            ("gradient_accumulation_steps", "batch_size.gradient_accumulation"),
            ("num_train_epochs", "epochs"),
            ("max_steps", "steps"),
            ("warmup_steps", "warmup_steps"),
            ("warmup_ratio", "warmup_ratio"),
            *((name, "max_length") for name in ("max_length", "max_seq_length")),
            *((name, "precision") for name in ("bf16", "fp16")),
            *((f"{name}_only_loss", "loss_on") for name in ("completion", "assistant")),
            *((name, "sharding") for name in ("fsdp", "deepspeed")),
        )
    },
    "seed": Field("card", "seeds.training"),
    "data_seed": Field("card", "seeds.fixed.data_order"),
    "model_init_kwargs": Field("card", f"{_HYPER}.quantization; the rest under extra"),
    "label_smoothing_factor": Field("extra", "where it is not 0", (0.0, 0)),
    "average_tokens_across_devices": Field("extra", "where it is false", (True,)),
    "accelerator_config": Field(
        "extra",
        "where it is not accelerate's own",
        ({"even_batches": True, "use_seedable_sampler": True},),
    ),
    "fsdp_config": Field("extra", "where it sets something", ({"min_num_params": 0},)),
    "train_sampling_strategy": Field("extra", "where it is not random", ("random",)),
    "truncation_mode": Field("extra", "where it is not keep_start", ("keep_start",)),
    "packing_strategy": Field("extra", "where it is not bfd", ("bfd",)),
    "loss_type": Field("extra", "where it is not nll", ("nll",)),
    "dataset_text_field": Field("extra", "where it is not text", ("text",)),
    "eos_token": Field("extra", "where it is one", ("<EOS_TOKEN>",)),
    "pad_token": Field("ignored", "padding is masked"),
    **several(
        "chat_template_path neftune_noise_alpha optim_target_modules tf32 torch_compile "
        "use_liger_kernel liger_kernel_config auto_find_batch_size load_best_model_at_end "
        "metric_for_best_model greater_is_better ignore_data_skip full_determinism "
        "parallelism_config dataloader_drop_last resume_from_checkpoint trust_remote_code "
        "router_aux_loss_coef dataset_kwargs shuffle_dataset padding_free",
        _SET,
    ),
    **several("output_dir logging_dir run_name project length_column_name label_names", _PLACE),
    **several(
        "report_to disable_tqdm prediction_loss_only include_num_input_tokens_seen debug "
        "bf16_full_eval fp16_full_eval enable_jit_checkpoint "
        "restore_callback_states_from_checkpoint skip_memory_metrics past_index ray_scope "
        "remove_unused_columns batch_eval_metrics",
        _REPORT,
    ),
    **several(
        "gradient_checkpointing gradient_checkpointing_kwargs activation_checkpointing "
        "activation_checkpointing_kwargs activation_offloading torch_empty_cache_steps use_cache "
        "local_rank half_precision_backend fp16_backend fp16_opt_level use_cpu no_cuda "
        "use_mps_device torch_compile_backend torch_compile_mode dataset_num_proc "
        "pad_to_multiple_of dataset_batch_size num_of_sequences chars_per_token",
        _SPEED,
    ),
}
"""Arguments of transformers' and trl's trainers."""
_REPORTED = re.compile(
    r"(per_device_eval|do|log|logging|eval|evaluation|save|hub|push|include|trackio|generation|report|wandb|tb)_"
)
_FAST = re.compile(r"dataloader_(?!drop_last)|ddp_|tpu_|_")
_NAMED = re.compile(r".*(_dir|_file|_id|_url|_project|_entity|_run_name)\Z")


def argument_field(name: str) -> Field | None:
    """Return what becomes of an argument by the form of its name; None where that tells nothing."""
    if name in ARGUMENTS:
        return ARGUMENTS[name]
    for pattern, field in ((_REPORTED, _REPORT), (_FAST, _SPEED), (_NAMED, _PLACE)):
        if pattern.match(name):
            return field
    return None


STATE: Fields = {
    "epoch": Field("card", "model.weights[].checkpoint"),
    "global_step": Field("card", "model.weights[].checkpoint"),
    "num_train_epochs": Field("card", "hyperparameters.epochs, where no arguments are there"),
    "max_steps": Field("card", "hyperparameters.steps, where no arguments are there"),
    "train_batch_size": Field("card", "hyperparameters.batch_size.per_device, likewise"),
    "log_history": Field("card", "hyperparameters.learning_rate, likewise: the highest"),
    "best_model_checkpoint": Field("ignored", "said in a note: choosing by it is a rule to report"),
}
"""Fields of `trainer_state.json`; all others are ignored, since they follow from the run."""
