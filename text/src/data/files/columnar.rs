//! Parquet and Arrow files: columns in batches, turned into rows one by one.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Number, Value};

use super::{Body, Source, broken};
use crate::error::{Error, Result};

/// Rows that are decoded at a time.
const BATCH: usize = 256;

type Batches = Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + Send>;

struct Columnar {
    path: PathBuf,
    batches: Batches,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    row: usize,
}

pub(super) fn parquet(path: &Path, file: File) -> Result<Box<dyn Source>> {
    let open = || -> std::result::Result<Batches, parquet::errors::ParquetError> {
        Ok(Box::new(ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH).build()?))
    };
    let batches = guarded(path, "Parquet", open)?;
    Ok(Box::new(Columnar { path: path.to_owned(), batches, batch: None, row: 0 }))
}

/// The number of rows that a Parquet file says it has.
pub fn parquet_rows(path: &Path) -> Option<u64> {
    let open = || -> std::result::Result<i64, parquet::errors::ParquetError> {
        let file = crate::files::open(path)?;
        Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.metadata().file_metadata().num_rows())
    };
    guarded(path, "Parquet", open).ok().and_then(|rows| u64::try_from(rows).ok())
}

pub(super) fn arrow(path: &Path, file: File) -> Result<Box<dyn Source>> {
    let open = || -> std::result::Result<Batches, ArrowError> {
        let mut file = file;
        let mut start = Vec::new();
        (&mut file).take(6).read_to_end(&mut start)?;
        file.rewind()?;
        let file = BufReader::new(file);
        Ok(match start == b"ARROW1" {
            true => Box::new(FileReader::try_new(file, None)?),
            false => Box::new(StreamReader::try_new(file, None)?),
        })
    };
    let batches = guarded(path, "Arrow", open)?;
    Ok(Box::new(Columnar { path: path.to_owned(), batches, batch: None, row: 0 }))
}

/// Runs a reader on contents that may be broken. The readers hold some of what a file says to be true by assertion,
/// so that a broken file may also end in a panic.
fn guarded<T, E: std::fmt::Display>(
    path: &Path,
    kind: &str,
    read: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    let message = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string().replace('\n', " "),
        Err(_) => "the contents contradict themselves".to_owned(),
    };
    Err(not_readable(path, kind, &message))
}

fn not_readable(path: &Path, kind: &str, message: &str) -> Error {
    broken(path, 0, format!("not a readable {kind} file: {message}"))
}

impl Columnar {
    fn row(&mut self) -> Result<Option<Body>> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.row < batch.num_rows()) {
                let schema = batch.schema();
                let names = schema.fields().iter().map(|field| field.name().clone());
                let values = batch.columns().iter().map(|column| value(column.as_ref(), self.row));
                let row: Map<String, Value> = names.zip(values).collect();
                self.row += 1;
                return Ok(Some(Body::Values(row)));
            }
            let kind = if self.path.extension().is_some_and(|e| e == "arrow") { "Arrow" } else { "Parquet" };
            let next = guarded(&self.path, kind, || self.batches.next().transpose())?;
            self.row = 0;
            match next {
                Some(batch) => self.batch = Some(batch),
                None => return Ok(None),
            }
        }
    }
}

impl Source for Columnar {
    fn next(&mut self) -> Option<Result<Body>> {
        self.row().transpose()
    }
}

/// Entry `row` of a column. Types that JSON does not know become an object that names them, so that a row which needs
/// the column is refused with the type, and others are read.
fn value(column: &dyn Array, row: usize) -> Value {
    macro_rules! number {
        ($type:ty) => {
            Value::from(column.as_primitive::<$type>().value(row))
        };
    }
    if column.is_null(row) {
        return Value::Null;
    }
    let real = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => real(column.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => real(f64::from(column.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => real(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::List(_) => list(column.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(column.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => list(column.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter();
            fields
                .iter()
                .zip(columns)
                .map(|(field, column)| (field.name().clone(), value(column.as_ref(), row)))
                .collect()
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let key = |place| match value(keys.as_ref(), place) {
                Value::String(key) => key,
                other => other.to_string(),
            };
            (0..entries.len()).map(|place| (key(place), value(values.as_ref(), place))).collect()
        }
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            match dictionary.normalized_keys().get(row) {
                Some(place) => value(dictionary.values().as_ref(), *place),
                None => Value::Null,
            }
        }
        other => Value::Object(Map::from_iter([("column type".to_owned(), Value::from(other.to_string()))])),
    }
}

fn list(items: &dyn Array) -> Value {
    (0..items.len()).map(|place| value(items, place)).collect()
}
