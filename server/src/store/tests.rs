//! The database by itself.

use std::os::unix::fs::FileExt;

use recipe::{Event, EventBody, Point};

use super::*;
use crate::place::new_run;

async fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("chandler.db")).await.unwrap()
}

fn event(seq: u64, body: EventBody) -> Event {
    Event { seq, time: 1000 + seq, body }
}

fn point(seq: u64, step: u64, loss: f64) -> Event {
    event(seq, EventBody::Point(Point { step, loss, ..Point::default() }))
}

/// A commit that fails, as on a full disk, leaves its transaction open: the connection must not be used again.
#[tokio::test]
async fn a_failed_commit_takes_its_connection_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    for _ in 0..3 {
        let mut tx = store.write().await.unwrap();
        for sql in [
            "PRAGMA defer_foreign_keys = ON",
            "UPDATE runs SET name = 'lost'",
            "INSERT INTO transitions (run_id, to_state, time) VALUES ('nobody', 'queued', 0)",
        ] {
            sqlx::query(sql).execute(&mut *tx).await.unwrap();
        }
        assert!(tx.commit().await.is_err());
        store.rename_run("a", "kept").await.unwrap();
    }
    assert_eq!(store.run("a").await.unwrap().name, "kept");
}

/// A curve is drawn from the table of stretches where it is long, and from its points where it is not: either way
/// without losing a spike or its end.
#[tokio::test]
async fn long_curves_keep_their_spikes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    let loss = |step: u64| match step {
        1234 => 90.0,
        3333 => -70.0,
        step if step % 50 == 7 => f64::NAN,
        step => 1.0 + (step % 13) as f64 / 100.0,
    };
    // Every other number is that of something else.
    let points = |from: u64, to: u64, seq: u64| {
        (from..=to).map(move |step| point(seq + 2 * (step - from), step, loss(step)))
    };
    store.ingest("a", points(1, 4000, 1).collect(), 1).await.unwrap();
    let check = async |steps: u64| {
        for (buckets, limit) in [(20, 40 + 40), (200, 400 + 40), (1500, 3000 + 40), (5000, steps)] {
            let curve = store.curve("a", buckets).await.unwrap();
            assert!(
                curve.len() as u64 <= limit && curve.len() as u64 >= buckets.min(steps),
                "{buckets}: {}",
                curve.len()
            );
            assert!(curve.is_sorted_by_key(|point| point.step));
            for step in [1234, 3333, steps] {
                assert!(curve.iter().any(|point| point.step == step), "step {step} in {buckets}");
            }
        }
        let after = store.points_after("a", 2001, 100).await.unwrap();
        assert!(after.iter().all(|row| row.seq > 2001) && after.len() <= 240, "{}", after.len());
    };
    check(4000).await;
    // A resumed run does some steps again, others than the table has counted.
    let start = EventBody::Start {
        start_step: 3500,
        total_steps: 4000,
        num_examples: 1,
        trainable_params: 1,
        total_params: 1,
    };
    store.ingest("a", vec![event(9000, start)], 2).await.unwrap();
    assert_eq!(store.run("a").await.unwrap().point_count, 3500);
    store.ingest("a", points(3501, 3900, 9001).collect(), 3).await.unwrap();
    check(3900).await;
    let counted: (i64, f64) =
        sqlx::query_as("SELECT sum(count), sum(total) FROM stretches").fetch_one(&store.db).await.unwrap();
    let points: (i64, f64) =
        sqlx::query_as("SELECT count(loss), sum(loss) FROM points").fetch_one(&store.db).await.unwrap();
    assert!(counted.0 == points.0 && (counted.1 - points.1).abs() < 1e-6, "{counted:?} {points:?}");
}

/// A file that begins anew is no repetition of what is known, one that was put back is.
#[tokio::test]
async fn numbers_that_go_back_are_told_from_repetitions() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    let first: Vec<Event> = (1..=10).map(|step| point(step, step, 1.0)).collect();
    store.ingest("a", first.clone(), 1).await.unwrap();
    assert!(store.ingest("a", first, 2).await.unwrap().fresh.is_empty());
    let later = (11..=15).map(|step| Event { time: 5000, ..point(step - 10, step, 1.0) }).collect();
    let fresh = store.ingest("a", later, 3).await.unwrap().fresh;
    assert!(fresh.iter().map(|event| event.seq).eq(11..=15));
    assert_eq!(store.curve("a", 100).await.unwrap().len(), 15);
}

#[tokio::test]
async fn a_garbled_page_is_told_of_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chandler.db");
    let opened = store(&dir).await;
    for number in 0..200 {
        opened.insert_run(&new_run(&format!("run-{number}"))).await.unwrap();
    }
    opened.close().await;
    let length = path.metadata().unwrap().len();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for page in 8..length / 4096 - 1 {
        file.write_all_at(&[0xff; 64], page * 4096).unwrap();
    }
    let error = Store::open(&path).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("chandler.db") && error.contains("damaged"), "{error}");
}

/// A change that a full disk refused is tried again with the room that was put aside for it.
#[tokio::test]
async fn room_is_put_aside_for_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let reserve = dir.path().join("chandler.reserve");
    assert!(reserve.metadata().unwrap().len() > 100_000);
    store.insert_run(&new_run("a")).await.unwrap();
    // As SQLite answers on a full disk.
    let mut tx = store.write().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *tx).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
        .execute(&mut *tx)
        .await
        .unwrap();
    let large = "UPDATE runs SET recipe = hex(zeroblob(100000))";
    let full = sqlx::query(large).execute(&mut *tx).await.unwrap_err().into();
    drop(tx);
    assert!(!store.make_room(&StoreError::NoRun("a".to_owned())).await && reserve.exists());
    assert!(store.make_room(&full).await && !reserve.exists(), "{full}");
    let log = dir.path().join("chandler.db-wal");
    assert!(log.metadata().unwrap().len() == 0 && !store.make_room(&full).await);
    store.keep_room();
    assert!(reserve.exists());
}
