//! Files that come from a browser: streamed to disk beside their place, and put there when they are whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use axum::{body::Body, http::StatusCode};
use engine::text::data::files::is_data_file;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

/// Begins and ends the name of a file that is not whole yet.
const PART: (&str, &str) = (".upload-", ".part");
const LONGEST_NAME: usize = 200;
/// The largest file that is taken in, unless the command line says otherwise.
pub const LARGEST: u64 = 16 << 30;

/// Why a file is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(
        "`{0}` cannot be the name of a file in the data folder: it must be a plain name of at most {LONGEST_NAME} bytes that does not begin with a dot"
    )]
    /// The name is no plain name of a file.
    Name(String),
    #[error(
        "`{0}` is not a data file: its name must end in .json, .jsonl, .csv, .txt (each also with .gz), .parquet or .arrow"
    )]
    /// The name says that it is no file of data.
    Kind(String),
    #[error(
        "there is a file `{0}` in the data folder already; rename yours, or delete the dataset that uses that one"
    )]
    /// There is a file of this name.
    Exists(String),
    /// It is larger than this many bytes.
    #[error("the file is larger than {} MiB, the most that is taken in; copy it into the data folder instead", .0 >> 20)]
    TooLarge(u64),
    /// It did not arrive whole.
    #[error("the connection broke before the file was whole; nothing of it was kept")]
    Broken,
    /// It cannot be stored there.
    #[error("the file cannot be stored: {path}: {1}", path = .0.display())]
    Io(PathBuf, io::Error),
}

impl UploadError {
    /// The status of the answer to who sent it.
    pub fn status(&self) -> StatusCode {
        match self {
            UploadError::Name(_) | UploadError::Kind(_) | UploadError::Broken => StatusCode::BAD_REQUEST,
            UploadError::Exists(_) => StatusCode::CONFLICT,
            UploadError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            UploadError::Io(..) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A file in the making; whoever drops it before it is whole removes it.
struct Part {
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes in the file `name` of at most `largest` bytes; `announced` is the length that the request claims.
///
/// # Errors
/// If name, size or disk do not allow it, or the connection breaks. Nothing is left then, nor when this is dropped.
pub async fn receive(
    dir: &Path,
    name: &str,
    announced: Option<u64>,
    largest: u64,
    body: Body,
) -> Result<(), UploadError> {
    let place = place(dir, name)?;
    if announced.is_some_and(|length| length > largest) {
        return Err(UploadError::TooLarge(largest));
    }
    let word = crate::random::word(16)
        .map_err(|e| UploadError::Io(dir.to_owned(), io::Error::other(e.to_string())))?;
    let part = Part { path: dir.join(format!("{}{word}{}", PART.0, PART.1)) };
    let failed = |e| UploadError::Io(part.path.clone(), e);
    let mut file =
        tokio::fs::File::options().write(true).create_new(true).open(&part.path).await.map_err(failed)?;
    let mut body = body.into_data_stream();
    let mut length = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| UploadError::Broken)?;
        length += chunk.len() as u64;
        if length > largest {
            return Err(UploadError::TooLarge(largest));
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    if announced.is_some_and(|announced| announced != length) {
        return Err(UploadError::Broken);
    }
    file.sync_all().await.map_err(failed)?;
    // Unlike a rename, a link never replaces a file.
    tokio::fs::hard_link(&part.path, &place).await.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => UploadError::Exists(name.to_owned()),
        _ => failed(e),
    })
}

/// Where the file goes, if it may.
fn place(dir: &Path, name: &str) -> Result<PathBuf, UploadError> {
    let is_plain = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control);
    if !is_plain {
        return Err(UploadError::Name(name.to_owned()));
    }
    let place = dir.join(name);
    if !is_data_file(&place) {
        return Err(UploadError::Kind(name.to_owned()));
    }
    match place.symlink_metadata() {
        Ok(_) => Err(UploadError::Exists(name.to_owned())),
        Err(_) => Ok(place),
    }
}

/// Removes what uploads left behind whose server was killed.
pub fn tidy_up(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PART.0) && name.ends_with(PART.1) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
