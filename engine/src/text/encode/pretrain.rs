//! Plain text to continue.

use rayon::prelude::*;

use super::{Example, IGNORE_INDEX};
use crate::text::Tokenizer;
use crate::text::error::{Error, Result};

/// How plain text is cut into sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainText {
    pub cutoff_len: usize,
    /// Texts end to end in blocks of `cutoff_len`, the remainder dropped. Otherwise one sequence per text.
    pub packing: bool,
    /// So many texts are put end to end at a time.
    pub batch: usize,
    /// What closes a text; `None` is the tokenizer's EOS.
    pub end: Option<String>,
}

/// Sequences of `texts`. All tokens count but padding tokens.
///
/// # Errors
/// If a text cannot be tokenized, or the tokenizer has no EOS.
pub fn pretrain(texts: &[&str], tokenizer: &Tokenizer, options: &PlainText) -> Result<Vec<Example>> {
    let eos = tokenizer.special_tokens().eos.clone();
    let end = options
        .end
        .clone()
        .or(eos)
        .ok_or_else(|| Error::tokenizer(tokenizer.origin(), "has no EOS token"))?;
    let bos = tokenizer.bos_id().filter(|_| tokenizer.adds_bos());
    let ids = |text: &&str| tokenizer.encode(&format!("{text}{end}"), false);
    let mut sequences: Vec<Vec<u32>> = Vec::new();
    if options.packing {
        for batch in texts.chunks(options.batch.max(1)) {
            let texts: Vec<Vec<u32>> = batch.par_iter().map(ids).collect::<Result<_>>()?;
            let stream = texts.concat();
            sequences.extend(stream.chunks_exact(options.cutoff_len.max(1)).map(<[u32]>::to_vec));
        }
        if let Some(bos) = bos {
            sequences.iter_mut().for_each(|sequence| sequence[0] = bos);
        }
    } else {
        sequences = texts.par_iter().map(ids).collect::<Result<_>>()?;
        for sequence in &mut sequences {
            sequence.splice(0..0, bos);
            sequence.truncate(options.cutoff_len);
        }
    }
    let pad = tokenizer.pad_id();
    let label = |id: &u32| if Some(*id) == pad { IGNORE_INDEX } else { i64::from(*id) };
    Ok(sequences
        .into_iter()
        .map(|ids| {
            let labels = ids.iter().map(label).collect();
            Example::new(ids, labels)
        })
        .collect())
}
