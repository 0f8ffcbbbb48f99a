//! One process of the encoding benchmark: a data set read, encoded for supervised training and written to the cache.
//!
//! Takes the same arguments as `benches/reference_encode.py` and prints the same line of JSON:
//! `{"rows": ..., "seconds": ..., "tokens": ..., "peak_mb": ...}`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use engine::observer::Observer;
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
    let (template, _) = prepare_tokenizer(&recipe, &mut tokenizer)?;
    let begin = Instant::now();
    let prepared = prepare(&recipe, &tokenizer, &template, 1, &mut Observer::deaf())?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut tokens = 0;
    for example in prepared.train.iter() {
        tokens += example?.ids.len();
    }
    let peak_mb = engine::memory::peak().map(|bytes| bytes as f64 / 1e6);
    println!(
        "{}",
        json!({"rows": prepared.train.len(), "seconds": seconds, "tokens": tokens, "peak_mb": peak_mb})
    );
    Ok(())
}
