//! Reads the event file of a run from where it was last left.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use recipe::Event;

/// One transaction takes in at most about this many bytes.
const STRETCH: u64 = 1 << 20;

/// Longest line that is waited for; the engine writes lines of some hundred bytes.
const LONGEST_LINE: u64 = 16 << 20;

/// Events read, and the offset after the last complete line.
#[derive(Debug, Default, PartialEq)]
pub struct Stretch {
    pub events: Vec<Event>,
    pub offset: u64,
    /// There may be more to read at once.
    pub more: bool,
    /// Complete lines that are no events: what was wrong with them.
    pub garbage: Vec<String>,
}

/// Reads complete lines from `offset` on. A last line without its newline is left for the next time:
/// its writer is still at it, or was killed over it.
pub fn read(path: &Path, offset: u64) -> io::Result<Stretch> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Stretch { offset, ..Stretch::default() }),
        other => other?,
    };
    let length = file.metadata()?.len();
    if length <= offset {
        return Ok(Stretch { offset, ..Stretch::default() });
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut stretch = STRETCH;
    loop {
        let mut bytes = Vec::new();
        (&mut file).take(stretch).read_to_end(&mut bytes)?;
        let full = bytes.len() as u64 == stretch;
        if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(parse(&bytes[..=end], offset, full));
        }
        if !full {
            return Ok(Stretch { offset, ..Stretch::default() });
        }
        if stretch >= LONGEST_LINE {
            let what = format!("byte {offset} begins a line of more than {LONGEST_LINE} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        stretch = LONGEST_LINE;
        file.seek(SeekFrom::Start(offset))?;
    }
}

fn parse(lines: &[u8], offset: u64, more: bool) -> Stretch {
    let mut stretch = Stretch { offset: offset + lines.len() as u64, more, ..Stretch::default() };
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(event) => stretch.events.push(event),
            Err(e) => stretch.garbage.push(e.to_string()),
        }
    }
    stretch
}

#[cfg(test)]
mod tests {
    use std::fs;

    use recipe::{EventBody, LogLevel};

    use super::*;

    fn line(seq: u64) -> String {
        let body = EventBody::Log { level: LogLevel::Info, message: "x".repeat(100) };
        serde_json::to_string(&Event { seq, time: 0, body }).unwrap() + "\n"
    }

    #[test]
    fn a_torn_last_line_waits_for_its_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let (first, second) = (line(1), line(2));
        fs::write(&path, format!("{first}{}", &second[..40])).unwrap();
        let read_once = read(&path, 0).unwrap();
        assert_eq!(read_once.events.len(), 1);
        assert_eq!(read_once.offset, first.len() as u64);
        fs::write(&path, format!("{first}{second}")).unwrap();
        let rest = read(&path, read_once.offset).unwrap();
        assert_eq!(rest.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn long_files_come_in_stretches_without_gaps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let count = 12_000;
        fs::write(&path, (1..=count).map(line).collect::<String>()).unwrap();
        let (mut offset, mut seqs, mut rounds) = (0, Vec::new(), 0);
        loop {
            let stretch = read(&path, offset).unwrap();
            offset = stretch.offset;
            seqs.extend(stretch.events.iter().map(|e| e.seq));
            rounds += 1;
            if !stretch.more {
                break;
            }
        }
        assert!(rounds > 1);
        assert!(seqs.into_iter().eq(1..=count));
    }

    #[test]
    fn garbage_lines_are_reported_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        fs::write(&path, format!("{}not json\n\n{}", line(1), line(2))).unwrap();
        let stretch = read(&path, 0).unwrap();
        assert_eq!(stretch.events.len(), 2);
        assert_eq!(stretch.garbage.len(), 1);
    }

    #[test]
    fn no_file_is_nothing_yet() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("events.jsonl"), 0).unwrap(), Stretch::default());
    }
}
