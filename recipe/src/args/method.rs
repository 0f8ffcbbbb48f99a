//! The methods of fine-tuning.

use super::choice::choices;

choices! {
    /// Which weights a run changes.
    FinetuningType {
        /// Low-rank matrices beside the frozen linear layers.
        Lora = "lora" { en: "LoRA", zh: "LoRA" }
        /// Rotations of what the frozen linear layers read.
        Oft = "oft" { en: "OFT", zh: "OFT" }
        /// Every weight of some layers.
        Freeze = "freeze" { en: "Freeze", zh: "部分层" }
        /// Every weight of the model.
        Full = "full" { en: "Full", zh: "全参数" }
    }
}
