//! The recipe's data sets, encoded, and the order in which their rows come.

use std::path::Path;
use std::sync::Arc;

use recipe::{MixStrategy, Recipe};

use super::encoder::Encoder;
use crate::data::mix::{Mix, Stop};
use crate::data::{Catalog, DataSource, Seen, Skipped, chunk, draw};
use crate::error::{Error, Result};
use crate::hub::Hubs;
use crate::numpy::{DefaultRng, LegacyRng};
use crate::observer::Observer;
use crate::store::{Place, Table, TableWriter, cache};

/// A row: number of its data set, and of the row there.
pub(super) type Row = (usize, usize);

/// How many rows that were left out are logged one by one.
const LOGGED_ROWS: usize = 5;

/// Encoded data sets.
#[derive(Clone)]
pub(super) struct Sets(Vec<Set>);

#[derive(Clone)]
struct Set {
    table: Arc<Table>,
    /// The rows that are taken, in their order; `None`: the first so many.
    drawn: Option<Arc<Vec<usize>>>,
    length: usize,
}

impl Sets {
    /// Loads and encodes the data sets called `names`; `rng` draws the rows of those that take only some.
    pub(super) fn load(
        recipe: &Recipe,
        encoder: &Encoder,
        catalog: &Catalog,
        names: &[String],
        rng: &mut LegacyRng,
        observer: &mut Observer,
    ) -> Result<Self> {
        let hubs = Hubs::with_tokens(&recipe.tokens);
        let mut sets = Vec::with_capacity(names.len());
        for name in names {
            let source = catalog.source(name, encoder.kind(), &hubs)?;
            sets.push(load(recipe, encoder, &source, rng, observer)?);
        }
        Ok(Self(sets))
    }

    /// One data set in memory, all of whose rows are taken.
    pub(super) fn of(table: Table) -> Self {
        let length = table.rows();
        Self(vec![Set { table: Arc::new(table), drawn: None, length }])
    }

    /// Each data set by itself.
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|set| Self(vec![set]))
    }

    pub(super) fn tables(&self) -> Vec<Arc<Table>> {
        self.0.iter().map(|set| Arc::clone(&set.table)).collect()
    }

    /// Where the record of a row is; `None` if the row was left out.
    pub(super) fn place(&self, (set, row): Row) -> Option<Place> {
        let record = self.0.get(set)?.table.record(row)?;
        Some((set as u32, record))
    }

    /// All rows in the order of the recipe's mixing.
    pub(super) fn order(&self, recipe: &Recipe) -> Vec<Row> {
        let lengths: Vec<usize> = self.0.iter().map(|set| set.length).collect();
        let order = mix(recipe, lengths.len()).order(&lengths, recipe.seed);
        let row = |(set, place): (usize, usize)| match &self.0[set].drawn {
            Some(drawn) => (set, drawn[place]),
            None => (set, place),
        };
        order.into_iter().map(row).collect()
    }
}

/// How `sets` data sets are mixed. Where there are several, validation asks for as many shares.
pub(super) fn mix(recipe: &Recipe, sets: usize) -> Mix {
    let stop = match recipe.mix_strategy {
        MixStrategy::Concat => return Mix::Concat,
        MixStrategy::InterleaveUnder => Stop::Under,
        MixStrategy::InterleaveOver => Stop::Over,
        MixStrategy::InterleaveOnce => Stop::Once,
    };
    let shares = recipe.interleave_shares().filter(|shares| shares.len() == sets);
    Mix::Interleave { stop, shares }
}

fn load(
    recipe: &Recipe,
    encoder: &Encoder,
    source: &DataSource,
    rng: &mut LegacyRng,
    observer: &mut Observer,
) -> Result<Set> {
    let name = &source.info.name;
    for note in &source.notes {
        observer.info(format!("Dataset \"{name}\": {note}."));
    }
    // Which rows are drawn depends on how many there are.
    let limit = if source.info.num_samples.is_some() { None } else { recipe.max_samples };
    let table = Arc::new(table(recipe, encoder, source, limit.unwrap_or(usize::MAX), observer)?);
    let drawn = source.info.num_samples.map(|samples| draw(table.rows(), samples, rng));
    let length = drawn.as_ref().map_or(table.rows(), Vec::len).min(recipe.max_samples.unwrap_or(usize::MAX));
    for remark in &table.remarks {
        observer.info(format!("{remark}."));
    }
    let left_out = (0..table.rows()).filter(|row| table.record(*row).is_none()).count();
    let kept = table.rows() - left_out;
    let left_out = if left_out == 0 { String::new() } else { format!(", {left_out} left out") };
    let rows = if kept == 1 { "1 row".to_owned() } else { format!("{kept} rows") };
    observer.info(format!("Dataset \"{name}\": {rows}{left_out}."));
    Ok(Set { table, drawn: drawn.map(Arc::new), length })
}

/// The data set's first `limit` rows, encoded, or as they were encoded before.
fn table(
    recipe: &Recipe,
    encoder: &Encoder,
    source: &DataSource,
    limit: usize,
    observer: &mut Observer,
) -> Result<Table> {
    let folder = cache::folder();
    let info = &source.info;
    let entry = format!(
        "{:?} {:?} {:?} {:?} {} {:?} {limit}",
        info.format, info.columns, info.tags, info.split, info.ranking, source.kind
    );
    let settings = || Ok([entry.into_bytes(), encoder.identity()?].concat());
    let Some(place) = cache::place(&folder, &source.files, settings)? else {
        return encode(encoder, source, limit, TableWriter::memory());
    };
    if !recipe.overwrite_cache
        && let Some(table) = stored(&place, observer)
    {
        observer.info(format!("Dataset \"{}\": encoded before, read from {}.", info.name, place.display()));
        return Ok(table);
    }
    let table = written(&place, |writer| encode(encoder, source, limit, writer), observer)?;
    cache::make_room(&folder);
    Ok(table)
}

/// The table that `write` makes: in the file `place`, where that cannot be written in a temporary one, or else in memory.
pub(super) fn written(
    place: &Path,
    write: impl Fn(TableWriter) -> Result<Table>,
    observer: &mut Observer,
) -> Result<Table> {
    let files: [&dyn Fn() -> Result<TableWriter>; 2] =
        [&|| TableWriter::file(place), &TableWriter::temporary];
    for file in files {
        match file().and_then(&write) {
            Err(problem @ Error::Io { action: "write", .. }) => observer.info(format!(
                "{problem}; the encoded data are kept elsewhere, for this run alone. CHANDLER_CACHE may name another folder."
            )),
            other => return other,
        }
    }
    write(TableWriter::memory())
}

/// What is in the cache; a file that is broken is as good as none.
fn stored(place: &Path, observer: &mut Observer) -> Option<Table> {
    if !place.exists() {
        return None;
    }
    match Table::open(place) {
        Ok(table) => {
            cache::touch(place);
            Some(table)
        }
        Err(error) => {
            observer.info(format!("{error}."));
            None
        }
    }
}

fn encode(encoder: &Encoder, source: &DataSource, limit: usize, mut writer: TableWriter) -> Result<Table> {
    let (mut rows, seen) = (source.rows(), Seen::default());
    let mut left = limit;
    let (mut kept, mut skipped, mut count) = (0, Vec::<Skipped>::new(), 0);
    while left > 0 {
        encoder.go_on()?;
        let rows = chunk(&mut rows, left)?;
        if rows.is_empty() {
            break;
        }
        left -= rows.len();
        for row in encoder.encode(source, rows, &seen)? {
            writer.push(row.as_ref().ok())?;
            match row {
                Ok(_) => kept += 1,
                Err(row) => {
                    count += 1;
                    skipped.extend((count <= LOGGED_ROWS).then_some(row));
                }
            }
        }
    }
    source.check_columns(&seen)?;
    if kept == 0 {
        return Err(source.nothing_left(skipped.first()));
    }
    writer.finish(skipped.iter().map(ToString::to_string).collect())
}

/// Takes `val_size` rows at random out of `train`: a share (rounded up) below 1, else a number. What stays is in
/// random order too.
pub(super) fn split(recipe: &Recipe, train: &mut Vec<Row>) -> Result<Vec<Row>> {
    const NONE: f64 = 1e-6;
    if recipe.val_size <= NONE {
        return Ok(Vec::new());
    }
    let rows = train.len();
    let share = if recipe.val_size < 1.0 { (recipe.val_size * rows as f64).ceil() } else { recipe.val_size };
    let count = share as usize;
    if count >= rows {
        return Err(Error::Setting {
            key: "val_size",
            message: format!("{} takes {count} of {rows} rows and leaves none to train on", recipe.val_size),
        });
    }
    let order = DefaultRng::new(recipe.seed).permutation(rows);
    let eval = order[..count].iter().map(|place| train[*place]).collect();
    *train = order[count..].iter().map(|place| train[*place]).collect();
    Ok(eval)
}
