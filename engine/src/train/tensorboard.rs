//! TensorBoard's event files: the curves of a run under the names that transformers gives them.
//!
//! A file is a sequence of records, each framed by its length and two checksums (TensorFlow,
//! `tensorflow/core/lib/io/record_writer.h`); a record is an `Event` of `tensorflow/core/util/event.proto`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use recipe::Recipe;
use serde_json::{Map, Value};

use crate::{Error, Result};

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An open event file.
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// A new file, if the recipe wants one; points that an earlier attempt wrote after step `done` are void.
    pub fn open(recipe: &Recipe, output: &Path, done: u64) -> Result<Option<TensorBoard>> {
        if !recipe.reports_to_tensorboard() {
            return Ok(None);
        }
        let folder = recipe.logging_dir.as_ref().map_or_else(|| output.join("runs"), PathBuf::from);
        fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        let (seconds, process) = (now().as_millis(), std::process::id());
        let path = folder.join(format!("events.out.tfevents.{seconds}.chandler.{process}"));
        let file = File::create(&path).map_err(|error| Error::io(&path, error))?;
        let mut board = TensorBoard { path, file };
        board.event(0, &Message::default().bytes(3, b"brain.Event:2"))?;
        // SessionLog.START: TensorBoard drops what it has from this step on.
        board.event(done + 1, &Message::default().bytes(7, &Message::default().varint(1, 1).0))?;
        Ok(Some(board))
    }

    /// The numbers of an entry of `log_history`: `eval_loss` is `eval/loss`, `loss` is `train/loss`.
    pub fn log(&mut self, step: u64, entry: &Map<String, Value>) -> Result<()> {
        let mut summary = Message::default();
        for (key, value) in entry.iter().filter(|(key, _)| *key != "step") {
            let Some(value) = value.as_f64() else { continue };
            let tag = match key.strip_prefix("eval_") {
                Some(name) => format!("eval/{name}"),
                None => format!("train/{key}"),
            };
            let value = Message::default().bytes(1, tag.as_bytes()).float(2, value as f32);
            summary = summary.bytes(1, &value.0);
        }
        self.event(step, &Message::default().bytes(5, &summary.0))
    }

    /// Writes an event that says `what`.
    fn event(&mut self, step: u64, what: &Message) -> Result<()> {
        let mut event = Message::default().double(1, now().as_secs_f64()).varint(2, step);
        event.0.extend(&what.0);
        let length = (event.0.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked(&length));
        record.extend(&event.0);
        record.extend(masked(&event.0));
        self.file.write_all(&record).map_err(|error| Error::io(&self.path, error))
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A checksum that stays one where it is part of what is checked.
fn masked(data: &[u8]) -> [u8; 4] {
    CRC.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A protocol buffer.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u8, kind: u8) {
        self.0.push(field << 3 | kind);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn varint(mut self, field: u8, number: u64) -> Self {
        self.key(field, 0);
        self.number(number);
        self
    }

    fn double(mut self, field: u8, number: f64) -> Self {
        self.key(field, 1);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn float(mut self, field: u8, number: f32) -> Self {
        self.key(field, 5);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u8, bytes: &[u8]) -> Self {
        self.key(field, 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that TensorFlow's own writer makes of the version event at time 1.5.
    #[test]
    fn records_are_framed() {
        let event = Message::default().double(1, 1.5).bytes(3, b"brain.Event:2");
        let wanted = [&[9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x1a, 13][..], b"brain.Event:2"].concat();
        assert_eq!(event.0, wanted);
        assert_eq!(Message::default().varint(2, 300).0, [0x10, 0xac, 0x02]);
        // RFC 3720, B.4: CRC-32C of 32 bytes of zeros.
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
    }
    /// Tags are the names that transformers' `rewrite_logs` gives, whatever a stage reports.
    #[test]
    fn metrics_keep_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe { report_to: vec!["tensorboard".into()], ..Recipe::default() };
        let mut board = TensorBoard::open(&recipe, folder.path(), 0).unwrap().unwrap();
        let entry = serde_json::json!({"rewards/chosen": -0.25, "eval_rewards/accuracies": 0.5, "loss": null, "step": 7});
        board.log(7, entry.as_object().unwrap()).unwrap();
        let written = fs::read(&board.path).unwrap();
        for (tag, value) in [("train/rewards/chosen", -0.25), ("eval/rewards/accuracies", 0.5)] {
            let scalar = Message::default().bytes(1, tag.as_bytes()).float(2, value);
            assert!(written.windows(scalar.0.len()).any(|window| window == scalar.0), "{tag}");
        }
        assert!(!written.windows(4).any(|window| window == b"loss" || window == b"step"));
    }
}
