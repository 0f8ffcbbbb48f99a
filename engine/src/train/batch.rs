//! Examples as the model takes them.

use std::sync::Arc;

use crate::kernel::attention::Span;
use crate::model::Batch;
use crate::ops::head::Label;
use crate::text::Example;

/// A ragged batch of examples. Records packed together see each other unless they are isolated.
pub(crate) fn batch_of<'e>(examples: impl Iterator<Item = &'e Example>) -> Batch {
    let mut batch = Batch::default();
    for example in examples {
        let start = batch.ids.len();
        let length = example.real_len();
        batch.unwanted.push(example.unwanted);
        batch.ids.extend_from_slice(&example.ids[..length]);
        batch.positions.extend_from_slice(&example.positions()[..length]);
        let spans = Arc::make_mut(&mut batch.spans);
        match &example.packed {
            Some(packed) if packed.isolated => {
                let mut at = start;
                for len in &packed.lengths {
                    spans.push(Span::new(at, *len));
                    at += len;
                }
            }
            _ => spans.push(Span::new(start, length)),
        }
        for (i, label) in example.labels[..length].iter().enumerate().skip(1) {
            if let Ok(token) = u32::try_from(*label) {
                batch.labels.push(Label { row: (start + i - 1) as u32, token });
            }
        }
    }
    batch
}
