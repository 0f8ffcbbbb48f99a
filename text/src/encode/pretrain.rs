//! Plain text to continue.

use super::{Example, IGNORE_INDEX};
use crate::Tokenizer;
use crate::error::{Error, Result};
use crate::template::Template;

/// How a plain text is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainText {
    /// Cut to so many tokens, behind BOS if the tokenizer wants one; `None` leaves the text whole and without BOS, to
    /// be put end to end with others.
    pub cutoff_len: Option<usize>,
    /// What closes a text; `None` is the tokenizer's EOS.
    pub end: Option<String>,
}

impl PlainText {
    /// Plain text as runs with this template encode it.
    pub fn of(template: &Template, cutoff_len: Option<usize>) -> Self {
        // Llama 3's end of a turn, which becomes EOS, is not its end of a text.
        Self { cutoff_len, end: (template.name == "llama3").then(|| "<|end_of_text|>".to_owned()) }
    }
}

/// Token ids of `text`. All count but padding tokens.
///
/// # Errors
/// If the text cannot be tokenized, or the tokenizer has no EOS.
pub fn plain_text(text: &str, tokenizer: &Tokenizer, options: &PlainText) -> Result<Example> {
    let eos = tokenizer.special_tokens().eos.as_deref();
    let end = options
        .end
        .as_deref()
        .or(eos)
        .ok_or_else(|| Error::tokenizer(tokenizer.origin(), "has no EOS token"))?;
    let mut ids = tokenizer.encode(&format!("{text}{end}"), false)?;
    if let Some(cutoff_len) = options.cutoff_len {
        ids.splice(0..0, tokenizer.bos_id().filter(|_| tokenizer.adds_bos()));
        ids.truncate(cutoff_len);
    }
    let pad = tokenizer.pad_id();
    let label = |id: &u32| if Some(*id) == pad { IGNORE_INDEX } else { i64::from(*id) };
    let labels = ids.iter().map(label).collect();
    Ok(Example::new(ids, labels))
}
