//! The stages of training.

use super::choice::choices;

choices! {
    /// What a run teaches: the loss and the data it reads.
    Stage unsupported ["rm", "ppo", "dpo", "kto", "orpo"] {
        /// Next-token prediction on plain text.
        Pt = "pt" { en: "Pre-training", zh: "预训练" }
        /// Answers to instructions; the loss counts the answers alone.
        Sft = "sft" { en: "Supervised fine-tuning", zh: "指令监督微调" }
    }
}
