//! Opening files that others name. Only regular files are read: a named pipe may wait forever for whoever writes to it,
//! and a device may never end.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Bytes of the largest file of settings that is read whole, such as a `config.json`.
pub const SETTINGS: u64 = 64 << 20;

/// Opens a regular file.
///
/// # Errors
/// If it cannot be opened, or is something else.
pub fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    // A pipe that took its place meanwhile is opened at once.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// # Errors
/// If there is no file, or it is no regular one.
pub fn check(path: &Path) -> io::Result<()> {
    regular(path.metadata()?.file_type())
}

fn regular(kind: FileType) -> io::Result<()> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, and no regular file")))
}

/// The bytes of a regular file, `most` of them at most.
///
/// # Errors
/// If it cannot be read, or is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    // The length that the system tells may be wrong, as it is for what it makes up itself.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("it is larger than {most} bytes, the most that is read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// The text of a regular file, `most` bytes at most.
///
/// # Errors
/// As [`read`], or if it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let bytes = read(path, most)?;
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_devices_and_folders_are_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe.jsonl");
        let name = std::ffi::CString::new(pipe.display().to_string()).expect("a name");
        // SAFETY: the name is a text that ends.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let refused = |path: &Path| open(path).expect_err("refused").to_string();
        assert!(refused(&pipe).contains("a named pipe"), "{}", refused(&pipe));
        assert!(refused(Path::new("/dev/zero")).contains("a device"));
        assert!(refused(folder.path()).contains("a folder"));
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").expect("a file");
        assert_eq!(read(&file, 5).expect("its bytes"), b"12345");
        assert!(read_text(&file, 4).expect_err("too large").to_string().contains("larger than 4 bytes"));
    }
}
