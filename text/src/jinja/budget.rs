//! What one rendering may use. Templates come with models, which anybody may have made: one that never ends, or fills
//! the memory, ends with a sentence instead.
//!
//! A thread renders one template at a time. What is left for it belongs to the thread, so that operators, filters and
//! methods draw on it far below the interpreter. Once something is used up, everything fails that is asked for next.

use std::cell::Cell;

use super::error::{Result, fail};
use super::value::Value;

/// Steps of a rendering: a second or two. One takes some nanoseconds.
const STEPS: u64 = 50_000_000;
/// What each value that is handed over adds to them.
const STEPS_PER_VALUE: u64 = 20_000;
/// Bytes of all texts and lists that are made on the way, together.
const BYTES: u64 = 64 << 20;
/// What each byte that is handed over adds to them.
const BYTES_PER_BYTE: u64 = 64;
/// What each value adds.
const BYTES_PER_VALUE: u64 = 16 << 10;
/// Bytes of the text that is rendered in the end, and what each value and each byte that is handed over adds: every
/// text goes through the tokenizer then, which takes longer.
const TEXT: (usize, usize, usize) = (256 << 10, 1 << 10, 16);
/// Bytes of the stack. Threads have 2 MiB at least, half of which is for what calls and for what is called.
const STACK: usize = 1 << 20;
/// The steps of an expression or a statement.
pub(super) const EXPRESSION: usize = 16;
/// The steps of comparing two small values.
pub(super) const COMPARISON: usize = 8;
/// The bytes of an item of a list.
const ITEM: u64 = 32;
/// Bytes that are read in one step.
const BYTES_PER_STEP: u64 = 16;

#[derive(Clone, Copy)]
struct Left {
    steps: u64,
    bytes: u64,
    /// Where the stack was at the beginning.
    stack: usize,
}

thread_local! {
    static LEFT: Cell<Left> = const { Cell::new(Left { steps: STEPS, bytes: BYTES, stack: 0 }) };
}

/// Starts afresh, for a rendering that gets so many values and bytes.
pub(super) fn begin(values: usize, bytes: usize) {
    let marker = 0u8;
    LEFT.set(Left {
        steps: STEPS.saturating_add(STEPS_PER_VALUE.saturating_mul(values as u64)),
        bytes: BYTES
            .saturating_add(BYTES_PER_BYTE.saturating_mul(bytes as u64))
            .saturating_add(BYTES_PER_VALUE.saturating_mul(values as u64)),
        stack: std::ptr::from_ref(&marker).addr(),
    });
}

/// # Errors
/// If a text of so many bytes is too long for what was handed over.
pub(super) fn check_text(length: usize, values: usize, bytes: usize) -> Result<()> {
    let most =
        TEXT.0.saturating_add(TEXT.1.saturating_mul(values)).saturating_add(TEXT.2.saturating_mul(bytes));
    match length > most {
        true => fail(format!(
            "it writes {length} bytes for a conversation of {bytes}; at most {most} are allowed"
        )),
        false => Ok(()),
    }
}

/// Takes steps; false if they are used up. For what cannot fail itself: the next expression will.
pub(super) fn step(steps: usize) -> bool {
    let left = LEFT.get();
    let rest = left.steps.checked_sub(steps as u64);
    LEFT.set(Left { steps: rest.unwrap_or_default(), ..left });
    rest.is_some_and(|rest| rest > 0)
}

/// # Errors
/// If the steps are used up.
pub(super) fn spend(steps: usize) -> Result<()> {
    if step(steps) {
        return Ok(());
    }
    fail("it takes more steps than a chat template may; it may never end")
}

/// Takes the bytes of a text that is about to be made.
///
/// # Errors
/// If they are used up.
pub(super) fn produce(bytes: usize) -> Result<()> {
    let left = LEFT.get();
    let rest = left.bytes.checked_sub(bytes as u64);
    LEFT.set(Left { bytes: rest.unwrap_or_default(), ..left });
    match rest {
        Some(_) => spend(bytes / BYTES_PER_STEP as usize),
        None => fail("it makes more text than a chat template may"),
    }
}

/// The same for a list of so many items.
///
/// # Errors
/// If they are used up.
pub(super) fn produce_items(count: usize) -> Result<()> {
    produce(count.saturating_mul(ITEM as usize))
}

/// # Errors
/// If calls are so deep inside of each other that the stack could overflow.
pub(super) fn check_stack() -> Result<()> {
    let marker = 0u8;
    let stack = LEFT.get().stack;
    if stack != 0 && stack.abs_diff(std::ptr::from_ref(&marker).addr()) > STACK {
        return fail("maximum recursion depth exceeded");
    }
    Ok(())
}

/// About how many bytes a value is itself, without those inside of it.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Markup(text) => text.len(),
        Value::List(items) | Value::Tuple(items) | Value::Group(items) => items.len() * ITEM as usize,
        Value::Dict(dict) => dict.entries().len() * 2 * ITEM as usize,
        Value::View(view) => view.items.len() * ITEM as usize,
        Value::Iterator(items) => items.borrow().values.len() * ITEM as usize,
        _ => 0,
    }
}

/// Takes the steps of looking through a value.
///
/// # Errors
/// If they are used up.
pub(super) fn read(value: &Value) -> Result<()> {
    spend(size(value) / BYTES_PER_STEP as usize)
}

/// Takes the bytes of a value that has been made.
///
/// # Errors
/// If they are used up.
pub(super) fn made(value: Value) -> Result<Value> {
    produce(size(&value))?;
    Ok(value)
}
