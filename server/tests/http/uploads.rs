//! Files that are sent to the data folder.

use std::{fs, sync::Arc, time::Duration};

use server::datasets::Datasets;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    board::Board,
    place::{LARGEST_UPLOAD, Place, no_command, until},
};

#[tokio::test]
async fn uploads_are_whole_or_leave_nothing() {
    let board = Board::start(None).await;
    let data = board.place.folders.data_dir.clone();
    let left = || {
        let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    let large = "x".repeat(LARGEST_UPLOAD as usize + 1);
    assert_eq!(board.status("POST /datasets/upload/large.txt", &[], &large).await, 413);
    // Without a length the server finds out by itself.
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let answer =
        board.send("POST /datasets/upload/large.txt", &["Transfer-Encoding: chunked"], &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for name in
        ["..%2Fsecret.txt", "%2Fetc%2Fx.txt", ".hidden.txt", "dataset_info.exe", "a%5Cb.txt", "a%0Ab.txt"]
    {
        assert_eq!(board.status(&format!("POST /datasets/upload/{name}"), &[], "x").await, 400, "{name}");
    }
    let foreign = ["Origin: http://evil.com"];
    assert_eq!(board.status("POST /datasets/upload/a.txt", &foreign, "x").await, 403);
    assert!(left().is_empty(), "{:?}", left());

    // More than other requests may send.
    let fits = "x".repeat(5 << 19);
    assert_eq!(board.status("POST /datasets/upload/a.txt", &[], &fits).await, 201);
    assert_eq!(fs::read_to_string(data.join("a.txt")).unwrap(), fits);
    assert_eq!(board.status("POST /datasets/upload/a.txt", &[], "other").await, 409);
    assert_eq!(fs::metadata(data.join("a.txt")).unwrap().len(), fits.len() as u64);
    assert_eq!(left(), ["a.txt"]);

    // Who leaves in the middle takes it all along.
    let mut stream = TcpStream::connect(board.address).await.unwrap();
    let head = format!(
        "POST /datasets/upload/b.txt HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\n",
        board.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 50_000]).await.unwrap();
    let wait = async |files: usize| {
        let there = async || (left().len() == files).then_some(());
        until(&format!("there are {files} files"), Duration::from_secs(10), there).await;
    };
    wait(2).await;
    drop(stream);
    wait(1).await;
    assert_eq!(left(), ["a.txt"]);
}

#[tokio::test]
async fn what_a_killed_server_left_of_uploads_is_removed() {
    let place = Place::new();
    let part = place.write("data/.upload-abc.part", "half");
    let whole = place.write("data/whole.txt", "x");
    Datasets::new(Arc::new(place.folders.clone()), no_command(), LARGEST_UPLOAD);
    assert!(!part.exists() && whole.exists());
}
