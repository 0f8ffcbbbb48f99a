//! The command line, the dashboard's server and the supervision of runs.
//!
//! `cli` reads what was typed; `serve` puts the server together; `routes` answers requests, one route a
//! file; `board` is what the pages ask of the server, `datasets` what those of data sets ask; `pool` runs workers and writes run state; `store`
//! is the database; `worker` is the run folder as seen by its worker; `chat` holds the loaded model; `helper` reads in
//! processes of their own what others have made;
//! `security` decides who may ask.
#![recursion_limit = "512"]

pub mod board;
pub mod chat;
pub mod cli;
pub mod config;
pub mod datasets;
pub mod helper;
pub mod pool;
pub mod routes;
pub mod security;
pub mod serve;
pub mod store;
pub mod worker;
