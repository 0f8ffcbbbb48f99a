//! Server-sent events, as `fetch` brings them: in pieces that end anywhere, even within a character.

/// Collects pieces of a stream and gives out the data of each complete event.
#[derive(Default)]
pub struct Reader {
    pending: Vec<u8>,
}

impl Reader {
    /// Takes the next piece; returns the `data` of every event that it completes. Comments and other
    /// fields are passed over.
    pub fn push(&mut self, piece: &[u8]) -> Vec<String> {
        self.pending.extend(piece.iter().filter(|byte| **byte != b'\r'));
        let mut complete = Vec::new();
        while let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.pending.drain(..end + 2).collect();
            complete.extend(data_of(&String::from_utf8_lossy(&event)));
        }
        complete
    }
}

fn data_of(event: &str) -> Option<String> {
    let lines: Vec<&str> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_pieces_end() {
        let stream =
            "data: {\"a\":1}\n\n: still here\n\ndata: 一\r\ndata: two\r\n\r\nevent: x\ndata:three\n\n";
        for size in 1..stream.len() {
            let mut reader = Reader::default();
            let found: Vec<String> =
                stream.as_bytes().chunks(size).flat_map(|piece| reader.push(piece)).collect();
            assert_eq!(found, ["{\"a\":1}", "一\ntwo", "three"], "in pieces of {size}");
        }
    }
}
