//! What those who watch a run get.

use recipe::EventBody;
use tokio_tungstenite::tungstenite;
use wire::Frame;

use crate::board::Board;

#[tokio::test]
async fn watchers_are_filled_in_from_where_they_left() {
    let board = Board::start(None).await;
    board.run_with_points("r", 10).await;
    let mut watcher = board.watch("r", 0).await;
    assert_eq!(watcher.backfill().await.len(), 10);
    assert!(matches!(watcher.frame().await, Frame::Run { .. }));
    let mut back = board.watch("r", 7).await;
    assert_eq!(back.backfill().await.iter().map(|event| event.seq).collect::<Vec<_>>(), [8, 9, 10]);
    assert_eq!(board.status("GET /ws/runs/none", &["Upgrade: websocket"], "").await, 400);
    let gone = tokio_tungstenite::connect_async(format!("ws://{}/ws/runs/none", board.address)).await;
    assert!(matches!(gone, Err(tungstenite::Error::Http(answer)) if answer.status() == 404));
}

#[tokio::test]
async fn long_curves_are_thinned_without_losing_spikes() {
    let board = Board::start(None).await;
    board.run_with_points("r", 20_000).await;
    let mut watcher = board.watch("r", 0).await;
    let events = watcher.backfill().await;
    assert!(events.len() <= 4_001, "{}", events.len());
    assert_eq!(events.last().unwrap().seq, 20_000);
    let spike = events.iter().find(|event| event.seq == 777).expect("the spike is lost");
    let EventBody::Point(point) = &spike.body else { panic!("{spike:?}") };
    assert_eq!(point.metrics, recipe::Metrics::from([("loss", 100.0), ("rewards/chosen", -0.5)]));
    assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
}

#[tokio::test]
async fn what_a_failed_worker_printed_comes_to_watchers_and_pages() {
    let board = Board::start(None).await;
    board.run_with_points("r", 0).await;
    std::fs::write(board.pool.run_dir("r").join("worker.log"), "one\nout of luck\n").unwrap();
    let mut watcher = board.watch("r", 0).await;
    let lines = loop {
        if let Frame::LogTail { lines } = watcher.frame().await {
            break lines;
        }
    };
    assert_eq!(lines, ["one", "out of luck"]);
    assert!(board.ask("GET /api/run?id=r", &[], "").await.contains(r#""log_tail":["one","out of luck"]"#));
}
