//! The methods of fine-tuning.

use super::choice::choices;

choices! {
    /// Which weights a run changes.
    FinetuningType unsupported ["freeze", "oft"] {
        /// Low-rank matrices beside the frozen linear layers.
        Lora = "lora" { en: "LoRA", zh: "LoRA" }
        /// Every weight of the model.
        Full = "full" { en: "Full", zh: "全参数" }
    }
}
