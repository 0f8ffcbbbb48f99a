//! What is trained how.

/// Arguments that differ from those that all cases have.
pub struct Case {
    /// `key=value` words of the command line.
    pub words: &'static str,
    /// Whether memory is bounded so that blocks are run again in the backward pass.
    pub is_scarce: bool,
}

impl Case {
    /// The data that its stage reads.
    pub fn dataset(&self) -> &'static str {
        let stage = self.words.split_whitespace().find_map(|word| word.strip_prefix("stage="));
        match stage {
            Some("pt") => "text",
            Some("rm" | "dpo" | "orpo") => "pairs",
            Some("kto") => "judged",
            Some("ppo" | "grpo") => "prompts",
            _ => "answers",
        }
    }
}

const fn case(words: &'static str) -> Case {
    Case { words, is_scarce: false }
}

const fn scarce(words: &'static str) -> Case {
    Case { words, is_scarce: true }
}

/// Each stage, method, precision and kind of optimiser at least once, with different sizes of batches.
pub const CASES: &[Case] = &[
    case("stage=sft"),
    case("stage=sft per_device_train_batch_size=1 cutoff_len=64"),
    case("stage=sft per_device_train_batch_size=4"),
    case("stage=sft per_device_train_batch_size=1 cutoff_len=1024"),
    case("stage=sft bf16=true cutoff_len=512"),
    case("stage=sft bf16=true per_device_train_batch_size=4"),
    scarce("stage=sft cutoff_len=512"),
    scarce("stage=sft bf16=true cutoff_len=1024 per_device_train_batch_size=1"),
    case("stage=sft use_dora=true lora_rank=16"),
    case("stage=sft finetuning_type=oft"),
    case("stage=sft finetuning_type=oft bf16=true cutoff_len=512"),
    case("stage=sft finetuning_type=freeze"),
    case("stage=sft finetuning_type=freeze bf16=true cutoff_len=512"),
    case("stage=sft finetuning_type=full"),
    case("stage=sft finetuning_type=full bf16=true cutoff_len=512"),
    scarce("stage=sft finetuning_type=full cutoff_len=512"),
    case("stage=sft finetuning_type=full optim=adamw_8bit"),
    case("stage=sft finetuning_type=full optim=sgd"),
    case("stage=sft finetuning_type=full optim=lion_32bit"),
    case("stage=sft finetuning_type=full optim=adafactor"),
    case("stage=sft finetuning_type=full use_badam=true"),
    case("stage=sft finetuning_type=full use_galore=true galore_rank=32"),
    case("stage=pt cutoff_len=512"),
    case("stage=pt finetuning_type=full"),
    case("stage=rm"),
    case("stage=dpo"),
    case("stage=dpo bf16=true"),
    case("stage=dpo finetuning_type=full"),
    case("stage=kto cutoff_len=512"),
    case("stage=orpo"),
    case("stage=ppo cutoff_len=192 max_new_tokens=64 reward_rules=[{\"type\":\"length\",\"max\":8}]"),
    case(
        "stage=grpo cutoff_len=128 max_new_tokens=64 num_generations=4 reward_rules=[{\"type\":\"length\",\"max\":8}]",
    ),
];
