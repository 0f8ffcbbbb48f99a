//! Which records the sequences are made of.

use std::sync::Arc;

use super::Table;
use crate::encode::{Example, IGNORE_INDEX, Packing, join};
use crate::error::Result;

/// A record: number of its table, and its number there.
pub(crate) type Place = (u32, u32);

/// Sequences over tables.
#[derive(Debug)]
pub(crate) struct View {
    tables: Vec<Arc<Table>>,
    /// Records in the order of training.
    records: Vec<Place>,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    /// One record a sequence.
    Single,
    /// Several records a sequence: `records` up to each end.
    Packed { ends: Vec<usize>, packing: Packing },
    /// Records end to end, cut into blocks.
    Blocks { starts: Vec<(u32, u32)>, blocks: Blocks },
}

/// How plain text is cut into blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    pub length: usize,
    /// So many texts are put end to end at a time.
    pub batch: usize,
    /// Replaces the first id of a block.
    pub bos: Option<u32>,
    /// Does not count in the loss.
    pub pad: Option<u32>,
}

impl View {
    /// Every record of a table, one a sequence.
    pub(crate) fn whole(table: Table) -> Self {
        let records = (0..table.rows()).filter_map(|row| Some((0, table.record(row)?))).collect();
        Self::single(vec![Arc::new(table)], records)
    }

    /// One record a sequence.
    pub(crate) fn single(tables: Vec<Arc<Table>>, records: Vec<Place>) -> Self {
        Self { tables, records, layout: Layout::Single }
    }

    /// Packs `rows`, `batch` of them at a time, those that were left out (`None`) counted; also returns how many
    /// examples were too long.
    pub(crate) fn packed(
        tables: Vec<Arc<Table>>,
        rows: &[Option<Place>],
        packing: Packing,
        batch: usize,
    ) -> (Self, usize) {
        let (mut records, mut ends, mut left_out) = (Vec::new(), Vec::new(), 0);
        for rows in rows.chunks(batch.max(1)) {
            let batch: Vec<Place> = rows.iter().flatten().copied().collect();
            let lengths: Vec<usize> = batch.iter().map(|place| length(&tables, *place)).collect();
            let (packs, too_long) = packing.packs(&lengths);
            left_out += too_long;
            for pack in packs {
                records.extend(pack.iter().map(|place| batch[*place]));
                ends.push(records.len());
            }
        }
        (Self { tables, records, layout: Layout::Packed { ends, packing } }, left_out)
    }

    /// Puts `rows` end to end and cuts blocks; what is left of a batch is dropped.
    pub(crate) fn blocks(tables: Vec<Arc<Table>>, rows: &[Option<Place>], blocks: Blocks) -> Self {
        let (mut records, mut starts) = (Vec::new(), Vec::new());
        let size = blocks.length.max(1);
        for rows in rows.chunks(blocks.batch.max(1)) {
            // How many ids of the next block are already there, and where it starts.
            let (mut filled, mut start) = (0, (0, 0));
            for record in rows.iter().flatten() {
                let text = length(&tables, *record);
                let mut used = 0;
                while used < text {
                    if filled == 0 {
                        start = (records.len() as u32, used as u32);
                    }
                    let taken = (size - filled).min(text - used);
                    used += taken;
                    filled += taken;
                    if filled == size {
                        starts.push(start);
                        filled = 0;
                    }
                }
                records.push(*record);
            }
        }
        Self { tables, records, layout: Layout::Blocks { starts, blocks } }
    }

    /// Number of sequences.
    pub(crate) fn len(&self) -> usize {
        match &self.layout {
            Layout::Single => self.records.len(),
            Layout::Packed { ends, .. } => ends.len(),
            Layout::Blocks { starts, .. } => starts.len(),
        }
    }

    pub(crate) fn largest_id(&self) -> Option<u32> {
        let bos = match &self.layout {
            Layout::Blocks { blocks, .. } => blocks.bos,
            _ => None,
        };
        self.tables
            .iter()
            .filter_map(|table| table.largest_id())
            .max()
            .map(|id| bos.map_or(id, |bos| id.max(bos)))
    }

    /// Puts sequence number `place` together.
    pub(crate) fn get(&self, place: usize) -> Result<Example> {
        match &self.layout {
            Layout::Single => self.record(place),
            Layout::Packed { ends, packing } => {
                let start = if place == 0 { 0 } else { ends[place - 1] };
                let members =
                    (start..ends[place]).map(|place| self.record(place)).collect::<Result<Vec<_>>>()?;
                Ok(join(members.iter(), *packing))
            }
            Layout::Blocks { starts, blocks } => self.block(starts[place], blocks),
        }
    }

    fn record(&self, place: usize) -> Result<Example> {
        let (table, record) = self.records[place];
        self.tables[table as usize].get(record)
    }

    fn block(&self, (place, skipped): (u32, u32), blocks: &Blocks) -> Result<Example> {
        let (mut place, mut skipped) = (place as usize, skipped as usize);
        let mut ids = Vec::with_capacity(blocks.length);
        while ids.len() < blocks.length {
            let text = self.record(place)?.ids;
            ids.extend(text.iter().skip(skipped).take(blocks.length - ids.len()));
            (place, skipped) = (place + 1, 0);
        }
        if let (Some(bos), Some(first)) = (blocks.bos, ids.first_mut()) {
            *first = bos;
        }
        let label = |id: &u32| if Some(*id) == blocks.pad { IGNORE_INDEX } else { i64::from(*id) };
        let labels = ids.iter().map(label).collect();
        Ok(Example::new(ids, labels))
    }
}

fn length(tables: &[Arc<Table>], (table, record): Place) -> usize {
    tables[table as usize].length(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_run_over_texts_and_drop_what_is_left_of_a_batch() {
        let text =
            |ids: &[u32]| Example::new(ids.to_vec(), Vec::from_iter(ids.iter().map(|id| i64::from(*id))));
        let table = Table::of(&[text(&[1, 2, 3]), text(&[4, 5]), text(&[6, 7]), text(&[8, 9, 10, 11, 12])]);
        let records: Vec<Option<Place>> = (0..4).map(|record| Some((0, record))).collect();
        let blocks = Blocks { length: 2, batch: 3, bos: None, pad: Some(5) };
        let view = View::blocks(vec![Arc::new(table)], &records, blocks);
        let ids: Vec<Vec<u32>> = (0..view.len()).map(|place| view.get(place).expect("a block").ids).collect();
        assert_eq!(ids, [[1, 2], [3, 4], [5, 6], [8, 9], [10, 11]]);
        assert_eq!(view.get(2).expect("a block").labels, [IGNORE_INDEX, 6]);
    }
}
