//! The writing end of `events.jsonl`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
};

use recipe::{Event, EventBody};

/// Appends events to a file, each in one write, numbered on from what is there.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    /// Where the last complete line ends.
    end: u64,
    next_seq: u64,
}

impl EventWriter {
    /// Opens (or makes) the file. A torn last line, left by a writer that was killed over it, is cut
    /// off: no reader has taken it for an event.
    pub fn open(path: &Path) -> io::Result<EventWriter> {
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let (end, last_seq) = last_complete(&mut BufReader::new(&file))?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(EventWriter { file, end, next_seq: last_seq + 1 })
    }

    /// Appends one event. After an error (a full disk, say) the file ends with its last complete line,
    /// and writing can be tried again.
    pub fn write(&mut self, body: EventBody) -> io::Result<Event> {
        let event = Event { seq: self.next_seq, time: crate::store::now(), body };
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        if let Err(e) = self.file.write_all(&line) {
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::Start(self.end))?;
            return Err(e);
        }
        self.end += line.len() as u64;
        self.next_seq += 1;
        Ok(event)
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
        let mut writer = EventWriter::open(&path).unwrap();
        writer.write(log("one")).unwrap();
        writer.write(log("two")).unwrap();
        drop(writer);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"seq\":3,\"ti")).unwrap();
        assert_eq!(EventWriter::open(&path).unwrap().write(log("three")).unwrap().seq, 3);
        let lines = fs::read_to_string(&path).unwrap();
        let seqs: Vec<u64> =
            lines.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
    }
}
