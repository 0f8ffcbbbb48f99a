//! Reads the event file of a run from where it was last left.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use recipe::Event;

/// One transaction takes in at most about this many bytes; the engine writes lines of some hundred.
const STRETCH: u64 = 1 << 20;

/// Events read, and the offset after the last complete line.
#[derive(Debug, Default, PartialEq)]
pub struct Stretch {
    /// Events of whole lines.
    pub events: Vec<Event>,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// There may be more to read at once.
    pub more: bool,
    /// The file is not the one that was read so far, or has lost its end: this is its beginning.
    pub anew: bool,
    /// Complete lines that are no events: what was wrong with them.
    pub garbage: Vec<String>,
}

/// Reads complete lines from `offset` on. A last line without its newline is left for the next time:
/// its writer is still at it, or was killed over it.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read(path: &Path, offset: u64) -> io::Result<Stretch> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(Stretch { anew: offset > 0, ..Stretch::default() });
        }
        other => other?,
    };
    let length = file.metadata()?.len();
    let anew = offset > 0 && (length < offset || !ends_a_line(&file, offset)?);
    let offset = if anew { 0 } else { offset };
    Ok(Stretch { anew, ..read_from(&file, offset, length)? })
}

fn ends_a_line(file: &File, offset: u64) -> io::Result<bool> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset - 1)?;
    Ok(byte == *b"\n")
}

fn read_from(file: &File, offset: u64, length: u64) -> io::Result<Stretch> {
    let nothing = Stretch { offset, ..Stretch::default() };
    if length <= offset {
        return Ok(nothing);
    }
    let mut from = offset;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut file = file;
        file.seek(SeekFrom::Start(from))?;
        file.take(STRETCH).read_to_end(&mut bytes)?;
        let full = bytes.len() as u64 == STRETCH;
        if from == offset
            && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
        {
            return Ok(parse(&bytes[..=end], offset, full));
        }
        // A line longer than a stretch is none that the engine writes.
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let end = from + end as u64 + 1;
            let garbage = vec![format!("it has {} bytes", end - offset)];
            return Ok(Stretch { offset: end, more: true, garbage, ..Stretch::default() });
        }
        if !full {
            return Ok(nothing);
        }
        from += STRETCH;
    }
}

fn parse(lines: &[u8], offset: u64, more: bool) -> Stretch {
    let mut stretch = Stretch { offset: offset + lines.len() as u64, more, ..Stretch::default() };
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        // A hole, which a power cut leaves or someone who cuts the file under its writer, reads as NULs: what was
        // written behind it is whole.
        let whole = line.rsplit(|byte| *byte == 0).next().unwrap_or_default();
        match serde_json::from_slice(whole) {
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

    #[test]
    fn a_file_that_lost_its_end_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let whole = line(1) + &line(2) + &line(3);
        let offset = whole.len() as u64;
        let seqs = |stretch: &Stretch| stretch.events.iter().map(|event| event.seq).collect::<Vec<_>>();
        fs::write(&path, &whole).unwrap();
        assert_eq!(read(&path, offset).unwrap(), Stretch { offset, ..Stretch::default() });
        // Shorter, and grown again before anyone looked.
        for (text, found) in
            [(line(1), vec![1]), (line(1) + &line(2) + &line(3)[..9] + &line(4) + &line(5), vec![1, 2, 5])]
        {
            fs::write(&path, text).unwrap();
            let stretch = read(&path, offset).unwrap();
            assert!(stretch.anew && seqs(&stretch) == found, "{stretch:?}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, offset).unwrap(), Stretch { anew: true, ..Stretch::default() });
    }

    #[test]
    fn a_hole_hides_no_event_and_an_endless_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let hole = "\0".repeat(300);
        let long = "x".repeat(3 << 20);
        fs::write(&path, format!("{}{}{hole}{}{long}\n{}", line(1), &line(2)[..20], line(3), line(4)))
            .unwrap();
        let (mut offset, mut seqs, mut garbage) = (0, Vec::new(), 0);
        loop {
            let stretch = read(&path, offset).unwrap();
            seqs.extend(stretch.events.iter().map(|event| event.seq));
            garbage += stretch.garbage.len();
            if stretch.offset == offset {
                break;
            }
            offset = stretch.offset;
        }
        assert_eq!((seqs, garbage), (vec![1, 3, 4], 1));
        fs::write(&path, long).unwrap();
        assert_eq!(read(&path, 0).unwrap(), Stretch::default());
    }
}
