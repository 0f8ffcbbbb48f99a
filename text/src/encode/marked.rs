//! Conversations in which the model's own chat template marks what is learnt.

use super::{Example, IGNORE_INDEX, Masking};
use crate::Tokenizer;
use crate::data::Record;
use crate::error::{Error, Result};
use crate::template::{ChatTemplate, Template};

/// The conversation as `own` writes it, cut to `cutoff_len` tokens; what the template marks counts, or with
/// `mask_history` the last of it.
///
/// # Errors
/// If the chat template cannot express the conversation.
pub(super) fn marked(
    record: &Record,
    (template, own): (&Template, &ChatTemplate),
    tokenizer: &Tokenizer,
    masking: Masking,
    cutoff_len: usize,
) -> Result<Example> {
    let dialogue = record.dialogue(0);
    let rendered = template.write_marked(own, &dialogue).map_err(|error| record.origin.blame(error))?;
    let masked: Vec<bool> = dialogue.messages.iter().skip(1).step_by(2).map(|answer| answer.masked).collect();
    let all = rendered.generated.as_slice();
    let ranges = match all {
        [.., last] if masking.mask_history => vec![last.clone()],
        _ if !masked.contains(&true) => all.to_vec(),
        _ if masked.len() == all.len() => {
            all.iter().zip(&masked).filter(|(_, masked)| !**masked).map(|(range, _)| range.clone()).collect()
        }
        _ => {
            let message = format!(
                "marks {} parts of a conversation with {} answers as generated, so that it is not known which of them \
                 an answer with a \"weight\" of 0 is",
                all.len(),
                masked.len()
            );
            return Err(record.origin.blame(Error::Template { name: own.name(), message }));
        }
    };
    let (mut ids, mut counts) = tokenizer.encode_marked(&rendered.text, &ranges)?;
    ids.truncate(cutoff_len);
    counts.truncate(cutoff_len);
    let label = |(id, counts): (&u32, &bool)| {
        if *counts || masking.train_on_prompt { i64::from(*id) } else { IGNORE_INDEX }
    };
    let labels = ids.iter().zip(&counts).map(label).collect();
    Ok(Example::new(ids, labels))
}
