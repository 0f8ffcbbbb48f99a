//! One attempt of a run: from the queue to its end.

use std::{
    fs,
    time::{Duration, Instant},
};

use recipe::{EventBody, RunState};
use server::{pool::PoolError, process_id::ProcessId};

use crate::{
    bench::{assert_whole, events, start, states, until, until_state, until_step},
    place::{Place, new_run},
};

#[tokio::test]
async fn runs_wait_for_a_slot_and_finish_in_order() {
    let place = Place::new();
    let pool = start(&place).await;
    for id in ["a", "b"] {
        pool.enqueue(&new_run(id), "steps=30\nsleep=2").await.unwrap();
    }
    until_state(&pool, "b", RunState::Finished).await;
    use RunState::{Finished, Preparing, Queued, Running};
    assert_eq!(states(&pool, "a").await, [Queued, Preparing, Running, Finished]);
    let entered = async |id, state| {
        let transitions = pool.store().transitions(id).await.unwrap();
        transitions.into_iter().find(|transition| transition.to == state).unwrap().time
    };
    assert!(entered("b", Preparing).await >= entered("a", Finished).await);
    assert_whole(&place, &pool, "a", 30).await;
    let row = pool.store().run("a").await.unwrap();
    assert_eq!((row.total_steps, row.trainable_params, row.worker), (30, Some(2), None));
    assert!(!row.sparkline.is_empty() && row.ended >= row.started);
    assert_eq!(pool.store().log("a", 10).await.unwrap().len(), 1);
    assert!(matches!(pool.delete("a").await, Ok(())));
    assert!(!place.folders.runs_dir.join("a").exists());
    assert!(pool.store().run("a").await.is_err());
}

#[tokio::test]
async fn a_stopped_run_is_resumed_where_it_stopped() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=60\nsleep=10").await.unwrap();
    until_step(&pool, "a", 7).await;
    pool.stop("a").await.unwrap();
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    assert!(matches!(pool.stop("a").await, Err(PoolError::Refused(_))));
    let stopped_at = pool.store().run("a").await.unwrap().step;
    assert!(stopped_at < 60);
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    assert_whole(&place, &pool, "a", 60).await;
    assert!(matches!(pool.resume("a").await, Err(PoolError::Refused(_))));
    let starts = events(&place, "a").into_iter().filter_map(|event| match event.body {
        EventBody::Start { start_step, .. } => Some(start_step),
        _ => None,
    });
    assert_eq!(starts.collect::<Vec<_>>(), [0, stopped_at]);
}

#[tokio::test]
async fn cancelling_ends_the_whole_process_tree() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=100000\nsleep=5\ngrandchild=1").await.unwrap();
    until_step(&pool, "a", 2).await;
    let pid: u32 = fs::read_to_string(place.folders.runs_dir.join("a/grandchild")).unwrap().parse().unwrap();
    let grandchild = ProcessId::of(pid).unwrap();
    let worker = pool.store().run("a").await.unwrap().worker.unwrap();
    assert!(matches!(pool.delete("a").await, Err(PoolError::Refused(_))));
    pool.cancel("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    assert!(!worker.is_alive());
    until("the grandchild is gone", async || (!grandchild.is_alive()).then_some(())).await;
    let reason = pool.store().run("a").await.unwrap().reason.unwrap();
    assert!(reason.contains("cancelled"), "{reason}");
}

#[tokio::test]
async fn a_run_can_leave_the_queue() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=100000\nsleep=5").await.unwrap();
    pool.enqueue(&new_run("b"), "steps=5").await.unwrap();
    until_state(&pool, "a", RunState::Running).await;
    pool.stop("b").await.unwrap();
    assert_eq!(pool.store().run("b").await.unwrap().state, RunState::Stopped);
    pool.cancel("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    assert_eq!(pool.store().run("b").await.unwrap().state, RunState::Stopped);
}

#[tokio::test]
async fn a_dead_worker_is_told_of_and_its_void_points_go() {
    let place = Place::new();
    let pool = start(&place).await;
    // Dies at step 8, three steps after its checkpoint at 5.
    pool.enqueue(&new_run("a"), "steps=12\npanic=8").await.unwrap();
    until_state(&pool, "a", RunState::Interrupted).await;
    let row = pool.store().run("a").await.unwrap();
    let reason = row.reason.unwrap();
    assert!(reason.contains("101") && reason.contains("out of luck"), "{reason}");
    assert_eq!(row.point_count, 8);
    assert_eq!(pool.log_tail("a", row.state).last().map(String::as_str), Some("out of luck"));
    assert!(pool.log_tail("a", RunState::Finished).is_empty());
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    let curve = pool.store().curve("a", 1000).await.unwrap();
    assert_eq!(curve.iter().map(|p| p.step).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
}

/// What is wrong with one run's files keeps neither it nor the others in the queue.
#[tokio::test]
async fn a_run_whose_files_are_not_files_fails_and_the_next_one_starts() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=60\nsleep=10").await.unwrap();
    until_step(&pool, "a", 3).await;
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    let events = place.folders.runs_dir.join("a/events.jsonl");
    std::fs::remove_file(&events).unwrap();
    std::fs::create_dir(&events).unwrap();
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Failed).await;
    let reason = pool.store().run("a").await.unwrap().reason.unwrap();
    assert!(reason.contains("events.jsonl") && reason.contains("directory"), "{reason}");
    pool.enqueue(&new_run("b"), "steps=3\nsleep=1").await.unwrap();
    until_state(&pool, "b", RunState::Finished).await;
}

#[tokio::test]
async fn a_killed_worker_and_a_failed_one_say_why() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("killed"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "killed", 2).await;
    pool.store().run("killed").await.unwrap().worker.unwrap().kill_group().unwrap();
    until_state(&pool, "killed", RunState::Interrupted).await;
    assert!(pool.store().run("killed").await.unwrap().reason.unwrap().contains("signal 9"));
    pool.enqueue(&new_run("failed"), "steps=10\nfail=3").await.unwrap();
    until_state(&pool, "failed", RunState::Failed).await;
    let reason = pool.store().run("failed").await.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("the loss is not a number"));
}

#[tokio::test]
async fn a_stop_before_a_resumed_run_listens_is_a_stop() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=100000\nsleep=5\ndeaf=1").await.unwrap();
    until_step(&pool, "a", 2).await;
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    pool.resume("a").await.unwrap();
    until("the worker is there", async || place.folders.runs_dir.join("a/deaf").exists().then_some(())).await;
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    let reason = pool.store().run("a").await.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("stopped before training went on"));
}

/// A stopped process is told of, and let go on when it is to end.
#[tokio::test]
async fn a_worker_that_stands_still_is_told_of_and_can_be_stopped() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "a", 2).await;
    let worker = pool.store().run("a").await.unwrap().worker.unwrap();
    let signal = |name: &str| {
        let pid = worker.pid().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    let reason = async || pool.store().run("a").await.unwrap().reason;
    signal("-STOP");
    until("it is told of", async || reason().await.filter(|reason| reason.contains("stands still"))).await;
    signal("-CONT");
    until("it goes on", async || reason().await.is_none().then_some(())).await;
    signal("-STOP");
    let asked = Instant::now();
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert!(reason().await.unwrap().contains("with a checkpoint"));
}

#[tokio::test]
async fn the_system_ends_workers_before_the_server() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=100000\nsleep=5").await.unwrap();
    until_state(&pool, "a", RunState::Running).await;
    let worker = pool.store().run("a").await.unwrap().worker.unwrap();
    let score = |process: &str| -> i32 {
        fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    assert_eq!(score(&worker.pid().to_string()), (score("self") + 500).min(1000));
    pool.cancel("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
}
