//! The argument table: every argument of a run, once.
//!
//! One entry in `table.rs` is a typed field of [`Recipe`] and an [`Argument`] in [`arguments`]. The form
//! of a new run, the YAML reader's errors, `--help` and `docs/arguments.md` are all made from it.
//! Names and defaults are LLaMA-Factory's. Keys without effect here are in [`accepted`], keys that
//! LLaMA-Factory knows and Chandler does not support in [`unsupported`], those that hold a secret in [`tokens`].

pub mod accepted;
mod choice;
mod field;
mod settings;
mod table;
mod takes;
pub mod tokens;
pub mod unsupported;

pub use choice::{FinetuningType, LrScheduler, MixStrategy, Optim, RopeScaling, Stage, Strategy, ToolFormat};
pub(crate) use field::{Field, real_number, show_real};
pub use field::{Shown, Steps};
pub use settings::Settings;
pub use table::{Recipe, arguments};

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::reader::Raw;
use crate::text::Text;

/// Which part of the form, the YAML and the reference an argument belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    Model,
    Method,
    Lora,
    Data,
    Training,
    Output,
    Evaluation,
    Generating,
}

impl Group {
    pub const ALL: [Group; 8] = [
        Group::Model,
        Group::Method,
        Group::Lora,
        Group::Data,
        Group::Training,
        Group::Output,
        Group::Evaluation,
        Group::Generating,
    ];

    /// The name in identifiers and in the headings of a YAML file.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Model => "model",
            Group::Method => "method",
            Group::Lora => "lora",
            Group::Data => "dataset",
            Group::Training => "train",
            Group::Output => "output",
            Group::Evaluation => "eval",
            Group::Generating => "generate",
        }
    }

    pub const fn label(self) -> Text {
        match self {
            Group::Model => Text::new("Model", "模型"),
            Group::Method => Text::new("Method", "训练方式"),
            Group::Lora => Text::new("LoRA", "LoRA"),
            Group::Data => Text::new("Data", "数据"),
            Group::Training => Text::new("Training", "训练"),
            Group::Output => Text::new("Output and logging", "输出与日志"),
            Group::Evaluation => Text::new("Evaluation", "评估"),
            Group::Generating => Text::new("Generation", "生成"),
        }
    }
}

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Text,
    /// A file or folder.
    Path,
    Bool,
    Integer,
    Real,
    /// A whole number of steps, or a share of all steps when below 1.
    Steps,
    Choice(&'static [Choice]),
    /// Names: a YAML list, or text with commas.
    List,
    /// Names with a value each: a YAML mapping.
    Settings,
}

/// One value of a [`Kind::Choice`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub value: &'static str,
    pub label: Text,
}

/// The numbers an argument may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Whether `min` itself is allowed.
    pub min_allowed: bool,
    /// Whether `max` itself is allowed.
    pub max_allowed: bool,
}

impl Range {
    pub fn contains(&self, number: f64) -> bool {
        let above = self.min.is_none_or(|min| if self.min_allowed { number >= min } else { number > min });
        let below = self.max.is_none_or(|max| if self.max_allowed { number <= max } else { number < max });
        above && below
    }
}

/// Who should see an argument in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// A run cannot be described without it.
    Essential,
    /// Often changed.
    Common,
    /// Behind a fold.
    Advanced,
}

/// One argument of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Argument {
    /// The key in YAML, and the field of [`Recipe`].
    pub key: &'static str,
    pub group: Group,
    pub kind: Kind,
    /// Whether it may be left unset.
    pub optional: bool,
    pub range: Option<Range>,
    /// A sensible step for a number field or slider.
    pub step: Option<f64>,
    pub label: Text,
    pub help: Text,
    /// The stages it means something for; empty = all.
    pub stages: &'static [Stage],
    /// The methods it means something for; empty = all.
    pub methods: &'static [FinetuningType],
    pub tier: Tier,
    /// What an empty field of the form shows, where an unset value stands for something.
    pub placeholder: Option<Text>,
    /// Older names of the key.
    pub synonyms: &'static [&'static str],
    /// Values that LLaMA-Factory knows and Chandler does not support yet.
    pub refused: &'static [&'static str],
}

impl Argument {
    /// The default, as shown in a field; empty when unset.
    pub fn default_text(&self) -> String {
        Recipe::default().get(self.key).unwrap_or_default()
    }

    /// Whether a value is one that LLaMA-Factory knows and Chandler does not support yet.
    pub(crate) fn refuses(&self, value: &Raw) -> bool {
        let given = value.scalar().unwrap_or_default();
        self.refused.iter().any(|refused| refused.eq_ignore_ascii_case(given))
    }

    /// Whether it means something for this stage and method.
    pub fn applies_to(&self, stage: Stage, method: FinetuningType) -> bool {
        (self.stages.is_empty() || self.stages.contains(&stage))
            && (self.methods.is_empty() || self.methods.contains(&method))
    }
}

/// The argument with this key or older name.
pub fn find(key: &str) -> Option<&'static Argument> {
    static KNOWN: LazyLock<HashMap<&str, &Argument>> = LazyLock::new(|| {
        let names = |argument: &'static Argument| argument.synonyms.iter().copied().chain([argument.key]);
        arguments().iter().flat_map(|argument| names(argument).map(move |name| (name, argument))).collect()
    });
    KNOWN.get(key).copied()
}

/// The key that an argument is known by here, for one of its names; a key that is no argument's is its own.
pub(crate) fn own_key(key: &str) -> &str {
    find(key).map_or(key, |argument| argument.key)
}

impl Recipe {
    /// The value of an argument as text, as a form field shows it: empty when unset, or `null` where
    /// an empty field would stand for a default that is set.
    pub fn get(&self, key: &str) -> Option<String> {
        match self.field(key)?.show() {
            Shown::Nothing if Recipe::default().field(key)?.show() != Shown::Nothing => {
                Some("null".to_owned())
            }
            shown => Some(shown.into_text()),
        }
    }
}
