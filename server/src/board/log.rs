//! The newest events of a run, from its event file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use recipe::Event;

/// Bytes at the end of the file that a page's first lines are taken from.
const TAIL: u64 = 192 << 10;
/// So many of them, at most.
const NEWEST: usize = 300;

/// The newest events of a file, oldest first; lines that cannot be read are left out.
///
/// # Errors
/// The file cannot be read.
pub(super) fn newest(path: &Path) -> io::Result<Vec<Event>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_that_can_be_read_are_found() {
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
    }
}
