//! One process of the benchmark of generation: sequences that are continued together, by greedy draws of a model with
//! random weights.
//!
//! Prints a line of JSON, a row for each number of sequences: `[{"sequences": …, "prompt_tokens_per_s": …,
//! "tokens_per_s": …, "cache_bytes": …}, …]`.

#[path = "../train_step/shape.rs"]
mod shape;

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Instant;

use engine::families;
use engine::generate::{Event, Generation, Sampling};
use engine::model::{Decoder, Selection, Tuning};
use engine::rng::Rng;
use engine::weights::InitialSource;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured.
struct Arguments {
    shape: String,
    /// Instead of the shape's own.
    layers: Option<usize>,
    /// How many are continued together, one after the other.
    sequences: Vec<usize>,
    /// Tokens of each prompt.
    prompt: usize,
    /// Tokens that each draws while all draw.
    tokens: usize,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments =
        Arguments { shape: "135m".to_owned(), layers: None, sequences: Vec::new(), prompt: 256, tokens: 64 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--shape" => arguments.shape = value()?,
            "--layers" => arguments.layers = Some(value()?.parse()?),
            "--sequences" => arguments.sequences.push(value()?.parse()?),
            "--prompt" => arguments.prompt = value()?.parse()?,
            "--tokens" => arguments.tokens = value()?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(arguments)
}

fn main() -> Result<(), String> {
    engine::kernel::on_pool(|| rows().map_err(|error| error.to_string()))
}

fn rows() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let spec = families::read(&shape::config(&arguments.shape, arguments.layers)?)?;
    let tuning = Tuning { selection: Selection::Nothing, ..Tuning::default() };
    let decoder = Decoder::build(spec, &InitialSource::new(0, 0.02), &tuning)?;
    // Once more than is counted: memory is touched first, and weights are read.
    together(&decoder, 1, &arguments)?;
    let rows: Result<Vec<Value>, _> =
        arguments.sequences.iter().map(|count| together(&decoder, *count, &arguments)).collect();
    println!("{}", Value::Array(rows?));
    Ok(())
}

/// Continues so many sequences: first until each has drawn a token, then all of them together.
fn together(decoder: &Decoder, count: usize, arguments: &Arguments) -> Result<Value, Box<dyn Error>> {
    let mut rng = Rng::new(2);
    let mut generation = Generation::new(decoder);
    // Those that begin first draw while the others' prompts are computed: nobody is to end before the last does.
    let sampling =
        Sampling { do_sample: false, max_new_tokens: arguments.tokens + 2 * count, ..Sampling::default() };
    for _ in 0..count {
        let prompt: Vec<u32> = (0..arguments.prompt).map(|_| rng.below(decoder.spec.vocab) as u32).collect();
        generation.add(&prompt, &sampling, &[])?;
    }
    let begin = Instant::now();
    let mut begun = BTreeSet::new();
    while begun.len() < count {
        begun.extend(generation.step()?.into_iter().map(|(id, _)| id));
    }
    let prompts = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let mut drawn = 0;
    for _ in 0..arguments.tokens {
        drawn += generation.step()?.iter().filter(|(_, event)| matches!(event, Event::Token(_))).count();
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (_, pages) = generation.cache().pages();
    Ok(json!({
        "sequences": count,
        "prompt_tokens_per_s": (count * arguments.prompt) as f64 / prompts,
        "tokens_per_s": drawn as f64 / seconds,
        "cache_bytes": pages * generation.cache().page_bytes(),
    }))
}
