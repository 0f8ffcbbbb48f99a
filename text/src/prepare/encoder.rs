//! From records to sequences, by the recipe's stage and settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use recipe::{Recipe, Stage};

use super::sets::{Row, Sets};
use crate::data::{DataSource, Kind, Outcome, RawRow, Record, Seen, Skipped, on_all_cores};
use crate::encode::{Example, Masking, Packing, PlainText, RecordEncoder, judged};
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::store::{Blocks, Examples, Place, View};
use crate::template::Template;
use crate::tokenizer::Tokenizer;

/// What a recipe makes of a record.
#[derive(Clone)]
pub(super) struct Encoder {
    tokenizer: Tokenizer,
    template: Template,
    stage: Stage,
    /// What records must be.
    kind: Kind,
    masking: Masking,
    plain: PlainText,
    /// Longest example.
    cutoff_len: usize,
    packs: bool,
    isolated: bool,
    /// Examples that are packed among themselves.
    pub batch: usize,
    stop: Arc<AtomicBool>,
}

impl Encoder {
    pub(super) fn new(
        recipe: &Recipe,
        tokenizer: &Tokenizer,
        template: &Template,
        stop: Arc<AtomicBool>,
    ) -> Self {
        // Asking for packing costs one token of each sequence, which stays padding; packing by default does not.
        let asked = recipe.neat_packing || recipe.packing == Some(true);
        let cutoff_len = recipe.cutoff_len - usize::from(asked && recipe.cutoff_len > 1);
        Self {
            tokenizer: tokenizer.clone(),
            template: template.clone(),
            stage: recipe.stage,
            kind: if recipe.generates() { Kind::Prompt } else { recipe.stage.into() },
            masking: Masking { train_on_prompt: recipe.train_on_prompt, mask_history: recipe.mask_history },
            plain: PlainText::of(template, (!recipe.packs()).then_some(cutoff_len)),
            cutoff_len,
            packs: recipe.packs(),
            isolated: recipe.neat_packing,
            batch: recipe.preprocessing_batch_size,
            stop,
        }
    }

    /// # Errors
    /// If the user wants no more of it.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
    }

    /// What records must be.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Everything that decides what a record is encoded to, as bytes.
    pub(super) fn identity(&self) -> Result<Vec<u8>> {
        let Self { tokenizer, template, stage, kind, masking, plain, cutoff_len, .. } = self;
        let lending = self.lending();
        let settings =
            format!("{template:?} {stage:?} {kind:?} {masking:?} {plain:?} {cutoff_len} {lending:?}");
        Ok([settings.into_bytes(), tokenizer.identity()?].concat())
    }

    /// Parses, converts and encodes rows on all cores, in their order.
    pub(super) fn encode(
        &self,
        source: &DataSource,
        rows: Vec<RawRow>,
        seen: &Seen,
    ) -> Result<Vec<std::result::Result<Example, Skipped>>> {
        if let Some(batch) = self.lending() {
            return self.judged(on_all_cores(rows, |row| source.convert(row, seen))?, batch);
        }
        let one = |row: RawRow| {
            Ok(match source.convert(row, seen)? {
                Outcome::Record(record) => Ok(self.record(&record)?),
                Outcome::Skipped(skipped) => Err(skipped),
            })
        };
        on_all_cores(rows, one)
    }

    /// Rows that lend each other their answers, where records do that.
    pub(super) fn lending(&self) -> Option<usize> {
        (self.kind() == Kind::Feedback).then_some(self.batch.max(1))
    }

    /// Judged answers. In every `batch` rows, each record is also given the answer of the one before it, the first one
    /// that of the last.
    fn judged(
        &self,
        outcomes: Vec<Outcome>,
        batch: usize,
    ) -> Result<Vec<std::result::Result<Example, Skipped>>> {
        let mut examples = Vec::with_capacity(outcomes.len());
        for outcomes in outcomes.chunks(batch) {
            let records: Vec<&Record> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    Outcome::Record(record) => Some(record),
                    Outcome::Skipped(_) => None,
                })
                .collect();
            let lenders = records.iter().cycle().skip(records.len().saturating_sub(1));
            let made = on_all_cores(lenders.zip(&records).collect(), |(before, record)| {
                let judged = judged(record, before, &self.template, &self.tokenizer, self.cutoff_len)?;
                Ok(judged.together())
            })?;
            let mut made = made.into_iter();
            examples.extend(outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Record(_) => made.next().map(Ok),
                Outcome::Skipped(skipped) => Some(Err(skipped.clone())),
            }));
        }
        Ok(examples)
    }

    fn record(&self, record: &Record) -> Result<Example> {
        let Self { template, tokenizer, masking, plain, cutoff_len, .. } = self;
        let encoding =
            RecordEncoder { template, tokenizer, masking: *masking, plain, cutoff_len: *cutoff_len };
        Ok(Example::together(encoding.sequences(record, self.kind())?))
    }

    /// The sequences that `order` makes.
    pub(super) fn sequences(
        &self,
        sets: &Sets,
        order: &[Row],
        what: &str,
        observer: &mut Observer,
    ) -> Result<Examples> {
        let rows: Vec<Option<Place>> = order.iter().map(|row| sets.place(*row)).collect();
        let (view, remark) = self.view(sets, &rows);
        if let Some(remark) = remark {
            observer.info(remark);
        }
        if view.len() == 0 {
            return Err(Error::Setting {
                key: "cutoff_len",
                message: format!(
                    "the {what} data are too short for one sequence of {} tokens; lower cutoff_len or turn packing off",
                    self.cutoff_len
                ),
            });
        }
        Ok(Examples::indexed(view))
    }

    /// Lays rows out as sequences; answers besides with what the user should know of it.
    pub(super) fn view(&self, sets: &Sets, rows: &[Option<Place>]) -> (View, Option<String>) {
        let tables = sets.tables();
        if !self.packs {
            return (View::single(tables, rows.iter().flatten().copied().collect()), None);
        }
        let pad = self.tokenizer.pad_id();
        if self.stage == Stage::Pt {
            let bos = self.tokenizer.bos_id().filter(|_| self.tokenizer.adds_bos());
            let blocks = Blocks { length: self.cutoff_len, batch: self.batch, bos, pad };
            return (View::blocks(tables, rows, blocks), None);
        }
        let packing =
            Packing { capacity: self.cutoff_len, isolated: self.isolated, pad: pad.unwrap_or_default() };
        let (view, left_out) = View::packed(tables, rows, packing, self.batch);
        let length = self.cutoff_len;
        let remark = (left_out > 0).then(|| {
            format!("{left_out} examples are longer than {length} tokens and were left out of packing.")
        });
        (view, remark)
    }
}
