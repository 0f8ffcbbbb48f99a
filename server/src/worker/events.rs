//! The writing end of `events.jsonl`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::fs::FileExt,
    path::Path,
    time::Duration,
};

use recipe::{Event, EventBody, Phase};
use rustix::{fs::FallocateFlags, io::Errno};

/// Room on the disk that is kept for a run's last event, which is to say that the disk is full.
const RESERVE: u64 = 4096;
/// So much more is reserved at a time.
const AHEAD: u64 = 16 * 1024;
/// Waits before an event that could not be written is tried again. What is written by then is the line, not a part.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(1000)];

/// Appends events to a file, each in one write, numbered on from what is there.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    /// Where the last complete line ends.
    end: u64,
    /// Up to here the disk has room for the file.
    reserved: u64,
    next_seq: u64,
}

impl EventWriter {
    /// Opens (or makes) the file. A torn last line, left by a writer that was killed over it, is cut
    /// off: no reader has taken it for an event. Numbers go on after `after`, the last one that a reader has seen,
    /// even where the file has lost its end.
    ///
    /// # Errors
    /// If the file cannot be opened, read or cut.
    pub fn open(path: &Path, after: u64) -> io::Result<EventWriter> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let (end, last_seq) = last_complete(&mut BufReader::new(&file))?;
        file.set_len(end)?;
        Ok(EventWriter { file, end, reserved: end, next_seq: last_seq.max(after) + 1 })
    }

    /// Appends one event; where that fails, it is tried again for about a second. After an error (a full disk, say)
    /// the file ends with its last complete line. What was written before a checkpoint is begun, and a run's last
    /// event, are on the disk when this returns: no checkpoint outlives the events that came before it.
    ///
    /// # Errors
    /// The event is not in the file, or perhaps not on the disk.
    pub fn write(&mut self, body: EventBody) -> io::Result<Event> {
        let lasting = matches!(&body, EventBody::Phase { phase: Phase::Saving, .. } | EventBody::End { .. });
        let spare = if matches!(&body, EventBody::End { .. }) { 0 } else { RESERVE };
        let event = Event { seq: self.next_seq, time: crate::clock::now(), body };
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        let mut pauses = PAUSES.into_iter();
        while let Err(e) = self.append(&line, spare, lasting) {
            let Some(pause) = pauses.next() else { return Err(e) };
            std::thread::sleep(pause);
        }
        self.end += line.len() as u64;
        self.next_seq += 1;
        Ok(event)
    }

    fn append(&mut self, line: &[u8], spare: u64, lasting: bool) -> io::Result<()> {
        let end = self.end + line.len() as u64;
        self.reserve(end + spare)?;
        let written = self.file.write_all_at(line, self.end);
        let written = written.and_then(|()| if lasting { self.file.sync_data() } else { Ok(()) });
        if written.is_err() {
            // Gives the reserve back, too.
            self.file.set_len(self.end)?;
            self.reserved = self.end;
        }
        written
    }

    /// Sees to it that the disk has room for the file up to `end`.
    fn reserve(&mut self, end: u64) -> io::Result<()> {
        if end <= self.reserved {
            return Ok(());
        }
        let room = |upto: u64| {
            rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.end, upto - self.end)
                .map(|()| upto)
        };
        match room(end + AHEAD).or_else(|_| room(end)) {
            Ok(reserved) => self.reserved = reserved,
            Err(e @ (Errno::NOSPC | Errno::DQUOT)) => return Err(e.into()),
            // A file system that cannot: it is written to as far as it goes.
            Err(_) => self.reserved = u64::MAX,
        }
        Ok(())
    }
}

/// What was reserved and not used is given back.
impl Drop for EventWriter {
    fn drop(&mut self) {
        let _ = self.file.set_len(self.end);
    }
}

/// End of the last complete line, and the highest sequence number up to there.
fn last_complete(file: &mut impl BufRead) -> io::Result<(u64, u64)> {
    #[derive(serde::Deserialize)]
    struct Seq {
        seq: u64,
    }
    let (mut end, mut last_seq, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let length = file.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok((end, last_seq));
        }
        end += length as u64;
        if let Ok(Seq { seq }) = serde_json::from_slice(&line) {
            last_seq = last_seq.max(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use recipe::LogLevel;

    use super::*;

    fn log(message: &str) -> EventBody {
        EventBody::Log { level: LogLevel::Info, message: message.to_owned() }
    }

    #[test]
    fn a_torn_line_is_cut_off_and_counting_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut writer = EventWriter::open(&path, 0).unwrap();
        writer.write(log("one")).unwrap();
        writer.write(log("two")).unwrap();
        drop(writer);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"seq\":3,\"ti")).unwrap();
        assert_eq!(EventWriter::open(&path, 0).unwrap().write(log("three")).unwrap().seq, 3);
        let lines = fs::read_to_string(&path).unwrap();
        let seqs: Vec<u64> =
            lines.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
    }

    #[test]
    fn numbers_go_on_where_the_file_has_lost_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        assert_eq!(EventWriter::open(&path, 7).unwrap().write(log("eight")).unwrap().seq, 8);
        assert_eq!(EventWriter::open(&path, 2).unwrap().write(log("nine")).unwrap().seq, 9);
    }

    #[test]
    fn what_is_reserved_is_not_part_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut writer = EventWriter::open(&path, 0).unwrap();
        writer.write(log("one")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("}\n") && writer.reserved >= text.len() as u64 + RESERVE);
    }
}
