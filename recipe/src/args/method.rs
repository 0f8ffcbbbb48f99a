//! The methods of fine-tuning.

use super::choice::choices;

choices! {
    /// Which weights a run changes.
    FinetuningType unsupported ["oft"] {
        /// Low-rank matrices beside the frozen linear layers.
        Lora = "lora" { en: "LoRA", zh: "LoRA" }
        /// Every weight of some layers.
        Freeze = "freeze" { en: "Freeze", zh: "部分层" }
        /// Every weight of the model.
        Full = "full" { en: "Full", zh: "全参数" }
    }
}
