//! The groups that arguments stand in.

use crate::text::Text;

/// Declares the groups: variant, name, label.
macro_rules! groups {
    ($($group:ident = $name:literal { $($label:tt)+ })+) => {
        /// Which part of the form, the YAML and the reference an argument belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Group {
            $(#[doc = concat!("The group `", $name, "`.")] $group,)+
        }

        impl Group {
            /// Every group, in the order of the form.
            pub const ALL: [Group; [$(Group::$group),+].len()] = [$(Group::$group),+];

            /// The name in identifiers and in the headings of a YAML file.
            pub const fn name(self) -> &'static str {
                match self { $(Group::$group => $name,)+ }
            }

            /// The heading in the form.
            pub const fn label(self) -> Text {
                match self { $(Group::$group => words! { $($label)+ },)+ }
            }
        }
    };
}

groups! {
    Model = "model" { en: "Model", zh: "模型" }
    Method = "method" { en: "Method", zh: "训练方式" }
    Lora = "lora" { en: "LoRA", zh: "LoRA" }
    Preference = "rlhf" { en: "Preferences", zh: "偏好训练" }
    Reinforcement = "reinforcement" { en: "Reinforcement learning", zh: "强化学习" }
    Data = "dataset" { en: "Data", zh: "数据" }
    Training = "train" { en: "Training", zh: "训练" }
    Output = "output" { en: "Output and logging", zh: "输出与日志" }
    Evaluation = "eval" { en: "Evaluation", zh: "评估" }
    Generating = "generate" { en: "Generation", zh: "生成" }
}
