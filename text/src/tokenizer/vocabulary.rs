//! Byte-level BPE as GPT-2 shipped it: `vocab.json` with ids and `merges.txt` with a pair a line, best first.
//!
//! The files do not say how text is split; the class that the configuration names does.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper};

use super::byte_level::byte_level;
use super::classes::splitting;
use super::files::{MERGES, VOCABULARY, broken, part, read};
use crate::error::{Error, Result};

/// Builds the tokenizer that `class` is with the two files of a folder.
///
/// # Errors
/// With file and place, if one of them is not what it should be.
pub(super) fn build(
    folder: &Path,
    class: &str,
    config: &Map<String, Value>,
) -> Result<tokenizers::Tokenizer> {
    let [vocab, merges] = [VOCABULARY, MERGES].map(|name| folder.join(name));
    let model = BPE::builder().vocab_and_merges(ids(&vocab)?, pairs(&merges)?).build();
    // All that can be wrong now is a merge whose parts or result have no id.
    let model = model.map_err(|e| broken(&merges, format!("does not go with {VOCABULARY}: {e}")))?;
    let prefix = config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or_default();
    let (normalizer, pre_tokenizer) = splitting(class, prefix);
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer
        .with_normalizer(part::<NormalizerWrapper>(folder, normalizer)?)
        .map_err(|e| Error::tokenizer(&folder.display().to_string(), e.to_string()))?;
    tokenizer.with_pre_tokenizer(part::<PreTokenizerWrapper>(folder, pre_tokenizer)?);
    tokenizer.with_decoder(part::<DecoderWrapper>(folder, byte_level(true))?);
    Ok(tokenizer)
}

fn ids(path: &Path) -> Result<Vocab> {
    let vocabulary: Map<String, Value> =
        serde_json::from_slice(&read(path)?).map_err(|e| Error::json(path, &e, 0))?;
    let id = |(token, id): (String, Value)| match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
        Some(id) => Ok((token, id)),
        None => Err(broken(path, format!("the id of \"{token}\" is {id}, not a number"))),
    };
    vocabulary.into_iter().map(id).collect()
}

fn pairs(path: &Path) -> Result<Vec<(String, String)>> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|e| broken(path, format!("is not UTF-8: {e}")))?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.is_empty());
    let pair = |(index, line): (usize, &str)| {
        let parts = line.split_once(' ').filter(|(_, second)| !second.contains(' '));
        let (first, second) = parts.ok_or_else(|| Error::Parse {
            path: path.to_owned(),
            line: index + 1,
            column: 0,
            message: format!("\"{line}\" is not two parts of a token with a blank between them"),
        })?;
        Ok((first.to_owned(), second.to_owned()))
    };
    lines.map(pair).collect()
}
