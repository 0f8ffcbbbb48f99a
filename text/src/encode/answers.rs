//! Prompts with answers that are compared, judged, or yet to be made.

use super::{Example, share_budget};
use crate::Tokenizer;
use crate::data::Record;
use crate::error::Result;
use crate::template::{Dialogue, Message, Role, Template};

/// A prompt with two answers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The prompt with the better answer.
    pub chosen: Example,
    /// The prompt with the worse one.
    pub rejected: Example,
}

/// A prompt with a judged answer, and with an answer to some other prompt: KTO estimates the KL divergence on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The prompt with its own answer.
    pub example: Example,
    /// The prompt with another prompt's answer.
    pub mismatched: Example,
    /// Whether the own answer was found good.
    pub wanted: bool,
}

/// A prompt to answer, with the answer that the data give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompted {
    /// Token ids of the prompt.
    pub prompt: Vec<u32>,
    /// Token ids of the data's answer.
    pub answer: Vec<u32>,
}

/// Prompt and answer of a conversation of `record`, the answer closed by EOS if the template leaves that to training.
fn turn(
    record: &Record,
    dialogue: &Dialogue,
    template: &Template,
    tokenizer: &Tokenizer,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let turn = template.encode_oneturn(tokenizer, dialogue);
    let (prompt, mut answer) = turn.map_err(|error| record.origin.blame(error))?;
    answer.extend(tokenizer.eos_id().filter(|_| template.efficient_eos));
    Ok((prompt, answer))
}

/// A chosen and a rejected answer behind one prompt, cut alike.
///
/// # Errors
/// If the template cannot express the conversation.
pub fn pairwise(
    record: &Record,
    template: &Template,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
) -> Result<Pair> {
    let (prompt, chosen) = turn(record, &record.dialogue(0), template, tokenizer)?;
    let (_, rejected) = turn(record, &record.dialogue(1), template, tokenizer)?;
    let (prompt_len, answer_len) = share_budget(prompt.len(), chosen.len().max(rejected.len()), cutoff_len);
    let example =
        |answer: &[u32]| Example::of_turn(&prompt[..prompt_len], &answer[..answer_len.min(answer.len())]);
    Ok(Pair { chosen: example(&chosen), rejected: example(&rejected) })
}

/// Judged answers. Each record's mismatched answer is that of the record before it; in every `batch` records, the first
/// one's is the last's.
///
/// # Errors
/// If the template cannot express a conversation.
pub fn feedback(
    records: &[Record],
    template: &Template,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    batch: usize,
) -> Result<Vec<Feedback>> {
    let batches = records.chunks(batch.max(1));
    let each = batches.flat_map(|batch| batch.iter().cycle().skip(batch.len() - 1).zip(batch));
    each.map(|(before, record)| judged(record, before, template, tokenizer, cutoff_len)).collect()
}

/// A judged answer; the mismatched one is that of the record `before`.
///
/// # Errors
/// If the template cannot express the conversation.
pub fn judged(
    record: &Record,
    before: &Record,
    template: &Template,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
) -> Result<Feedback> {
    let encode = |answer: &Record| {
        let answer = answer.response.iter().find(|answer| !answer.is_empty()).cloned();
        let mut dialogue = record.dialogue(usize::MAX);
        dialogue.messages.push(answer.unwrap_or_else(|| Message::new(Role::Assistant, "")));
        let (prompt, answer) = turn(record, &dialogue, template, tokenizer)?;
        let (prompt_len, answer_len) = share_budget(prompt.len(), answer.len(), cutoff_len);
        Ok(Example::of_turn(&prompt[..prompt_len], &answer[..answer_len]))
    };
    Ok(Feedback {
        example: encode(record)?,
        mismatched: encode(before)?,
        wanted: record.response.first().is_some_and(|first| !first.is_empty()),
    })
}

impl Feedback {
    /// Both sequences as one example, the mismatched one last.
    pub fn together(self) -> Example {
        let unwanted = !self.wanted;
        Example { unwanted, ..Example::together(vec![self.example, self.mismatched]) }
    }
}

/// A prompt and the answer to it, cut to `cutoff_len` together; without an answer in the data, what the template puts
/// around an empty one.
///
/// # Errors
/// If the template cannot express the conversation.
pub fn prompted(
    record: &Record,
    template: &Template,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
) -> Result<Prompted> {
    let mut dialogue = record.dialogue(usize::MAX);
    dialogue.messages.push(match record.response.as_slice() {
        [answer] => answer.clone(),
        _ => Message::new(Role::Assistant, ""),
    });
    let (mut prompt, mut answer) = turn(record, &dialogue, template, tokenizer)?;
    let (prompt_len, answer_len) = share_budget(prompt.len(), answer.len(), cutoff_len);
    prompt.truncate(prompt_len);
    answer.truncate(answer_len);
    Ok(Prompted { prompt, answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As LLaMA-Factory, which turns the answers round inside each batch of its preprocessing.
    #[test]
    fn mismatched_answers_come_from_the_same_batch() -> Result<()> {
        let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens/data/base");
        let tokenizer = Tokenizer::from_folder(std::path::Path::new(base))?;
        let record = |number: usize| Record {
            prompt: vec![Message::new(Role::User, "Q")],
            response: vec![
                Message::new(Role::Assistant, number.to_string()),
                Message::new(Role::Assistant, ""),
            ],
            ..Record::default()
        };
        let records: Vec<Record> = (0..5).map(record).collect();
        let answers = |batch: usize| -> Result<String> {
            let judged = feedback(&records, &Template::named("empty")?, &tokenizer, 64, batch)?;
            let digits = judged.iter().map(|judged| tokenizer.decode(&judged.mismatched.ids, true));
            Ok(digits.collect::<Result<String>>()?.chars().filter(char::is_ascii_digit).collect())
        };
        assert_eq!(answers(1000)?, "40123");
        assert_eq!(answers(2)?, "10324");
        Ok(())
    }
}
