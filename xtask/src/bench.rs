//! `cargo xtask bench …`: measurements, as tables.

pub mod encode;
pub mod server;
mod statistics;
pub mod train;
