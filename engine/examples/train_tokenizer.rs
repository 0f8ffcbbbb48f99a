//! Trains a byte-level BPE tokenizer on the `text` column of a JSON lines file.
//!
//! Usage: `cargo run --release -p engine --example train_tokenizer -- CORPUS.jsonl TOKENIZER.json VOCAB_SIZE`
//!
//! The same corpus gives the same file: merges are ranked by count, ties by token ids.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// Ids 0, 1 and 2, in this order. The first ends and pads plain text, the others frame turns.
const SPECIAL_TOKENS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

#[derive(Deserialize)]
struct Row {
    text: String,
}

/// Reads the rows' texts without the special tokens, which must not be merged into other words.
fn corpus_texts(path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let file = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut texts = Vec::new();
    for (number, line) in file.lines().enumerate() {
        let row: Row = serde_json::from_str(line)
            .map_err(|e| format!("{}, line {}: {e}", path.display(), number + 1))?;
        let text = SPECIAL_TOKENS.iter().fold(row.text, |text, token| text.replace(token, ""));
        texts.push(text);
    }
    Ok(texts)
}

fn train(texts: &[String], vocab_size: usize) -> Result<Tokenizer, Box<dyn Error + Send + Sync>> {
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .special_tokens(SPECIAL_TOKENS.iter().map(|&token| AddedToken::from(token, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level));
    tokenizer.with_decoder(Some(byte_level));
    tokenizer.train(&mut TrainerWrapper::from(trainer), texts.iter())?;
    Ok(tokenizer)
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, output, vocab_size] = arguments.as_slice() else {
        return Err("give three arguments: CORPUS.jsonl TOKENIZER.json VOCAB_SIZE".into());
    };
    let vocab_size =
        vocab_size.parse().map_err(|_| format!("VOCAB_SIZE must be a whole number, not {vocab_size:?}"))?;
    let texts = corpus_texts(Path::new(corpus)).map_err(|e| e.to_string())?;
    let tokenizer = train(&texts, vocab_size)?;
    tokenizer.save(output, false)?;
    println!("{output}: {} tokens from {} texts", tokenizer.get_vocab_size(true), texts.len());
    Ok(())
}
