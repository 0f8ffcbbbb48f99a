//! The command line, the dashboard's server and the supervision of runs.
//!
//! `cli` reads what was typed; `serve` puts the server together; `connections` bounds what clients may take;
//! `routes` answers requests, one route a file; `security` decides who may ask; `board` is what the pages ask of the
//! server, `datasets` what those of data sets ask; `pool` runs workers and writes run state; `store` is the database;
//! `worker` is the run folder as seen by its worker; `chat` holds the loaded model;
//! `helper` reads in processes of their own what others have made.
#![warn(missing_docs, unreachable_pub, clippy::missing_errors_doc)]
#![recursion_limit = "512"]

#[macro_use]
mod print;

// What tests of this crate and tests beside it share speaks of the crate by its name.
#[cfg(test)]
extern crate self as server;
#[cfg(test)]
#[path = "../tests/common/place.rs"]
mod place;

pub mod board;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod connections;
pub mod datasets;
pub mod helper;
pub mod models;
pub mod pool;
pub mod process_id;
pub mod random;
pub mod routes;
pub mod security;
pub mod serve;
pub mod site;
pub mod store;
pub mod worker;
