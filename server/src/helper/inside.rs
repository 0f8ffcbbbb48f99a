//! What runs in a helper process: requests from the standard input, one after the other, within limits.

use std::{
    fs,
    io::{self, BufRead, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use recipe::shortened;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Serialize, de::DeserializeOwned};
use wire::BoardError;

use super::Line;

/// The stack of the thread that works: foreign files may be nested deeper than others.
const STACK: usize = 64 << 20;
/// Memory that a process may take, at least and at most; between them, half of what is free. Addresses count, which
/// the allocator reserves by the gigabyte.
const MEMORY: (u64, u64) = (2 << 30, 6 << 30);

/// Bytes that a process started now may take.
pub(super) fn memory() -> u64 {
    (engine::memory::available() as u64 / 2).clamp(MEMORY.0, MEMORY.1)
}

/// Answers requests until the standard input closes, which is with the server, however that ends. `answer` may say how
/// far it is.
///
/// # Errors
/// The limits cannot be set, or no thread can be started.
pub fn serve<Q, A>(
    mut answer: impl FnMut(Q, &mut dyn FnMut(A)) -> Result<A, BoardError> + Send + 'static,
) -> io::Result<()>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize,
{
    let limit = |resource, most| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).map_err(io::Error::from)
    };
    limit(Resource::As, memory())?;
    limit(Resource::Core, 0)?;
    // Where memory runs out, this process goes first, not the server. It may be forbidden to say so.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let (sender, requests) = mpsc::channel::<String>();
    let work = move || {
        for request in requests {
            let said = match serde_json::from_str(&request) {
                Ok(asked) => {
                    let mut progress = |progress| say(&Line::Progress(progress));
                    let answered = catch_unwind(AssertUnwindSafe(|| answer(asked, &mut progress)));
                    answered.unwrap_or_else(|panic| Err(BoardError::Refused(broken(&*panic))))
                }
                Err(e) => Err(BoardError::Internal(format!("a request is not understood: {e}"))),
            };
            let failed = |error| match error {
                BoardError::Refused(why) => Line::Failed(BoardError::Refused(shortened(why))),
                other => Line::Failed(other),
            };
            say(&said.map_or_else(failed, Line::Done));
        }
    };
    thread::Builder::new().name("work".to_owned()).stack_size(STACK).spawn(work)?;
    for line in io::stdin().lock().lines() {
        if sender.send(line?).is_err() {
            break;
        }
    }
    // Whatever is being worked on, nobody waits for it.
    std::process::exit(0);
}

fn say<A: Serialize>(line: &Line<A>) {
    let text = serde_json::to_string(line).unwrap_or_default() + "\n";
    let mut out = io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn broken(panic: &(dyn std::any::Any + Send)) -> String {
    format!("what reads it broke: {}; its files may be broken", crate::worker::panic_text(panic))
}
