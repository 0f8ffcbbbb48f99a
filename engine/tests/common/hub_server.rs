//! A hub on this machine: answers each path with what the test has put there.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the server says to a path (with its query).
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The first answer ends after so many bytes.
    pub cut: Option<usize>,
    /// What is cut ends in silence, not with the connection.
    pub silent: bool,
}

pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
    Answer { status: 200, body: body.into(), ..Answer::default() }
}

pub(crate) fn with_etag(mut answer: Answer, etag: &str) -> Answer {
    answer.headers.push(("ETag".into(), format!("\"{etag}\"")));
    answer
}

/// What the Hugging Face hub says about a repository and its files. `prefix` is empty for a model, else `datasets/`.
pub(crate) fn repository(prefix: &str, id: &str, files: &[(&str, Vec<u8>)]) -> Vec<(String, Answer)> {
    const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";
    let names: Vec<String> = files.iter().map(|(name, _)| format!(r#"{{"rfilename": "{name}"}}"#)).collect();
    let list = format!(r#"{{"sha": "{COMMIT}", "siblings": [{}]}}"#, names.join(","));
    let plural = if prefix.is_empty() { "models/" } else { prefix };
    let mut answers = vec![(format!("/api/{plural}{id}/revision/main?blobs=true"), ok(list))];
    for (number, (name, contents)) in files.iter().enumerate() {
        let answer = with_etag(ok(contents.clone()), &format!("etag-{number}"));
        answers.push((format!("/{prefix}{id}/resolve/{COMMIT}/{name}"), answer));
    }
    answers
}

/// What ModelScope says about a model and its files.
pub(crate) fn model_scope(id: &str, files: &[(&str, Vec<u8>)]) -> Vec<(String, Answer)> {
    let listed = files.iter().map(|(name, contents)| {
        format!(r#"{{"Name": "{name}", "Path": "{name}", "Size": {}, "Type": "blob"}}"#, contents.len())
    });
    let list = format!(r#"{{"Code": 200, "Data": {{"Files": [{}]}}}}"#, listed.collect::<Vec<_>>().join(","));
    let base = format!("/api/v1/models/{id}/repo");
    let mut answers = vec![(format!("{base}/files?Revision=master&Recursive=True"), ok(list))];
    for (name, contents) in files {
        answers.push((format!("{base}?Revision=master&FilePath={name}"), ok(contents.clone())));
    }
    answers
}

type Requests = Arc<Mutex<Vec<String>>>;

/// A server on this machine for as long as the test runs.
pub(crate) struct Server {
    pub endpoint: String,
    requests: Requests,
}

impl Server {
    pub(crate) fn start(answers: Vec<(impl Into<String>, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let answers: HashMap<String, Answer> =
            answers.into_iter().map(|(path, answer)| (path.into(), answer)).collect();
        let answers = Arc::new(Mutex::new(answers));
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &answers, &seen));
            }
        });
        Self { endpoint, requests }
    }

    /// Requests so far, each with its headers.
    pub(crate) fn requests(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.requests)
    }

    /// Requests so far whose first line or headers hold `part`.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.contains(part)).count()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, answers: &Mutex<HashMap<String, Answer>>, seen: &Mutex<Vec<String>>) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    while let Ok(read) = reader.read_line(&mut request) {
        if read == 0 || request.ends_with("\r\n\r\n") {
            break;
        }
    }
    lock(seen).push(request.clone());
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut answers = lock(answers);
    let Some(known) = answers.get_mut(&path) else {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let answer = known.clone();
    known.cut = None;
    drop(answers);
    let range = request.to_lowercase();
    let from =
        range.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next()?.parse::<usize>().ok());
    let (mut status, mut headers, mut body) = (answer.status, answer.headers, answer.body);
    if let Some(from) = from.filter(|_| status == 200) {
        status = 206;
        headers.push(("Content-Range".into(), format!("bytes {from}-{}/{}", body.len() - 1, body.len())));
        body.drain(..from);
    }
    let mut head =
        format!("HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    headers.iter().for_each(|(key, value)| head.push_str(&format!("{key}: {value}\r\n")));
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    if !request.starts_with("HEAD") {
        let _ = stream.write_all(&body[..answer.cut.unwrap_or(body.len()).min(body.len())]);
        if answer.silent && answer.cut.is_some() {
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    }
}
