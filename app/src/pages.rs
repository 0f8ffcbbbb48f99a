//! One page per route.

pub mod not_found;
pub mod run;
pub mod runs;
