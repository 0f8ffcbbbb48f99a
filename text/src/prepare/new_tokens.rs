//! Tokens that a recipe adds, and what they mean.

use std::path::Path;

use recipe::{Recipe, TokenInit, descriptions};

use crate::error::{Error, Result};
use crate::files;
use crate::tokenizer::Tokenizer;

/// The key of the file.
const KEY: &str = "new_special_tokens_config";
/// Bytes of a file of descriptions, at most.
const LONGEST: u64 = 1 << 20;

/// What the row of a new token starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The new token.
    pub id: u32,
    /// The tokens of its description, new ones among them.
    pub described_by: Vec<u32>,
}

/// The special tokens that the recipe's file describes, with their descriptions; none without a file.
pub(super) fn described(recipe: &Recipe) -> Result<Vec<(String, String)>> {
    let Some(path) = &recipe.new_special_tokens_config else { return Ok(Vec::new()) };
    let path = Path::new(path);
    let text = files::read_text(path, LONGEST).map_err(|error| Error::read(path, error))?;
    let wrong =
        |problem: String| Error::Setting { key: KEY, message: format!("{}: {problem}", path.display()) };
    let described = descriptions(&text).map_err(|problem| wrong(problem.to_string()))?;
    if described.is_empty() {
        return Err(wrong("describes no token; write them as `<token>: what it means`".to_owned()));
    }
    Ok(described)
}

/// The rows that start from a description, as the recipe asks for it; the tokenizer has the tokens by now.
///
/// # Errors
/// If the file of descriptions cannot be read, or a description not be encoded.
pub fn new_rows(recipe: &Recipe, tokenizer: &Tokenizer) -> Result<Vec<NewRow>> {
    if recipe.init_special_tokens == TokenInit::NoiseInit {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for (token, meaning) in described(recipe)? {
        if let Some(id) = tokenizer.token_to_id(&token) {
            rows.push(NewRow { id, described_by: tokenizer.encode(&meaning, false)? });
        }
    }
    Ok(rows)
}
