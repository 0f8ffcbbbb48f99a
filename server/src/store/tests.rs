//! The database by itself.

use std::os::unix::fs::FileExt;

use recipe::{Eval, Event, EventBody, JobKind, Metrics, Point};

use super::*;
use crate::place::new_run;

async fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("chandler.db")).await.unwrap()
}

fn event(seq: u64, body: EventBody) -> Event {
    Event { seq, time: 1000 + seq, body }
}

fn point(seq: u64, step: u64, metrics: Metrics) -> Event {
    event(seq, EventBody::Point(Point { step, metrics, ..Point::default() }))
}

fn start(seq: u64, start_step: u64) -> Event {
    let body = EventBody::Start {
        start_step,
        total_steps: 4000,
        num_examples: 1,
        trainable_params: 1,
        total_params: 1,
    };
    event(seq, body)
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

/// A long curve is drawn from the table of stretches: without losing a spike of any metric, or its end.
#[tokio::test]
async fn long_curves_keep_their_spikes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    let calm = |step: u64| 1.0 + (step % 13) as f64 / 100.0;
    let loss = |step: u64| match step {
        1234 => 90.0,
        3333 => -70.0,
        step if step % 50 == 7 => f64::NAN,
        step => calm(step),
    };
    let reward = |step: u64| if step == 2345 { -9.0 } else { calm(step) };
    let metrics = |step: u64| {
        let always = [("loss", loss(step)), ("rewards/chosen", reward(step))];
        // What is measured now and then.
        let rare = [("kl", if step == 2100 { 5.0 } else { calm(step) })];
        always.into_iter().chain(rare.into_iter().filter(|_| step.is_multiple_of(3))).collect::<Metrics>()
    };
    // Every other number is that of something else.
    let points = |from: u64, to: u64, seq: u64| {
        (from..=to).map(move |step| point(seq + 2 * (step - from), step, metrics(step)))
    };
    store.ingest("a", points(1, 4000, 1).collect(), 1).await.unwrap();
    let check = async |steps: u64| {
        for buckets in [20, 200, 1500, 5000] {
            let curve = store.curve("a", buckets).await.unwrap();
            let count = curve.len() as u64;
            assert!((buckets.min(steps)..=2 * buckets + 10).contains(&count), "{buckets}: {count}");
            assert!(curve.is_sorted_by_key(|point| point.step));
            for step in [1, 1234, 2100, 2345, 3333, steps] {
                let point = curve.iter().find(|point| point.step == step);
                let point = point.unwrap_or_else(|| panic!("step {step} is not among {buckets}"));
                assert_eq!(point.metrics, metrics(step));
            }
            let widest = curve.windows(2).map(|pair| pair[1].step - pair[0].step).max().unwrap();
            assert!(widest <= 2 * steps.div_ceil(buckets), "{widest} steps between two of {buckets}");
        }
        let after = store.points_after("a", 2001, 100).await.unwrap();
        assert!(after.iter().all(|row| row.seq > 2001) && after.len() <= 270, "{}", after.len());
    };
    check(4000).await;
    // A resumed run does some steps again, others than the table has counted.
    store.ingest("a", vec![start(9000, 3500)], 2).await.unwrap();
    assert_eq!(store.run("a").await.unwrap().point_count, 3500);
    store.ingest("a", points(3501, 3900, 9001).collect(), 3).await.unwrap();
    check(3900).await;
    let sums = async |sql: &'static str| {
        sqlx::query_as::<_, (String, i64, f64)>(sql).fetch_all(&store.db).await.unwrap()
    };
    let counted =
        sums("SELECT metric, sum(count), sum(total) FROM stretches GROUP BY metric ORDER BY metric").await;
    let points = sums(
        "SELECT key, count(value), total(value) FROM logged, json_each(logged.metrics) GROUP BY key ORDER BY key",
    )
    .await;
    assert_eq!(counted.len(), 3);
    for (counted, points) in counted.iter().zip(&points) {
        assert_eq!((&counted.0, counted.1), (&points.0, points.1));
        assert!((counted.2 - points.2).abs() < 1e-6, "{counted:?} {points:?}");
    }
}

/// Queries from outside find, write and delete points by the columns of the table's first version.
#[tokio::test]
async fn points_are_shown_as_in_the_first_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    let metrics = |step: u64| {
        Metrics::from([
            ("loss", 1.0 / step as f64),
            ("grad_norm", f64::NAN),
            ("learning_rate", 5e-5),
            ("kl", 1.0),
        ])
    };
    store.ingest("a", (1..=200).map(|step| point(step, step, metrics(step))).collect(), 1).await.unwrap();
    for step in 201..=300 {
        sqlx::query(
            "INSERT INTO points VALUES ('a', ?1, 9, ?1, 0.5, 1.0 / ?1, 5e-5, NULL, 64, 80.0, 8.0, NULL)",
        )
        .bind(step as f64)
        .execute(&store.db)
        .await
        .unwrap();
    }
    sqlx::query("DELETE FROM points WHERE seq BETWEEN 5 AND 150").execute(&store.db).await.unwrap();
    let rows: Vec<(i64, f64, f64, Option<f64>)> = sqlx::query_as(
        "SELECT step, loss, learning_rate, grad_norm FROM points WHERE run_id = 'a' ORDER BY seq",
    )
    .fetch_all(&store.db)
    .await
    .unwrap();
    let kept = (1..5).chain(151..=300_i64);
    assert!(rows.into_iter().eq(kept.map(|step| (step, 1.0 / step as f64, 5e-5, None))));
    let count: (i64, i64) =
        sqlx::query_as("SELECT sum(count), min(low_seq) FROM stretches WHERE metric = 'loss'")
            .fetch_one(&store.db)
            .await
            .unwrap();
    assert_eq!(count, (154, 4));
    let curve = store.curve("a", 300).await.unwrap();
    assert_eq!(curve.iter().filter(|point| point.metrics.get("kl").is_some()).count(), 54);
}

/// What a stage reports is what is read, in its order, and what it has of the loss is in the list of runs.
#[tokio::test]
async fn metrics_are_kept_as_they_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    let metrics = |step: u64| {
        Metrics::from([
            ("logps/chosen", -130.75372314453125),
            ("loss", 0.1 * step as f64),
            ("rewards/a b", 1e-300),
        ])
    };
    let measured = Metrics::from([("eval_rewards/accuracies", 0.75), ("eval_runtime", 1.5)]);
    let eval = Eval { step: 2, dataset: Some("poems".into()), epoch: 0.5, metrics: measured };
    let events = [
        point(1, 1, metrics(1)),
        point(2, 2, metrics(2)),
        event(3, EventBody::Eval(eval.clone())),
        point(4, 3, Metrics::from([("loss", f64::NAN), ("kl", f64::INFINITY)])),
    ];
    store.ingest("a", events[..3].to_vec(), 1).await.unwrap();
    assert_eq!(store.events_after("a", 0).await.unwrap(), events[..3]);
    assert_eq!(store.evals("a").await.unwrap(), [eval]);
    let row = store.run("a").await.unwrap();
    assert_eq!((row.last_loss, row.sparkline), (Some(0.2), vec![0.1, 0.2]));
    store.ingest("a", events[3..].to_vec(), 2).await.unwrap();
    let curve = store.curve("a", 100).await.unwrap();
    let names: Vec<&str> = curve[2].metrics.iter().map(|(name, _)| name).collect();
    assert!(names == ["loss", "kl"] && curve[2].metrics.iter().all(|(_, value)| value.is_nan()));
    assert_eq!(store.run("a").await.unwrap().last_loss, None);
}

/// A database of a version whose points had a column for each of three metrics keeps them to the last bit.
#[tokio::test]
async fn points_of_earlier_versions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chandler.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(true);
    let old = SqlitePool::connect_with(options).await.unwrap();
    migrations::first(3).run(&old).await.unwrap();
    let run = "INSERT INTO runs (id, name, state, model, dataset, stage, method, recipe, created, queued)
               VALUES ('a', 'a', 'finished', 'wick', 'demo', 'sft', 'lora', '', 1, 1)";
    sqlx::query(run).execute(&old).await.unwrap();
    let numbers: [(f64, f64); 3] =
        [(1.0 / 3.0, 0.1 + 0.2), (f64::MIN_POSITIVE, 1.7976931348623157e308), (-2.0, 5e-5)];
    for step in 1..=300_i64 {
        let (loss, rate) = numbers[step as usize % 3];
        sqlx::query("INSERT INTO points VALUES ('a', ?1, ?1, ?1, 0.5, ?2, ?3, ?4, 64, 80.0, 8.0, NULL)")
            .bind(step)
            .bind((step != 200).then_some(loss))
            .bind(rate)
            .bind(step as f64 / 7.0)
            .execute(&old)
            .await
            .unwrap();
    }
    let eval = r#"{"seq":301,"time":9,"type":"eval","step":300,"epoch":0.5,"eval_loss":2.5,"runtime_s":1.25,"accuracy":null}"#;
    sqlx::query("INSERT INTO events VALUES ('a', 301, 9, 'eval', 300, ?)")
        .bind(eval)
        .execute(&old)
        .await
        .unwrap();
    old.close().await;

    let store = store(&dir).await;
    let curve = store.curve("a", 300).await.unwrap();
    assert_eq!(curve.len(), 300);
    assert_eq!(store.run("a").await.unwrap().kind, JobKind::Train);
    for point in &curve {
        let (loss, rate) = numbers[point.step as usize % 3];
        let names: Vec<&str> = point.metrics.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["loss", "grad_norm", "learning_rate"]);
        let bits = |name| point.metrics.get(name).map(f64::to_bits);
        assert_eq!(
            (bits("learning_rate"), bits("grad_norm")),
            (Some(rate.to_bits()), Some((point.step as f64 / 7.0).to_bits()))
        );
        assert!(point.step == 200 || bits("loss") == Some(loss.to_bits()), "{point:?}");
        assert!(point.remaining_s.is_nan() && point.tokens == 64);
    }
    assert!(curve[199].metrics.get("loss").is_some_and(f64::is_nan));
    let metrics = Metrics::from([("eval_loss", 2.5), ("eval_runtime", 1.25)]);
    assert_eq!(store.evals("a").await.unwrap(), [Eval { step: 300, dataset: None, epoch: 0.5, metrics }]);
    let highest = "SELECT high_seq FROM stretches WHERE metric = 'grad_norm' ORDER BY stretch";
    let highest: Vec<i64> = sqlx::query_scalar(highest).fetch_all(&store.db).await.unwrap();
    assert_eq!(highest, [127, 255, 300]);
}

/// A file that begins anew is no repetition of what is known, one that was put back is.
#[tokio::test]
async fn numbers_that_go_back_are_told_from_repetitions() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.insert_run(&new_run("a")).await.unwrap();
    let one = Metrics::from([("loss", 1.0)]);
    let first: Vec<Event> = (1..=10).map(|step| point(step, step, one.clone())).collect();
    store.ingest("a", first.clone(), 1).await.unwrap();
    assert!(store.ingest("a", first, 2).await.unwrap().fresh.is_empty());
    let later = (11..=15).map(|step| Event { time: 5000, ..point(step - 10, step, one.clone()) }).collect();
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
