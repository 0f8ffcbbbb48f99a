//! Compressed files, Parquet and Arrow.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, LargeStringArray, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;

use super::*;

const GOOD: &str = r#"[{"instruction": "Q", "output": "A"}]"#;

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn texts(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn alpaca_batch() -> RecordBatch {
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["A", "B"]));
    batch(vec![
        ("instruction", texts(vec![Some("Q"), Some("R")])),
        ("input", texts(vec![None, Some("x")])),
        ("output", large),
    ])
}

/// `list<struct<from, value>>`.
fn chat_batch() -> RecordBatch {
    let fields = vec![Field::new("from", DataType::Utf8, true), Field::new("value", DataType::Utf8, true)];
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 2));
    for (from, value) in [("human", "Q"), ("gpt", "A")] {
        let message = lists.values();
        message.field_builder::<StringBuilder>(0).expect("from").append_value(from);
        message.field_builder::<StringBuilder>(1).expect("value").append_value(value);
        message.append(true);
    }
    lists.append(true);
    batch(vec![("conversations", Arc::new(lists.finish()))])
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a schema");
    writer.write(batch).expect("in memory");
    writer.close().expect("in memory");
    bytes
}

fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, &batch.schema()).expect("a schema");
    writer.write(batch).expect("in memory");
    writer.finish().expect("in memory");
    drop(writer);
    bytes
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).expect("a schema");
    writer.write(batch).expect("in memory");
    writer.finish().expect("in memory");
    drop(writer);
    bytes
}

/// Every byte of `good` in a stretch turned over, one file each: whatever is in it must not panic.
fn flipped(file: &'static str, good: &[u8], step: usize) -> Vec<(&'static str, Vec<u8>)> {
    let places = (0..good.len()).step_by(step);
    let flip = |place: usize| {
        let mut bytes = good.to_vec();
        bytes[place] ^= 0xff;
        (file, bytes)
    };
    places.map(flip).collect()
}

#[test]
fn damaged_columnar_files_never_panic() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let batch = alpaca_batch();
    let files =
        [("d.parquet", parquet(&batch)), ("d.arrow", arrow_file(&batch)), ("d.arrow", arrow_stream(&batch))];
    for (file, bytes) in files.iter().flat_map(|(file, good)| flipped(file, good, 7)) {
        let info = format!(r#"{{"d": {{"file_name": "{file}"}}}}"#);
        std::fs::write(folder.path().join("dataset_info.json"), info).expect("dataset_info.json");
        std::fs::write(folder.path().join(file), bytes).expect(file);
        let catalog = Catalog::open(folder.path()).expect("the catalog");
        if let Err(error) = catalog.load("d", Kind::Supervised, None, 1) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

pub fn inputs() -> Vec<Input> {
    let mut inputs = compressed();
    inputs.extend(columnar());
    inputs.extend(unreadable());
    inputs
}

/// A file without its end.
fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() - 8].to_vec()
}

fn compressed() -> Vec<Input> {
    let lines = b"{\"instruction\": \"Q\", \"output\": \"A\"}\n{\"instruction\": \"R\", \"output\": \"B\"}\n";
    let two_members = [gz(&lines[..lines.len() / 2]), gz(&lines[lines.len() / 2..])].concat();
    vec![
        alpaca("d.json.gz", gz(GOOD.as_bytes()), Loads(1)),
        alpaca("d.jsonl.gz", gz(lines), Loads(2)),
        alpaca("d.jsonl.gz", two_members, Loads(2)),
        alpaca("d.csv.gz", gz(b"instruction,output\nQ,A\n"), Loads(1)),
        with(r#""columns": {"prompt": "text"}"#, "d.txt.gz", gz(b"one\ntwo\n"), Loads(2)),
        alpaca(
            "d.json",
            gz(GOOD.as_bytes()),
            Refuses(&["is compressed with gzip, but its name does not end in .gz"]),
        ),
        alpaca("d.json.gz", GOOD, Refuses(&["is not compressed with gzip, though its name ends in .gz"])),
        alpaca("d.json.gz", "", Refuses(&["is empty"])),
        alpaca("d.json.gz", gz(b""), Refuses(&["is empty"])),
        alpaca("d.json.gz", gz(b"[]"), Refuses(&["is empty"])),
        alpaca("d.jsonl.gz", cut(&gz(lines)), Refuses(&["row", "broken or cut off"])),
        alpaca("d.csv.gz", cut(&gz(b"instruction,output\nQ,A\n")), Refuses(&["broken or cut off"])),
        alpaca("d.csv.gz", gz(GOOD.as_bytes()), Refuses(&["is empty", "d.csv.gz"])),
        alpaca("d.json.gz", gz(&GOOD.as_bytes()[..20]), Refuses(&["cut off"])),
        alpaca("d.json.gz", gz(format!("\u{feff}{GOOD}").as_bytes()), Loads(1)),
        alpaca(
            "d.json.gz",
            [gz(GOOD.as_bytes()), b"more".to_vec()].concat(),
            Refuses(&["broken or cut off"]),
        ),
        alpaca("d.jsonl", gz(lines), Refuses(&["compressed with gzip, but its name does not end in .gz"])),
        alpaca("d.csv", gz(lines), Refuses(&["compressed with gzip, but its name does not end in .gz"])),
        alpaca("d.csv", parquet(&alpaca_batch()), Refuses(&["a Parquet file; name it .parquet"])),
        alpaca("d.json.gz", b"\x1f\x8b\x08".to_vec(), Refuses(&["broken or cut off"])),
        alpaca("d.json.gz", b"\x1f\x8bgarbage that is no gzip".to_vec(), Refuses(&["broken or cut off"])),
        alpaca("d.json.gz", gz(&gz(GOOD.as_bytes())), Refuses(&["gzip twice"])),
        alpaca("d.parquet.gz", gz(b"PAR1"), Refuses(&["\".parquet.gz\" are not read"])),
        alpaca("d.json", b"PK\x03\x04rest".to_vec(), Refuses(&["a zip archive"])),
        alpaca("d.json", b"\x28\xb5\x2f\xfdrest".to_vec(), Refuses(&["zstd"])),
        alpaca("d.json", parquet(&alpaca_batch()), Refuses(&["a Parquet file; name it .parquet"])),
        alpaca("d.jsonl", arrow_file(&alpaca_batch()), Refuses(&["an Arrow file; name it .arrow"])),
    ]
}

fn columnar() -> Vec<Input> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let wrong_type = batch(vec![("instruction", texts(vec![Some("Q"), Some("R")])), ("output", numbers)]);
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let judged = batch(vec![
        ("q", texts(vec![Some("Q"), Some("R")])),
        ("a", texts(vec![Some("A"), Some("B")])),
        ("k", truth),
    ]);
    let nulls = batch(vec![
        ("instruction", texts(vec![Some("Q"), Some("R")])),
        ("output", texts(vec![Some("A"), None])),
    ]);
    vec![
        alpaca("d.parquet", parquet(&alpaca_batch()), Loads(2)),
        alpaca("d.arrow", arrow_file(&alpaca_batch()), Loads(2)),
        alpaca("d.arrow", arrow_stream(&alpaca_batch()), Loads(2)),
        with(r#""formatting": "sharegpt""#, "d.parquet", parquet(&chat_batch()), Loads(1)),
        with(r#""formatting": "sharegpt""#, "d.arrow", arrow_stream(&chat_batch()), Loads(1)),
        with(
            r#""columns": {"prompt": "q", "response": "a", "kto_tag": "k"}"#,
            "d.parquet",
            parquet(&judged),
            Loads(2),
        ),
        alpaca(
            "d.parquet",
            parquet(&wrong_type),
            Refuses(&["row 1, key \"output\": should be a text, not a number: 1"]),
        ),
        alpaca("d.parquet", parquet(&nulls), LeavesOut(1, &["row 2, key \"output\""])),
        alpaca("d.parquet", parquet(&alpaca_batch().slice(0, 0)), Refuses(&["is empty"])),
        alpaca(
            "d.parquet",
            parquet(&batch(vec![
                ("Instruction", texts(vec![Some("Q")])),
                ("output", texts(vec![Some("A")])),
            ])),
            Refuses(&[
                "no row has the column \"instruction\" (prompt); the first row has Instruction, output",
            ]),
        ),
        with(
            r#""columns": {"prompt": "instruction", "response": "output", "system": "sys"}"#,
            "d.parquet",
            parquet(&alpaca_batch()),
            Refuses(&["no row has the column \"sys\" (system)"]),
        ),
    ]
}

fn unreadable() -> Vec<Input> {
    vec![
        alpaca("d.parquet", cut(&parquet(&alpaca_batch())), Refuses(&["not a readable Parquet file"])),
        alpaca(
            "d.arrow",
            arrow_stream(&alpaca_batch())[..64].to_vec(),
            Refuses(&["not a readable Arrow file"]),
        ),
        alpaca(
            "d.parquet",
            parquet(&alpaca_batch())[..40].to_vec(),
            Refuses(&["not a readable Parquet file"]),
        ),
        alpaca(
            "d.parquet",
            [b"PAR1", &[0xff; 8][..], b"PAR1"].concat(),
            Refuses(&["not a readable Parquet"]),
        ),
        alpaca("d.parquet", "", Refuses(&["not a readable Parquet file"])),
        alpaca("d.arrow", "", Refuses(&["not a readable Arrow file"])),
        alpaca("d.parquet", GOOD, Refuses(&["not a readable Parquet file"])),
        alpaca("d.arrow", GOOD, Refuses(&["not a readable Arrow file"])),
        alpaca("d.parquet", "PAR1PAR1", Refuses(&["not a readable Parquet file"])),
        alpaca("d.arrow", parquet(&alpaca_batch()), Refuses(&["not a readable Arrow file"])),
    ]
}
