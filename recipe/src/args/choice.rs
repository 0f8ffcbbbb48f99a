//! Arguments that take one of a few names.

use super::field::{Field, Shown, Typed, WrongType};
use super::{Choice, Kind};
use crate::reader::Raw;
use crate::text::Text;

/// Declares an enum whose values have a name in YAML (with synonyms) and a label in both languages.
macro_rules! choices {
    ($(
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$doc:meta])* $variant:ident = $value:literal $(| $synonym:literal)*, $en:literal, $zh:literal; )+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$doc])* $variant, )+
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name in YAML.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $value,)+ }
            }

            /// The name for people.
            pub const fn label(self) -> Text {
                match self { $($name::$variant => Text::new($en, $zh),)+ }
            }

            /// The value with this name or synonym.
            pub fn from_name(name: &str) -> Option<$name> {
                match name {
                    $($value $(| $synonym)* => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl Typed for $name {
            const KIND: Kind = Kind::Choice(&[
                $(Choice { value: $value, label: Text::new($en, $zh) }),+
            ]);
        }

        impl Field for $name {
            fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
                let name = raw.scalar().ok_or(WrongType)?.to_ascii_lowercase();
                *self = $name::from_name(&name).ok_or(WrongType)?;
                Ok(())
            }

            fn show(&self) -> Shown {
                Shown::Text(self.name().to_owned())
            }
        }
    )+};
}

choices! {
    /// What a run teaches: the loss and the data it reads.
    Stage {
        /// Next-token prediction on plain text.
        Pt = "pt", "Pre-training", "预训练";
        /// Answers to instructions; the loss counts the answers alone.
        Sft = "sft", "Supervised fine-tuning", "指令监督微调";
    }

    /// Which weights a run changes.
    FinetuningType {
        /// Low-rank matrices beside the frozen linear layers.
        Lora = "lora", "LoRA", "LoRA";
        /// Every weight of the model.
        Full = "full", "Full", "全参数";
    }

    /// How the learning rate goes over the steps.
    LrScheduler {
        Linear = "linear", "Linear", "线性衰减";
        Cosine = "cosine", "Cosine", "余弦衰减";
        /// Without warm-up.
        Constant = "constant", "Constant", "恒定";
        ConstantWithWarmup = "constant_with_warmup", "Constant with warm-up", "预热后恒定";
        CosineWithRestarts = "cosine_with_restarts", "Cosine with restarts", "余弦重启";
        CosineWithMinLr = "cosine_with_min_lr", "Cosine down to a minimum", "余弦衰减至最小值";
        /// The same, one step ahead.
        CosineWarmupWithMinLr = "cosine_warmup_with_min_lr", "Cosine down to a minimum, warm-up from a rate",
            "余弦衰减至最小值（可设预热起点）";
        Polynomial = "polynomial", "Polynomial", "多项式衰减";
        InverseSqrt = "inverse_sqrt", "Inverse square root", "平方根倒数衰减";
        WarmupStableDecay = "warmup_stable_decay", "Warm-up, stable, decay", "预热—稳定—衰减";
    }

    /// When something (a checkpoint, an evaluation) happens during training.
    Strategy {
        // YAML 1.1 reads a bare `no` as false.
        No = "no" | "false" | "off", "Never", "从不";
        Steps = "steps", "Every so many steps", "按步数";
        Epoch = "epoch", "Every epoch", "按轮次";
    }

    /// The optimizer.
    Optim {
        /// AdamW with decoupled weight decay.
        AdamwTorch = "adamw_torch" | "adamw_torch_fused" | "adamw_hf" | "adamw_torch_xla" | "adamw_torch_npu_fused"
            | "adamw", "AdamW", "AdamW";
    }

    /// How several datasets become one.
    MixStrategy {
        /// One after the other.
        Concat = "concat", "Concatenate", "拼接";
        /// In turns, until one is used up.
        InterleaveUnder = "interleave_under", "Interleave, end with the first", "交错（最短者用尽即止）";
        /// In turns, until each was used up once; shorter ones start again.
        InterleaveOver = "interleave_over", "Interleave, repeat the shorter", "交错（较短者重复）";
        /// In turns, until all are used up.
        InterleaveOnce = "interleave_once", "Interleave, each row once", "交错（每行一次）";
    }

    /// A family of models' way to write tools and calls of tools.
    ToolFormat {
        Default = "default", "Action and input as text", "文本形式的 Action";
        Gemma4 = "gemma4", "Gemma 4", "Gemma 4";
        Glm4 = "glm4", "GLM-4", "GLM-4";
        Glm4Moe = "glm4_moe", "GLM-4.5", "GLM-4.5";
        Lfm2 = "lfm2", "LFM2", "LFM2";
        Ling = "ling", "Ling", "Ling";
        Llama3 = "llama3", "Llama 3", "Llama 3";
        Minimax1 = "minimax1", "MiniMax-M1", "MiniMax-M1";
        Minimax2 = "minimax2", "MiniMax-M2", "MiniMax-M2";
        Mistral = "mistral", "Mistral", "Mistral";
        Qwen = "qwen", "Qwen", "Qwen";
        Qwen35 = "qwen3_5", "Qwen 3.5", "Qwen 3.5";
        SeedOss = "seed_oss", "Seed-OSS", "Seed-OSS";
    }

    /// How rotary positions are stretched beyond the trained context length.
    RopeScaling {
        Linear = "linear", "Linear", "线性";
        Dynamic = "dynamic", "Dynamic NTK", "动态 NTK";
        Yarn = "yarn", "YaRN", "YaRN";
        Llama3 = "llama3", "Llama 3", "Llama 3";
    }
}
