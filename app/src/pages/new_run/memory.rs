//! How much memory a run takes at its peak, and for what.

use leptos::prelude::*;
use wire::Memory;

use crate::format;
use crate::i18n::{Words, fill, words};

/// Width of the bar, in units of its own.
const WIDTH: f64 = 1000.0;

/// What the run takes at its peak, beside what there is: a sentence, and a bar in which each part has its share.
#[component]
pub fn MemoryBar(memory: Memory) -> AnyView {
    let w = words();
    let is_short = memory.needed > memory.free;
    let sentence = if is_short { w.new_memory_short } else { w.new_memory };
    let (needed, free) = (format::bytes(memory.needed), format::bytes(memory.free));
    let parts = parts(memory, w);
    let mut left = 0.0;
    let bars = parts.iter().map(|part| {
        let width = WIDTH * part.size as f64 / memory.needed.max(1) as f64;
        let at = left;
        left += width;
        view! { <rect class=part.class() x=at width=width y="0" height="10"/> }
    });
    let bars = bars.collect_view();
    let keys = parts.iter().map(|part| {
        view! {
            <li data-part=part.number>
                <span class=format!("memory-key {}", part.class()) aria-hidden="true"></span>
                {part.label}
                " "
                <span class="number">{format::bytes(part.size)}</span>
            </li>
        }
    });
    view! {
        <div class="memory">
            <p class=if is_short { "field-problem" } else { "field-help" } data-test="memory">
                {fill(sentence, &[("needed", &needed), ("free", &free)])}
            </p>
            <svg viewBox=format!("0 0 {WIDTH} 10") preserveAspectRatio="none" aria-hidden="true" data-test="memory-bar">
                {bars}
            </svg>
            <ul class="memory-parts" data-test="memory-parts">{keys.collect_view()}</ul>
        </div>
    }
    .into_any()
}

/// A part of the estimate that is more than nothing.
struct Part {
    /// Which one it is, for its colour.
    number: usize,
    label: &'static str,
    size: u64,
}

impl Part {
    fn class(&self) -> String {
        format!("memory-{}", self.number)
    }
}

fn parts(memory: Memory, words: &Words) -> Vec<Part> {
    let labels = [
        words.memory_weights,
        words.memory_adapters,
        words.memory_gradients,
        words.memory_optimizer,
        words.memory_activations,
        words.memory_logits,
        words.memory_program,
    ];
    let numbered = labels.into_iter().zip(memory.parts.parts()).enumerate();
    let parts = numbered.map(|(number, (label, size))| Part { number, label, size });
    parts.filter(|part| part.size > 0).collect()
}
