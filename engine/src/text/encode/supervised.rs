//! Conversations whose answers are learnt.

use super::{Example, IGNORE_INDEX, share_budget};
use crate::text::Tokenizer;
use crate::text::data::Record;
use crate::text::error::Result;
use crate::text::template::{Dialogue, Template};

/// What counts in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masking {
    /// Prompts count too. Not with templates that have `efficient_eos`.
    pub train_on_prompt: bool,
    /// Only the last answer counts, and it is the last to be cut.
    pub mask_history: bool,
}

/// All turns of a conversation within `cutoff_len` tokens. Turns that no longer fit are left out: the last ones, or
/// with `mask_history` the first.
///
/// # Errors
/// If the template cannot express the conversation.
pub fn supervised(
    record: &Record,
    template: &Template,
    tokenizer: &Tokenizer,
    masking: Masking,
    cutoff_len: usize,
) -> Result<Example> {
    let discard_history = masking.mask_history && !template.preserve_thinking;
    let turns = template.encode_multiturn(tokenizer, &record.dialogue(0), discard_history);
    let turns = turns.map_err(|error| record.origin.blame(error))?;
    let eos = tokenizer.eos_id().filter(|_| template.efficient_eos);

    let mut used = usize::from(template.efficient_eos);
    let mut kept = Vec::with_capacity(turns.len());
    let order: Box<dyn Iterator<Item = _>> =
        if masking.mask_history { Box::new(turns.iter().rev()) } else { Box::new(turns.iter()) };
    for (place, (prompt, answer)) in order.enumerate() {
        if used >= cutoff_len {
            break;
        }
        let (prompt_len, answer_len) = share_budget(prompt.len(), answer.len(), cutoff_len - used);
        used += prompt_len + answer_len;
        let mut turn = Example::of_turn(&prompt[..prompt_len], &answer[..answer_len]);
        let (prompt_labels, answer_labels) = turn.labels.split_at_mut(prompt_len);
        if masking.train_on_prompt {
            prompt_labels.iter_mut().zip(prompt).for_each(|(label, id)| *label = i64::from(*id));
        } else if let (Some(eos), Some(first)) = (eos.filter(|_| place != 0), prompt_labels.first_mut()) {
            // The previous answer carries no EOS: the model learns to stop where the next turn starts.
            *first = i64::from(eos);
        }
        if masking.mask_history && place != 0 {
            answer_labels.fill(IGNORE_INDEX);
        }
        kept.push(turn);
    }
    if masking.mask_history {
        kept.reverse();
    }
    let mut example = Example::default();
    for turn in kept {
        example.ids.extend(turn.ids);
        example.labels.extend(turn.labels);
    }
    if let Some(eos) = eos {
        example.ids.push(eos);
        example.labels.push(i64::from(eos));
    }
    Ok(example)
}

impl Record {
    /// The conversation with answer number `answer` at its end, if there is one.
    pub fn dialogue(&self, answer: usize) -> Dialogue {
        let mut messages = self.prompt.clone();
        messages.extend(self.response.get(answer).cloned());
        Dialogue { messages, system: self.system.clone(), tools: self.tools.clone() }
    }
}
