//! How much, and how slowly, clients may send.

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite;
use wire::Frame;

use crate::board::{Board, FORM, SLOW};

#[tokio::test]
async fn clients_that_send_nothing_are_dropped_and_those_that_send_are_not() {
    let board = Board::start(None).await;
    board.run_with_points("r", 1).await;
    let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: {}\r\n", board.address);
    let halves = [
        String::new(),
        head("GET /"),
        head("GET /healthz") + "\r\n",
        head("POST /api/check") + "Content-Length: 100\r\n\r\nyaml=",
        head("POST /chat/stream") + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        head("POST /datasets/upload/a.txt") + "Content-Length: 100000\r\n\r\nx",
    ];
    let mut held = Vec::new();
    for half in halves {
        let mut stream = TcpStream::connect(board.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        held.push((half, stream));
    }
    let mut watcher = board.watch("r", 0).await;
    assert_eq!(watcher.backfill().await.len(), 1);

    // Slow, but always on its way: twice as long as anyone is waited for.
    let mut upload = TcpStream::connect(board.address).await.unwrap();
    let pieces = 8;
    let length = format!("Content-Length: {}\r\n\r\n", pieces * 4096);
    upload.write_all((head("POST /datasets/upload/b.txt") + &length).as_bytes()).await.unwrap();
    for _ in 0..pieces {
        tokio::time::sleep(SLOW / 4).await;
        upload.write_all(&[b'x'; 4096]).await.unwrap();
    }
    let mut answer = [0; 12];
    upload.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");

    for (half, mut stream) in held {
        let end = tokio::time::timeout(SLOW, stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "still held: {half:?}");
    }
    board.take_in("r", 2..=2).await;
    assert!(matches!(watcher.frame().await, Frame::Run { .. }), "a watcher may be silent");
}

#[tokio::test]
async fn what_a_watcher_sends_is_not_collected() {
    let board = Board::start(None).await;
    board.run_with_points("r", 1).await;
    let mut watcher = board.watch("r", 0).await;
    let small = "x".repeat(1 << 10);
    watcher.0.send(tungstenite::Message::text(small)).await.unwrap();
    assert_eq!(watcher.backfill().await.len(), 1);
    let _ = watcher.0.send(tungstenite::Message::text("x".repeat(64 << 10))).await;
    let end = tokio::time::timeout(SLOW, async { while let Some(Ok(_)) = watcher.0.next().await {} });
    assert!(end.await.is_ok());
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let board = Board::start(None).await;
    let body = "x".repeat(3 << 20);
    assert_eq!(board.status("POST /api/check", &["Content-Type: application/json"], &body).await, 413);
    assert_eq!(board.status("POST /chat/stream", &["Content-Type: application/json"], &body).await, 413);
}

/// A recipe of a body's length is checked in no time, and what is said of it is short.
#[tokio::test]
async fn a_recipe_without_end_is_checked_quickly() {
    let board = Board::start(None).await;
    let keys: String = (0..100_000).map(|n| format!("k{n}%3A+1%0A")).collect();
    let anchors: String = (0..20_000).map(|n| format!("k{n}%3A+%26a{n}+1%0A")).collect();
    for (recipe, said) in [(keys, "99900 more"), (anchors, "more than 64 anchors")] {
        let start = std::time::Instant::now();
        let answer = board.ask("POST /api/check", &[FORM], &format!("yaml={recipe}")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(said), "{answer}");
        assert!(answer.len() < 30_000 && start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
