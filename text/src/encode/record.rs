//! What a record becomes: one sequence, or several that belong together.

use super::{
    Example, IGNORE_INDEX, Masking, Packed, PlainText, Prompted, judged, pairwise, plain_text, prompted,
    supervised,
};
use crate::Tokenizer;
use crate::data::{Kind, Record};
use crate::error::Result;
use crate::template::Template;

/// How records are written and cut.
#[derive(Clone, Copy)]
pub struct RecordEncoder<'a> {
    /// Writes the conversations.
    pub template: &'a Template,
    /// Makes token ids of them.
    pub tokenizer: &'a Tokenizer,
    /// Which turns count in the loss.
    pub masking: Masking,
    /// How plain text is written.
    pub plain: &'a PlainText,
    /// Longest sequence.
    pub cutoff_len: usize,
}

impl RecordEncoder<'_> {
    /// The sequences of a record: of a preference the chosen answer's first; of a judged answer that one alone,
    /// since the mismatched one is another record's.
    ///
    /// # Errors
    /// If the template cannot express the conversation.
    pub fn sequences(&self, record: &Record, kind: Kind) -> Result<Vec<Example>> {
        let RecordEncoder { template, tokenizer, masking, plain, cutoff_len } = *self;
        Ok(match kind {
            Kind::Text => {
                let text = record.prompt.first().map_or("", |message| message.content.as_str());
                vec![plain_text(text, tokenizer, plain)?]
            }
            Kind::Supervised => vec![supervised(record, template, tokenizer, masking, cutoff_len)?],
            Kind::Prompt => {
                let Prompted { prompt, answer } = prompted(record, template, tokenizer, cutoff_len)?;
                vec![Example::of_turn(&prompt, &answer)]
            }
            Kind::Preference => {
                let pair = pairwise(record, template, tokenizer, cutoff_len)?;
                vec![pair.chosen, pair.rejected]
            }
            Kind::Feedback => vec![judged(record, record, template, tokenizer, cutoff_len)?.example],
        })
    }
}

impl Example {
    /// Sequences that belong together, as one example in which they do not see each other.
    pub fn together(sequences: Vec<Example>) -> Example {
        if let [_] = &sequences[..] {
            return sequences.into_iter().next().unwrap_or_default();
        }
        let lengths = sequences.iter().map(|sequence| sequence.ids.len()).collect();
        let mut all = Example { packed: Some(Packed { lengths, isolated: true }), ..Example::default() };
        for sequence in sequences {
            all.ids.extend(sequence.ids);
            let first = all.labels.len();
            all.labels.extend(sequence.labels);
            // Nothing predicts a sequence's first token: what is before it is another one.
            if let Some(label) = all.labels.get_mut(first) {
                *label = IGNORE_INDEX;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_that_belong_together_stay_apart() {
        let one = Example::new(vec![1, 2], vec![-100, 2]);
        assert_eq!(Example::together(vec![one.clone()]), one);
        let two = Example::together(vec![one, Example::new(vec![3, 4, 5], vec![3, 4, 5])]);
        assert_eq!((&two.ids[..], &two.labels[..]), (&[1, 2, 3, 4, 5][..], &[-100, 2, -100, 4, 5][..]));
        assert_eq!(two.packed, Some(Packed { lengths: vec![2, 3], isolated: true }));
        assert_eq!(two.positions(), [0, 1, 0, 1, 2]);
    }
}
