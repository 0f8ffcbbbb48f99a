//! One page per route.

pub mod chat;
pub mod dataset;
pub mod datasets;
pub mod entry;
pub mod lazy;
pub mod new_run;
pub mod not_found;
pub mod run;
pub mod runs;
