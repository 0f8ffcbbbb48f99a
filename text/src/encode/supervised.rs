//! Conversations whose answers are learnt.

use super::{Example, IGNORE_INDEX, share_budget};
use crate::Tokenizer;
use crate::data::Record;
use crate::error::Result;
use crate::template::{Dialogue, Template};

/// What counts in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masking {
    /// Prompts count too. Not with templates that have `efficient_eos`.
    pub train_on_prompt: bool,
    /// Only the last answer counts, and it is the last to be cut.
    pub mask_history: bool,
}

/// All turns of a conversation within `cutoff_len` tokens. Turns that no longer fit are left out: the last ones, or
/// with `mask_history` the first. A chat template that marks what is learnt writes the conversation itself.
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
    if let Some(own) = &template.marked {
        return super::marked::marked(record, (template, own), tokenizer, masking, cutoff_len);
    }
    let discard_history = masking.mask_history && !template.preserve_thinking;
    let dialogue = record.dialogue(0);
    let is_masked = |turn: usize| dialogue.messages.get(2 * turn + 1).is_some_and(|answer| answer.masked);
    let turns = template.encode_multiturn(tokenizer, &dialogue, discard_history);
    let turns = turns.map_err(|error| record.origin.blame(error))?;
    let eos = tokenizer.eos_id().filter(|_| template.efficient_eos);

    let mut used = usize::from(template.efficient_eos);
    let mut kept = Vec::with_capacity(turns.len());
    let mut order: Vec<usize> = (0..turns.len()).collect();
    if masking.mask_history {
        order.reverse();
    }
    for (place, number) in order.into_iter().enumerate() {
        let (prompt, answer) = &turns[number];
        if used >= cutoff_len {
            break;
        }
        let (prompt_len, answer_len) = share_budget(prompt.len(), answer.len(), cutoff_len - used);
        used += prompt_len + answer_len;
        let mut turn = Example::of_turn(&prompt[..prompt_len], &answer[..answer_len]);
        let (prompt_labels, answer_labels) = turn.labels.split_at_mut(prompt_len);
        if masking.train_on_prompt {
            prompt_labels.iter_mut().zip(prompt).for_each(|(label, id)| *label = i64::from(*id));
        } else if let (Some(eos), Some(first)) = (eos.filter(|_| place != 0), prompt_labels.first_mut())
            && !(number > 0 && is_masked(number - 1))
        {
            // The previous answer carries no EOS: the model learns to stop where the next turn starts.
            *first = i64::from(eos);
        }
        if (masking.mask_history && place != 0) || is_masked(number) {
            answer_labels.fill(IGNORE_INDEX);
        }
        kept.push(turn);
    }
    if masking.mask_history {
        kept.reverse();
    }
    let last = if masking.mask_history { turns.len() } else { kept.len() };
    let mut example = Example::default();
    for turn in kept {
        example.ids.extend(turn.ids);
        example.labels.extend(turn.labels);
    }
    if let Some(eos) = eos {
        example.ids.push(eos);
        let counts = !(last > 0 && is_masked(last - 1));
        example.labels.push(if counts { i64::from(eos) } else { IGNORE_INDEX });
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
