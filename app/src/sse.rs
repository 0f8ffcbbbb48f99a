//! Server-sent events, as `fetch` brings them: in pieces that end anywhere.

/// Collects pieces of a stream and gives out the data of each complete event.
#[derive(Default)]
pub struct Reader {
    pending: String,
}

impl Reader {
    /// Takes the next piece; returns the `data` of every event that it completes. Comments and other
    /// fields are passed over.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        self.pending.push_str(&piece.replace('\r', ""));
        let mut complete = Vec::new();
        while let Some(end) = self.pending.find("\n\n") {
            let event: String = self.pending.drain(..end + 2).collect();
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                complete.push(data.join("\n"));
            }
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_pieces_end() {
        let stream =
            "data: {\"a\":1}\n\n: still here\n\ndata: one\r\ndata: two\r\n\r\nevent: x\ndata:three\n\n";
        for size in 1..stream.len() {
            let mut reader = Reader::default();
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                found.extend(reader.push(std::str::from_utf8(piece).unwrap()));
            }
            assert_eq!(found, ["{\"a\":1}", "one\ntwo", "three"], "in pieces of {size}");
        }
    }
}
