//! A run's log: what its event file tells, a line each.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use app::live::LogLine;
use recipe::{Event, Lang};

/// Bytes at the end of the file that a page's first lines are taken from.
const TAIL: u64 = 192 << 10;
/// So many of them, at most.
const NEWEST: usize = 300;

/// The newest events of a file, oldest first; lines that cannot be read are left out.
///
/// # Errors
/// The file cannot be read.
pub fn newest(path: &Path) -> io::Result<Vec<Event>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let lines = bytes.split(|byte| *byte == b'\n').skip(usize::from(from > 0));
    let mut events: Vec<Event> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let before = events.len().saturating_sub(NEWEST);
    Ok(events.split_off(before))
}

/// Writes the whole log as text.
///
/// # Errors
/// The file cannot be read, or nobody takes what is written.
pub fn write(path: &Path, lang: Lang, out: &mut dyn Write) -> io::Result<()> {
    /// An event is far shorter; a line that is not one is not kept in memory.
    const LONGEST_LINE: u64 = 1 << 20;
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let event = serde_json::from_slice::<Event>(&line).ok();
        if let Some(line) = event.and_then(|event| LogLine::of(&event, lang)) {
            writeln!(out, "{}", line.to_text())?;
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn lines_are_told_from_the_events_that_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let event = |seq: u64| {
            format!(r#"{{"seq":{seq},"time":0,"type":"log","level":"info","message":"line {seq}"}}"#)
        };
        let mut text: String = (1..=4000).map(|seq| event(seq) + "\n").collect();
        text.push_str("nonsense\n{\"seq\":4001,");
        std::fs::write(&path, text).unwrap();
        let newest = newest(&path).unwrap();
        assert_eq!(newest.last().unwrap().seq, 4000);
        assert_eq!(newest.len(), NEWEST);
        let mut whole = Vec::new();
        write(&path, Lang::En, &mut whole).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        assert_eq!(whole.lines().count(), 4000);
        assert!(whole.starts_with("1970-01-01T00:00:00Z line 1\n"));
    }
}
