//! The table itself: one file for each group of arguments.
//!
//! An entry reads: the English help as the field's documentation, `key: type = default`, the label in every language,
//! the help in the others, and what else the form and the reader should know (the methods of [`Entry`]).
//! Adding an argument is one entry in the file of its group, its key out of [`super::unsupported`], and one use in the
//! engine.
//!
//! Each file is a macro that puts its group behind the earlier ones and hands all of them on to the next, in the end to
//! `argument_table!`: so that one [`Recipe`] comes of several files.

#[macro_use]
mod model;
#[macro_use]
mod method;
#[macro_use]
mod freeze;
#[macro_use]
mod lora;
#[macro_use]
mod oft;
#[macro_use]
mod preference;
#[macro_use]
mod reinforcement;
#[macro_use]
mod data;
#[macro_use]
mod training;
#[macro_use]
mod optimizer;
#[macro_use]
mod output;
#[macro_use]
mod evaluation;
#[macro_use]
mod generating;

use super::argument::Argument;
use super::choices::{
    ApolloProjection, ApolloScale, ApolloSide, BadamMask, BadamMode, BadamSwitch, DataOrder, GrpoLoss,
    ImportanceSampling, KlPenalty, LrScheduler, MixStrategy, MixtureOfDepths, NonFinite, Optim, PrefLoss,
    Projection, RewardModelType, RopeScaling, ScaleRewards, Strategy, TokenInit, ToolFormat,
};
use super::entry::Entry;
use super::field::{Field, Steps};
use super::group::Group;
use super::method::FinetuningType;
use super::rules::Rules;
use super::settings::Settings;
use super::stage::Stage;
use super::tokens::HubTokens;

const LORA: &[FinetuningType] = &[FinetuningType::Lora];
const OFT: &[FinetuningType] = &[FinetuningType::Oft];
/// Methods that train an adapter beside frozen weights.
const ADAPTERS: &[FinetuningType] = &[FinetuningType::Lora, FinetuningType::Oft];
/// Methods that train the model's own weights.
const WHOLE: &[FinetuningType] = &[FinetuningType::Full, FinetuningType::Freeze];
const FREEZE: &[FinetuningType] = &[FinetuningType::Freeze];
const FULL: &[FinetuningType] = &[FinetuningType::Full];
/// Stages that compare the model with a reference, where their loss does.
const COMPARED: &[Stage] = &[Stage::Dpo, Stage::Kto, Stage::Sft, Stage::Ppo, Stage::Grpo];
const DPO: &[Stage] = &[Stage::Dpo];
const KTO: &[Stage] = &[Stage::Kto];
/// Stages that learn from pairs of answers.
const PAIRS: &[Stage] = &[Stage::Dpo, Stage::Orpo];
const PPO: &[Stage] = &[Stage::Ppo];
const GRPO: &[Stage] = &[Stage::Grpo];
/// Stages that learn from scores of their own answers.
const SCORED: &[Stage] = &[Stage::Ppo, Stage::Grpo];
/// Stages of which something can be predicted.
const PREDICTED: &[Stage] = &[Stage::Sft, Stage::Rm];
/// Stages that learn from answers which are compared or judged.
const PREFERENCES: &[Stage] = &[Stage::Dpo, Stage::Orpo, Stage::Kto];
const SFT: &[Stage] = &[Stage::Sft];
/// Stages whose examples can share a sequence.
const PACKED: &[Stage] = &[Stage::Pt, Stage::Sft];

/// Steps of a run, and whatever is given in them, at most; far above what anybody waits for.
const STEPS: f64 = 1e12;
/// Rows that are taken, at most.
const ROWS: f64 = 1e9;

/// Makes [`Recipe`], its default, access to its fields by key, and the table of [`Argument`]s.
macro_rules! argument_table {
    ([] $($group:ident {$(
        $(#[doc = $help:literal])+
        $key:ident: $type:ty = $default:expr => {
            label { $($label:tt)+ }
            help { $($lang:ident: $translated:literal),* }
            $($further:ident $values:tt)*
        }
    )+})+) => {
        /// A run as it is asked for: one field per argument.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Recipe {
            $($( $(#[doc = $help])+ pub $key: $type, )+)+
            /// Keys that are accepted without effect, as typed and in their order; see
            /// [`Recipe::notices`].
            pub without_effect: Vec<(String, String)>,
            /// Who asks the hubs, where the recipe says so.
            pub tokens: HubTokens,
        }

        impl Default for Recipe {
            fn default() -> Recipe {
                Recipe {
                    $($( $key: $default, )+)+
                    without_effect: Vec::new(),
                    tokens: HubTokens::default(),
                }
            }
        }

        impl Recipe {
            pub(crate) fn field(&self, key: &str) -> Option<&dyn Field> {
                match key {
                    $($( stringify!($key) => Some(&self.$key), )+)+
                    _ => None,
                }
            }

            pub(crate) fn field_mut(&mut self, key: &str) -> Option<&mut dyn Field> {
                match key {
                    $($( stringify!($key) => Some(&mut self.$key), )+)+
                    _ => None,
                }
            }
        }

        static ARGUMENTS: &[Argument] = &[$($(
            // rustdoc keeps the blank in front of the help.
            Entry::new(
                words! { $($label)+ },
                words! { en: concat!($($help),+).trim_ascii(), $($lang: $translated),* },
            )
            $(.$further $values)*
            .finish::<$type>(stringify!($key), Group::$group),
        )+)+];
    };
}

/// Every argument, in the order of the form and of a written YAML.
pub fn arguments() -> &'static [Argument] {
    ARGUMENTS
}

model! { [
    method freeze lora oft preference reinforcement data training optimizer output evaluation generating argument_table
] }
