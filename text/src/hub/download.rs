//! Downloads that go on where they broke off, and that may be broken off at any time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use ureq::http::HeaderMap;

use super::error::{Error, Result};
use super::http::{Client, Wanted, one_line};
use super::{Progress, Watch};

/// Attempts after which a download that makes no progress is given up.
const ATTEMPTS: u32 = 5;
/// How often the watcher is asked while nothing comes.
const TICK: Duration = Duration::from_millis(200);
/// Pieces that wait to be written.
const AHEAD: usize = 4;

/// What comes of a file, in order.
enum Piece {
    /// The contents from this byte on, and how many of them where that is known.
    From(u64, Option<u64>),
    Bytes(Vec<u8>),
}

type Pieces = SyncSender<Result<Piece>>;

impl Client {
    /// Downloads to `part`, going on behind what is already there, until all is there or nothing more comes.
    pub(super) fn download(&self, wanted: &Wanted<'_>, part: &Path, watch: Watch) -> Result<()> {
        let io = |e| Error::io(part, e);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(part).map_err(io)?;
        let mut attempt = 0;
        loop {
            let before = file.metadata().map_err(io)?.len();
            if wanted.size.is_some_and(|size| before > size) {
                file.set_len(0).map_err(io)?;
                continue;
            }
            if wanted.size == Some(before) && before > 0 {
                break;
            }
            match self.fetch(wanted, &mut file, part, before, watch) {
                Ok(()) => break,
                Err(error) if error.is_passing() => {
                    let after = file.metadata().map_err(io)?.len();
                    attempt = if after > before { 1 } else { attempt + 1 };
                    if attempt >= ATTEMPTS {
                        return Err(error);
                    }
                    std::thread::sleep(self.pause * attempt);
                }
                Err(error) => return Err(error),
            }
        }
        file.sync_all().map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        match wanted.size {
            Some(size) if size != length => {
                let message = format!("{length} bytes came, but {} says it has {size}", self.hub);
                Err(Error::contents(wanted.name, message))
            }
            _ => Ok(()),
        }
    }

    /// One request, appended to `file`, which holds `from` bytes. It is read on a thread of its own, so that whoever
    /// watches is heard while nothing comes.
    fn fetch(
        &self,
        wanted: &Wanted<'_>,
        file: &mut File,
        part: &Path,
        from: u64,
        watch: Watch,
    ) -> Result<()> {
        let io = |e| Error::io(part, e);
        let (sender, pieces) = mpsc::sync_channel(AHEAD);
        let (client, url, name) = (self.clone(), wanted.url.to_owned(), wanted.name.to_owned());
        std::thread::spawn(move || {
            if let Err(error) = client.read(&url, &name, from, &sender) {
                // Nobody waits for it any more where the other end is gone.
                let _ = sender.send(Err(error));
            }
        });
        let (mut done, mut end) = (from, None);
        loop {
            if watch(&Progress { file: wanted.name, done, total: wanted.size.or(end) }).is_break() {
                return Err(Error::Stopped);
            }
            match pieces.recv_timeout(TICK) {
                Ok(Ok(Piece::From(start, length))) => {
                    file.set_len(start).map_err(io)?;
                    file.seek(SeekFrom::End(0)).map_err(io)?;
                    (done, end) = (start, length.map(|length| start + length));
                }
                Ok(Ok(Piece::Bytes(bytes))) => {
                    file.write_all(&bytes).map_err(io)?;
                    done += bytes.len() as u64;
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match end {
            Some(end) if done < end => {
                let message = format!("the connection was cut after {done} of {end} bytes");
                Err(Error::Network { url: wanted.url.to_owned(), message })
            }
            _ => Ok(()),
        }
    }

    /// Reads the file at `url` from byte `from` on, until its end or until nobody takes the pieces.
    fn read(&self, url: &str, name: &str, from: u64, pieces: &Pieces) -> Result<()> {
        let network = |message: &str| Error::Network { url: url.to_owned(), message: one_line(message) };
        let mut response = self.get(url, from)?;
        let length = number(response.headers(), "content-length");
        let start = match response.status().as_u16() {
            206 if starts_at(response.headers(), from) => Piece::From(from, length),
            // The whole file comes, asked for or not.
            200 => Piece::From(0, length),
            206 | 416 => {
                let _ = pieces.send(Ok(Piece::From(0, None)));
                return Err(network("the rest of the file cannot be downloaded; it starts again"));
            }
            status => {
                let text = response.body_mut().read_to_string().unwrap_or_default();
                return Err(self.refusal(url, name, status, text));
            }
        };
        if pieces.send(Ok(start)).is_err() {
            return Ok(());
        }
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = reader.read(&mut buffer).map_err(|e| network(&e.to_string()))?;
            if read == 0 || pieces.send(Ok(Piece::Bytes(buffer[..read].to_vec()))).is_err() {
                return Ok(());
            }
        }
    }
}

fn number(headers: &HeaderMap, key: &str) -> Option<u64> {
    headers.get(key)?.to_str().ok()?.parse().ok()
}

/// Whether a part starts where it was asked to (`Content-Range: bytes 5-9/10`).
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get("content-range").and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    start == Some(from)
}
