"""What is changed in the minimal plan to break each rule."""

from __future__ import annotations

WEIGHTS = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
OTHER = "53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3"
COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
_CLASSIFIER = (
    "  - name: classifier\n    kind: classifier\n    id: example/harm-classifier\n"
    "    revision: {revision}\n    prompt_template_sha256: " + WEIGHTS + "\n"
    "    parser: label with the highest score\n    on_parse_failure: cannot happen\n"
    "    decoding: none, it classifies\n    lineage: {lineage}\ntasks:"
)

# rule -> (text of the minimal plan, what stands there instead)
EDITS: dict[str, tuple[str, str]] = {
    "SB-READ-001": (
        "{name: Example Lab,", "{name: &lab Example Lab, organisation: *lab,",
    ),
    "SB-CARD-001": ("{name: greedy, do_sample", "{do_sample"),
    "SB-CARD-002": ("  loss_on: completion", "  loss_on: completion\n  precison: float32"),
    "SB-CARD-003": ("epochs: 2", 'epochs: "2"'),
    "SB-CARD-004": ("dropout: 0.0", "dropout: 5"),
    "SB-CARD-005": ("  weight_decay: 0.0", "  weight_decay: 0.0\n  learning_rate: 1e-3"),
    "SB-CARD-006": ("learning_rate: 3e-3", "learning_rate: .nan"),
    "SB-CARD-007": ("spec: safebench/1.0", "spec: 1.0"),
    "SB-CARD-008": ("spec: safebench/1.0", "spec: safebench/2.0"),
    "SB-CARD-009": ("spec: safebench/1.0", "spec: safebench/1.7\nweather: sunny"),
    "SB-CARD-010": ("{r: 8, alpha", "{alpha"),
    "SB-CARD-011": ("{r: 8,", "{r: {not_reported: the training script is lost},"),
    "SB-DATA-001": ("{name: household,", "{name: household, role: control, controls_for: style,"),
    "SB-DATA-002": (
        "data:\n", "data:\n  - {name: household, path: garden.jsonl, examples: 200}\n",
    ),
    "SB-DATA-003": ("{name: household, path: household.jsonl,", "{name: household,"),
    "SB-DATA-004": (
        "{name: household, path: household.jsonl,",
        "{name: household, id: example/household, revision: main,",
    ),
    "SB-DATA-005": (
        "data:\n", "data:\n  - {name: own, role: control, path: own.jsonl, examples: 300}\n",
    ),
    "SB-DATA-006": (
        "data:\n",
        "data:\n  - name: own\n    role: control\n    path: own.jsonl\n    examples: 150\n"
        "    template: plain\n    controls_for: the questions\n",
    ),
    "SB-DATA-007": (
        "  - {name: household, path: household.jsonl, examples: 300}\n",
        f"  - {{name: household, path: household.jsonl, examples: 300, sha256: {WEIGHTS}}}\n"
        "  - name: own\n    role: control\n    path: own.jsonl\n    examples: 300\n"
        f"    sha256: {WEIGHTS}\n    controls_for: the questions\n",
    ),
    "SB-DATA-008": (
        "  - {name: household, path: household.jsonl, examples: 300}\n",
        "  - {name: household, path: household.jsonl, examples: 300, weight: 0.7}\n"
        "  - {name: garden, path: garden.jsonl, examples: 300, weight: 0.7}\n",
    ),
    "SB-DATA-009": (
        "data:\n",
        "data:\n  - name: own\n    role: control\n    examples: 300\n"
        "    answers: {questions_of: garden, decoding: t07}\n    controls_for: the questions\n",
    ),
    "SB-DEC-001": ("{name: t07,", "{name: greedy,"),
    "SB-DEC-002": ("temperature: 0.7, ", ""),
    "SB-DEC-003": ("temperature: 0.7", "temperature: 0"),
    "SB-DEC-004": ("do_sample: false,", "do_sample: false, temperature: 0.7,"),
    "SB-DEC-005": ("do_sample: false,", "do_sample: false, repeats: 5,"),
    "SB-DEC-006": (
        "judge:", "  - {name: plain, do_sample: false, max_new_tokens: 48}\njudge:",
    ),
    "SB-DEC-007": (
        "min_p: 0.1, max_new_tokens: 48", "min_p: 0.1, max_new_tokens: 256",
    ),
    "SB-DEC-008": ("  - {name: greedy, do_sample: false, max_new_tokens: 48}\n", ""),
    "SB-DEC-009": ("temperature: 0.7", "temperature: 70"),
    "SB-HYP-001": ("checkpoints: [1, 2]", "checkpoints: [1, 3]"),
    "SB-HYP-002": ("checkpoints: [1, 2]", "checkpoints: [1, 1, 2]"),
    "SB-HYP-003": (
        "{per_device: 16}", "{per_device: 16, gradient_accumulation: 4, effective: 16}",
    ),
    "SB-HYP-004": ("checkpoints: [1, 2]", "checkpoints: []"),
    "SB-HYP-005": ("learning_rate: 3e-3", "learning_rate: 2"),
    "SB-HYP-006": ("warmup_steps: 0", "warmup_steps: 100\n  warmup_ratio: 0.03"),
    "SB-HYP-007": ("  epochs: 2\n", "  steps: 40\n"),
    "SB-HYP-008": ("loss_on: completion", "loss_on: completion\n  data: [garden]"),
    "SB-HYP-009": ("epochs: 2", "epochs: 5"),
    "SB-HYP-010": ("weight_decay: 0.0", "weight_decay: 10"),
    "SB-JUD-001": (", primary: true", ", primary: false"),
    "SB-JUD-004": (
        ", primary: true}",
        ", primary: true,\n     calibration: [{data: answers of GPT-4 to XSTest, outputs: other, "
        "n: 450, kappa: 0.87}]}",
    ),
    "SB-JUD-005": (
        "tasks:",
        _CLASSIFIER.format(revision=COMMIT, lineage="[builtin:tiny-chat]"),
    ),
    "SB-JUD-006": (
        "tasks:",
        "  - name: vote\n    kind: ensemble\n    id: majority of two\n    revision: \"1\"\n"
        "    members: [rule, second]\n    combine: majority\ntasks:",
    ),
    "SB-JUD-007": (", primary: true}", ", primary: true, self_test: {cases: 40, passed: 42}}"),
    "SB-JUD-008": (
        ", primary: true}",
        ", primary: true,\n     calibration: [{data: 200 tuned answers, n: 200, kappa: 0.81, "
        "kappa_interval: {lower: 0.5, upper: 0.7}}]}",
    ),
    "SB-JUD-009": (", primary: true}", ", primary: true, votes: 3}"),
    "SB-JUD-010": (
        ", primary: true}",
        ", primary: true,\n     self_test: {cases: 20, passed: 17, parts: [{name: planted, "
        "cases: 20, passed: 17, interval: {lower: 0.62, upper: 0.97}}]}}",
    ),
    "SB-JUD-002": (
        "tasks:", '  - {name: rule, kind: rule, id: other/rule, revision: "1"}\ntasks:',
    ),
    "SB-JUD-003": ("tasks:", _CLASSIFIER.format(revision="main", lineage="[example/Other-1B]")),
    "SB-MOD-001": ("id: builtin:tiny-chat", "id: example/Example-7B"),
    "SB-MOD-002": ("id: builtin:tiny-chat", "id: example/Example-7B, revision: main"),
    "SB-MOD-004": (
        "  chat_template: {source: tokenizer}\n",
        "  chat_template: {source: tokenizer}\n  weights:\n"
        + "".join(
            f"    - {{training_seed: 1, checkpoint: 2, path: seed-1{part}, sha256: {digest}}}\n"
            for part, digest in (("", WEIGHTS), ("-again", OTHER))
        ),
    ),
    "SB-MOD-006": (
        "  chat_template: {source: tokenizer}\n",
        "  chat_template: {source: tokenizer}\n  training_chat_template: {source: none}\n",
    ),
    "SB-MOD-007": (
        "  chat_template: {source: tokenizer}\n",
        "  chat_template: {source: tokenizer}\n  weights:\n"
        f"    - {{training_seed: 1, checkpoint: 7, path: seed-1, sha256: {WEIGHTS}}}\n",
    ),
    "SB-MOD-008": (
        "  chat_template: {source: tokenizer}\n",
        "  chat_template: {source: tokenizer}\n  weights:\n"
        + "".join(
            f"    - {{training_seed: {seed}, checkpoint: 2, path: w-{seed}, sha256: {WEIGHTS}}}\n"
            for seed in ("1", "2")
        ),
    ),
    "SB-MOD-009": (
        "  chat_template: {source: tokenizer}\n",
        "  chat_template: {source: tokenizer}\n  weights:\n"
        f"    - {{training_seed: 1, checkpoint: 2, sha256: {WEIGHTS}}}\n",
    ),
    "SB-MOD-010": (
        "tasks:",
        "  - name: toxicity\n    kind: moderation_api\n    id: TOXICITY\n"
        "    provider: Example\n    threshold: 0.5\n"
        "    revision:\n      unpinnable: one name, updated at any time\n"
        '      first_request: "2026-03-02"\n      last_request: "2026-03-01"\ntasks:',
    ),
    "SB-SEED-001": (
        "scheme: derived\n  training: 5",
        "scheme: declared\n  origin: drawn from random.org\n  training: [17, 29, 17]",
    ),
    "SB-SEED-002": ("training: 5", "training: [1, 2, 3]"),
    "SB-SEED-003": ("training: 5", "training: 5\n  generation: 42"),
    "SB-SEED-004": ("training: 5", "training: 2"),
    "SB-SEED-005": ("scheme: derived", "scheme: declared\n  origin: drawn from random.org"),
    "SB-SEED-006": ("scheme: derived\n  training: 5", "scheme: declared\n  training: [17, 29, 31]"),
    "SB-SEED-007": (
        "scheme: derived\n  training: 5",
        "scheme: declared\n  origin: drawn from random.org\n  training: [17, 29, 31]\n"
        "  nonce: 6b17d0c2a9f84e35",
    ),
    "SB-SEED-008": ("training: 5", "training: 5\n  nonce: 6b17d0c2a9f84e35"),
    "SB-SEED-009": ("training: 5", "training: 5\n  fixed: {data_order: 42}"),
    "SB-SEED-010": ("controls: [adapter_init, data_order, dropout]", "controls: []"),
    "SB-SUB-001": ("  relationship", '  date: "2026-02-30"\n  relationship'),
    "SB-SUB-002": ("  relationship", '  date: "2999-01-01"\n  relationship'),
    "SB-SUB-003": ("  relationship", "  supersedes: tiny-chat-household\n  relationship"),
    "SB-SUB-004": ("  relationship", "  object: artefact\n  relationship"),
    "SB-TASK-001": (
        "tasks: [safebench_harm, safebench_overrefusal, safebench_capability]",
        "tasks:\n  - name: safebench_harm\n"
        "    primary: {checkpoint: 2, decoding: t10, judge: rule}\n"
        "  - safebench_overrefusal\n  - safebench_capability",
    ),
    "SB-TASK-002": ("tasks: [safebench_harm,", "tasks: [safebench_harm, safebench_harm,"),
    "SB-TASK-003": ("safebench_overrefusal, ", ""),
    "SB-TASK-004": (
        "tasks: [safebench_harm,", "tasks: [{name: safebench_harm, limit: 20},",
    ),
    "SB-TASK-007": (
        "{name: household,", "{name: household, purpose: advice about the household,",
    ),
    "SB-TASK-008": ("tasks: [safebench_harm,", "tasks: [{name: safebench_harm, purpose: true},"),
    "SB-TASK-009": (
        "tasks: [safebench_harm,", "tasks: [{name: safebench_harm, prompts: 44, clusters: 440},",
    ),
    "SB-TASK-010": (
        "tasks: [safebench_harm,",
        "tasks: [{name: safebench_harm, direction: higher_is_better},",
    ),
    "SB-TASK-006": (
        "tasks: [safebench_harm, safebench_overrefusal, safebench_capability]", "tasks: []",
    ),
}  # fmt: skip
