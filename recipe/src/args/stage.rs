//! The stages of training.

use super::choice::choices;

choices! {
    /// What a run teaches: the loss and the data it reads.
    Stage unsupported ["kto"] {
        /// Next-token prediction on plain text.
        Pt = "pt" { en: "Pre-training", zh: "预训练" }
        /// Answers to instructions; the loss counts the answers alone.
        Sft = "sft" { en: "Supervised fine-tuning", zh: "指令监督微调" }
        /// Scores that are larger for the chosen one of two answers.
        Rm = "rm" { en: "Reward modelling", zh: "奖励模型" }
        /// The chosen one of two answers becomes likelier than the rejected one, as far as a reference allows.
        Dpo = "dpo" { en: "Preferences (DPO)", zh: "偏好优化（DPO）" }
        /// The chosen one of two answers is learnt, and becomes likelier than the rejected one, without a reference.
        Orpo = "orpo" { en: "Preferences (ORPO)", zh: "偏好优化（ORPO）" }
        /// The model's own answers are scored; what scored above what it foresaw becomes likelier.
        Ppo = "ppo" { en: "Reinforcement (PPO)", zh: "强化学习（PPO）" }
        /// Several answers to a prompt are scored; what scored above their mean becomes likelier.
        Grpo = "grpo" { en: "Reinforcement (GRPO)", zh: "强化学习（GRPO）" }
    }
}

/// What the records of a dataset are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Plain text to continue.
    Text,
    /// A conversation with its answer.
    Answers,
    /// A chosen and a rejected answer.
    Preferences,
    /// A conversation that the model is to answer; an answer may be there, to compare with.
    Prompts,
}

impl Stage {
    /// Whether the model may be compared with one that does not change.
    pub const fn has_reference(self) -> bool {
        match self {
            Stage::Pt | Stage::Sft | Stage::Rm | Stage::Orpo => false,
            Stage::Dpo | Stage::Ppo | Stage::Grpo => true,
        }
    }

    /// What it trains on.
    pub const fn records(self) -> Records {
        match self {
            Stage::Pt => Records::Text,
            Stage::Sft => Records::Answers,
            Stage::Rm | Stage::Dpo | Stage::Orpo => Records::Preferences,
            Stage::Ppo | Stage::Grpo => Records::Prompts,
        }
    }
}
