//! Whether a `tokenizer.json` may be handed to the library that runs it. Tokenizers come with models, which anybody may
//! have made, and the library trusts them: a size that is not there ends the process, a few lines make a text larger
//! than the memory.

mod growth;
mod vocabulary;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;

use growth::{GROWTH, Growth};
use vocabulary::Vocabulary;

/// How deep the parts of a pipeline may be inside of each other.
const DEEPEST: usize = 32;
/// Bytes of the longest added token, and of what is put before a text.
const LONGEST_TOKEN: usize = 4096;
/// Pieces of a template around a text.
const PIECES: usize = 1000;

/// What of the file is looked at.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(borrow)]
    model: Option<Model<'a>>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow, default)]
    vocab: Vocabulary<'a>,
}

/// # Errors
/// What is wrong with it, to follow the file's name.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    // What cannot be read so is refused by the library, in its words.
    let Ok(written) = serde_json::from_slice::<Written<'_>>(bytes) else { return Ok(()) };
    for (name, part) in [
        ("normalizer", &written.normalizer),
        ("pre_tokenizer", &written.pre_tokenizer),
        ("post_processor", &written.post_processor),
        ("decoder", &written.decoder),
    ] {
        if !is_shallow(part, DEEPEST) {
            return Err(format!("its {name} has parts inside of each other more than {DEEPEST} levels deep"));
        }
        check_lengths(part).map_err(|why| format!("its {name} {why}"))?;
    }
    for (name, part) in [("normalizer", &written.normalizer), ("decoder", &written.decoder)] {
        let growth = Growth::of(part).map_err(|why| format!("its {name} {why}"))?;
        if growth > GROWTH {
            return Err(format!(
                "its {name} may make a text {growth:.0} times as long; at most {GROWTH} times is allowed"
            ));
        }
    }
    written.model.map_or(Ok(()), |model| model.vocab.check())
}

/// # Errors
/// If a post-processor puts in a token or an id that the vocabulary lacks.
pub(super) fn check_post_processor(tokenizer: &tokenizers::Tokenizer) -> Result<(), String> {
    let written = serde_json::to_value(tokenizer.get_post_processor()).unwrap_or_default();
    let unknown = |named: &Value| match (named.as_str(), named.as_u64()) {
        (Some(token), _) => tokenizer.token_to_id(token).is_none(),
        (_, Some(id)) => u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id)).is_none(),
        _ => false,
    };
    match put_in(&written).into_iter().find(unknown) {
        Some(named) => Err(format!("its post_processor puts in {named}, which its vocabulary does not have")),
        None => Ok(()),
    }
}

/// The tokens and ids that post-processors put in: those of a template, and those around a text.
fn put_in(part: &Value) -> Vec<Value> {
    let list = |part: &Value, key: &str| part.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found: Vec<Value> = list(part, "processors").iter().flat_map(put_in).collect();
    for (_, token) in part.get("special_tokens").and_then(Value::as_object).into_iter().flatten() {
        found.extend(list(token, "tokens").into_iter().chain(list(token, "ids")));
    }
    found.extend(["sep", "cls"].into_iter().flat_map(|key| list(part, key)));
    found
}

/// # Errors
/// If an added token is longer than any should be.
pub(super) fn check_tokens<'a>(tokens: impl IntoIterator<Item = &'a AddedToken>) -> Result<(), String> {
    match tokens.into_iter().find(|token| token.content.len() > LONGEST_TOKEN) {
        Some(token) => Err(format!(
            "an added token has {} bytes; at most {LONGEST_TOKEN} are allowed",
            token.content.len()
        )),
        None => Ok(()),
    }
}

/// Refuses what would be put around or before every text again and again.
fn check_lengths(part: &Value) -> Result<(), String> {
    if let Some(prefix) =
        part.get("prepend").and_then(Value::as_str).filter(|text| text.len() > LONGEST_TOKEN)
    {
        return Err(format!(
            "puts {} bytes before a text; at most {LONGEST_TOKEN} are allowed",
            prefix.len()
        ));
    }
    for key in ["single", "pair"] {
        let pieces = part.get(key).and_then(Value::as_array).map_or(0, Vec::len);
        if pieces > PIECES {
            return Err(format!("makes a text of {pieces} pieces; at most {PIECES} are allowed"));
        }
    }
    match part {
        Value::Array(parts) => parts.iter().try_for_each(check_lengths),
        Value::Object(parts) => parts.values().try_for_each(check_lengths),
        _ => Ok(()),
    }
}

fn is_shallow(part: &Value, levels: usize) -> bool {
    match part {
        Value::Array(parts) => levels > 0 && parts.iter().all(|part| is_shallow(part, levels - 1)),
        Value::Object(parts) => levels > 0 && parts.values().all(|part| is_shallow(part, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
