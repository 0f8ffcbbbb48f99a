//! One process of the encoding benchmark: a data set read, encoded for supervised training and written to the cache.
//!
//! Takes the same arguments as `benches/reference_encode.py` and prints the same line of JSON:
//! `{"rows": ..., "seconds": ..., "tokens": ..., "peak_mb": ...}`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use engine::text::{Tokenizer, prepare, prepare_tokenizer};
use recipe::Recipe;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut recipe = Recipe { overwrite_cache: true, cutoff_len: 1024, ..Recipe::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--data" => recipe.dataset_dir = value()?,
            "--dataset" => recipe.dataset = vec![value()?],
            "--tokenizer" => recipe.model_name_or_path = value()?,
            "--template" => recipe.template = Some(value()?),
            other => return Err(format!("{other} is not known").into()),
        }
    }
    let mut tokenizer = Tokenizer::from_folder(Path::new(&recipe.model_name_or_path))?;
    let template = prepare_tokenizer(&recipe, &mut tokenizer, &mut |_| {})?;
    let begin = Instant::now();
    let prepared = prepare(&recipe, &tokenizer, &template, &mut |_| {})?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut tokens = 0;
    for example in prepared.train.iter() {
        tokens += example?.ids.len();
    }
    let peak_mb = peak_memory().map(|bytes| bytes as f64 / 1e6);
    println!(
        "{}",
        json!({"rows": prepared.train.len(), "seconds": seconds, "tokens": tokens, "peak_mb": peak_mb})
    );
    Ok(())
}

/// Most memory the process has held, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
