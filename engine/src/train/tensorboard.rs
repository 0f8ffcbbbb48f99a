//! TensorBoard's event files: the curves of a run under the names that transformers gives them.
//!
//! A file is a sequence of records, each framed by its length and two checksums (TensorFlow,
//! `tensorflow/core/lib/io/record_writer.h`); a record is an `Event` of `tensorflow/core/util/event.proto`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use serde_json::{Map, Value};

use crate::{Error, Result};

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An open event file.
pub(super) struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// Where its files are: the folder that is given, or one in the output folder.
    pub(super) fn folder(given: Option<&str>, output: &Path) -> PathBuf {
        given.map_or_else(|| output.join("runs"), PathBuf::from)
    }

    /// A new file in a folder; points that an earlier attempt wrote after step `done` are void.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn open(folder: &Path, done: u64) -> Result<TensorBoard> {
        fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        let (seconds, process) = (now().as_millis(), std::process::id());
        let path = folder.join(format!("events.out.tfevents.{seconds}.chandler.{process}"));
        let file = File::create(&path).map_err(|error| Error::io(&path, error))?;
        let mut board = TensorBoard { path, file };
        board.write(Event { file_version: Some("brain.Event:2".to_owned()), ..Event::now(0) })?;
        // TensorBoard drops what it has from this step on.
        board.write(Event { session_log: Some(SessionLog { status: START }), ..Event::now(done + 1) })?;
        Ok(board)
    }

    /// The numbers of an entry of `log_history`: `eval_loss` is `eval/loss`, `loss` is `train/loss`.
    pub(super) fn log(&mut self, step: u64, entry: &Map<String, Value>) -> Result<()> {
        let mut summary = Summary::default();
        for (key, value) in entry.iter().filter(|(key, _)| *key != "step") {
            let Some(value) = value.as_f64() else { continue };
            let tag = match key.strip_prefix("eval_") {
                Some(name) => format!("eval/{name}"),
                None => format!("train/{key}"),
            };
            summary.values.push(Scalar { tag, simple_value: Some(value as f32) });
        }
        self.write(Event { summary: Some(summary), ..Event::now(step) })
    }

    fn write(&mut self, event: Event) -> Result<()> {
        let event = event.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        let record = [&length[..], &masked(&length), &event, &masked(&event)].concat();
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

/// `Event`; it says one of the optional things.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(uint64, tag = "2")]
    step: u64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

impl Event {
    /// An event at `step` that says nothing yet.
    fn now(step: u64) -> Self {
        Event { wall_time: now().as_secs_f64(), step, ..Event::default() }
    }
}

/// `Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

/// `Summary.Value` with a number.
#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// `SessionLog`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog.START`.
const START: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that TensorFlow's own writer makes of the version event at time 1.5.
    #[test]
    fn records_are_framed() {
        let version = Some("brain.Event:2".to_owned());
        let event = Event { wall_time: 1.5, file_version: version, ..Event::default() };
        let wanted = [&[9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x1a, 13][..], b"brain.Event:2"].concat();
        assert_eq!(event.encode_to_vec(), wanted);
        // RFC 3720, B.4: CRC-32C of 32 bytes of zeros.
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
    }

    /// Tags are the names that transformers' `rewrite_logs` gives, whatever a stage reports.
    #[test]
    fn metrics_keep_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::open(folder.path(), 0).unwrap();
        let entry = serde_json::json!({"rewards/chosen": -0.25, "eval_rewards/accuracies": 0.5, "loss": null, "step": 7});
        board.log(7, entry.as_object().unwrap()).unwrap();
        let written = fs::read(&board.path).unwrap();
        for (tag, value) in [("train/rewards/chosen", -0.25), ("eval/rewards/accuracies", 0.5)] {
            let scalar = Scalar { tag: tag.to_owned(), simple_value: Some(value) }.encode_to_vec();
            assert!(written.windows(scalar.len()).any(|window| window == scalar), "{tag}");
        }
        assert!(!written.windows(4).any(|window| window == b"loss" || window == b"step"));
    }
}
