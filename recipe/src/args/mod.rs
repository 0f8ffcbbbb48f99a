//! The argument table: every argument of a run, once.
//!
//! One entry in a file of `table/` is a typed field of [`Recipe`] and an [`Argument`] in [`arguments`]. The form
//! of a new run, the YAML reader's errors, `--help` and `docs/arguments.md` are all made from it.
//! Names and defaults are LLaMA-Factory's. Keys without effect here are in [`accepted`], keys that
//! LLaMA-Factory knows and Chandler does not support in [`unsupported`], those that hold a secret in [`tokens`].

pub mod accepted;
mod argument;
mod choice;
mod choices;
mod entry;
mod field;
mod group;
mod kind;
mod lookup;
mod method;
mod rules;
mod settings;
mod stage;
mod table;
mod takes;
pub mod tokens;
pub mod unsupported;
mod values;

pub use argument::{Argument, Range, Tier};
pub use choices::{
    ApolloProjection, ApolloScale, ApolloSide, BadamMask, BadamMode, BadamSwitch, DataOrder, GrpoLoss,
    ImportanceSampling, KlPenalty, LrScheduler, MixStrategy, MixtureOfDepths, NonFinite, Optim, PrefLoss,
    Projection, RewardModelType, RopeScaling, ScaleRewards, Strategy, TokenInit, ToolFormat,
};
pub use field::{Shown, Steps};
pub use group::Group;
pub use kind::{Choice, Kind};
pub use lookup::find;
pub(crate) use lookup::own_key;
pub use method::FinetuningType;
pub use rules::Rules;
pub use settings::Settings;
pub use stage::{Records, Stage};
pub use table::{Recipe, arguments};
