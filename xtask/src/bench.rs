//! `cargo xtask bench …`: measurements, as tables.

pub mod encode;
pub mod end;
pub mod generate;
pub mod memory;
pub mod scaling;
pub mod server;
mod side;
mod statistics;
pub mod train;
