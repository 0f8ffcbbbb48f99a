//! A run folder as its worker sees it: the files in it, and who is at work there.

mod events;
mod lock;
mod run;

pub use events::EventWriter;
pub use lock::{RunLock, lock_owner};
pub(crate) use run::panic_text;
pub use run::{BEFORE_TRAINING, problems_text, run, work};

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// The recipe the worker reads.
pub const RECIPE_FILE: &str = "recipe.yaml";
/// The events the worker appends.
pub const EVENTS_FILE: &str = "events.jsonl";
/// What the worker prints.
pub const LOG_FILE: &str = "worker.log";
/// The `output_dir` of a run that was launched from the dashboard.
pub const OUTPUT_DIR: &str = "output";

/// The last `count` non-empty lines of what a worker printed, oldest first; none where nothing can be
/// read. Looks at the last 64 KiB only.
pub fn last_log_lines(log: &Path, count: usize) -> Vec<String> {
    const TAIL: u64 = 64 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .take(count)
        .map(printable)
        .collect();
    lines.reverse();
    lines
}

/// Control characters (colours, cursor movements) would be noise on a page.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}
