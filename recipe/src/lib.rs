//! What a fine-tuning run *is*: its recipe, its states, and the events it emits.
//!
//! Pure data and functions without I/O; the crate compiles to wasm, so that the form in the browser,
//! the command line and the engine validate by the same code.

#![warn(missing_docs, unreachable_pub, clippy::missing_errors_doc)]

// First, for its macros.
#[macro_use]
pub mod text;
pub mod args;
mod chat;
mod derived;
pub mod event;
mod job;
pub mod memory;
pub mod metrics;
mod modules;
mod named;
mod notices;
mod optimizer;
mod problem;
mod raw;
mod reader;
pub mod registry;
mod reward;
pub mod run;
mod scalar;
mod schedule;
mod suggest;
mod validate;
mod write;

pub use args::tokens::HubTokens;
pub use args::{
    ApolloProjection, ApolloScale, ApolloSide, Argument, BadamMask, BadamMode, BadamSwitch, Choice,
    DataOrder, FinetuningType, Group, GrpoLoss, ImportanceSampling, Kind, KlPenalty, LrScheduler,
    MixStrategy, MixtureOfDepths, NonFinite, Optim, PrefLoss, Projection, Range, Recipe, Records,
    RewardModelType, RopeScaling, Rules, ScaleRewards, Settings, Stage, Steps, Strategy, Tier, TokenInit,
    ToolFormat, arguments,
};
pub use chat::{ChatMessage, Sampling};
pub use derived::Resume;
pub use event::{Eval, Event, EventBody, LogLevel, Outcome, Pace, Phase, Point};
pub use job::JobKind;
pub use metrics::Metrics;
pub use modules::module_matches;
pub use notices::Notice;
pub use optimizer::{LowRank, LowRankKind};
pub use problem::{Problem, shortened};
pub use reader::{CommandLine, descriptions};
pub use reward::{RewardRule, RuleKind};
pub use run::RunState;
pub use schedule::{Curve, Measured, Rise, Slope};
pub use suggest::closest;
pub use text::{Lang, Sentence, Text, Translated};
