//! The pool with real processes. The worker is this very test binary, called on its test
//! [`worker_process`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::zombie_processes)]

#[path = "../common/place.rs"]
mod place;

mod attempts;
mod bench;
mod history;
mod restarts;
mod worker;

use std::path::Path;

/// Not a test but the worker: does nothing unless it was called with `train --run-dir DIR`.
#[test]
fn worker_process() {
    let args: Vec<String> = std::env::args().collect();
    let Some(at) = args.iter().position(|arg| arg == "--run-dir") else { return };
    let after = args.iter().position(|arg| arg == "--events-after").unwrap() + 1;
    let code = worker::train(Path::new(&args[at + 1]), args[after].parse().unwrap());
    std::process::exit(code);
}
