//! Printing that may fail: on a full disk, or when whoever reads has left, the macros of the standard library panic.
//! These take their place in this crate.

use std::io::{IoSlice, Write, stderr};

/// Writes a line to the standard error. It may be the only word of why the program ends: what fails is tried once more,
/// by another call.
pub(crate) fn say(line: &str) {
    if stderr().write_all(line.as_bytes()).is_err() {
        let _ = stderr().write_vectored(&[IoSlice::new(line.as_bytes())]);
    }
}

macro_rules! print {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!($($words)*));
    }};
}

macro_rules! println {
    () => { print!("\n") };
    ($($words:tt)*) => { print!("{}\n", format_args!($($words)*)) };
}

macro_rules! eprintln {
    ($($words:tt)*) => {{
        let line = format!("{}\n", format_args!($($words)*));
        $crate::print::say(&line);
    }};
}
