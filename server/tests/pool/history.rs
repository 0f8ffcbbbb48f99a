//! What is known of runs: their events, their time, and their folders.

use std::{fs, path::Path, sync::Arc, time::Duration};

use recipe::RunState;
use server::{
    pool::{PoolError, Update},
    worker::EVENTS_FILE,
};
use wire::RunFilter;

use crate::{
    bench::{PATIENCE, events, start, until_state, until_step},
    place::{Place, new_run},
};

#[tokio::test]
async fn a_torn_last_line_is_neither_read_nor_built_upon() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=10\ntorn=7").await.unwrap();
    until_state(&pool, "a", RunState::Interrupted).await;
    assert_eq!(pool.store().run("a").await.unwrap().point_count, 7);
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    let file = events(&place, "a");
    assert!(file.iter().map(|event| event.seq).eq(1..=file.len() as u64));
    assert_eq!(pool.store().run("a").await.unwrap().point_count, 10);
}

#[tokio::test]
async fn watchers_hear_every_event_once_and_in_order() {
    let place = Place::new();
    let pool = start(&place).await;
    let mut updates = pool.subscribe("a");
    pool.enqueue(&new_run("a"), "steps=40\nsleep=3").await.unwrap();
    let (mut heard, mut last_state) = (Vec::new(), RunState::Queued);
    while !last_state.is_over() {
        let update: Arc<Update> = tokio::time::timeout(PATIENCE, updates.recv()).await.unwrap().unwrap();
        heard.extend(update.events.iter().cloned());
        last_state = update.run.state;
    }
    assert_eq!(heard, events(&place, "a"));
    assert_eq!(pool.store().events_after("a", 0).await.unwrap(), heard);
    let some = heard[10].seq;
    assert_eq!(pool.store().events_after("a", some).await.unwrap(), heard[11..]);
}

#[tokio::test]
async fn a_folder_that_leads_elsewhere_is_not_deleted() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=1").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("precious"), "").unwrap();
    fs::remove_dir_all(place.folders.runs_dir.join("a")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), place.folders.runs_dir.join("a")).unwrap();
    assert!(matches!(pool.delete("a").await, Err(PoolError::Refused(_))));
    assert!(elsewhere.path().join("precious").exists());
    assert!(pool.store().run("a").await.is_ok());
}

#[tokio::test]
async fn time_at_work_leaves_out_the_time_between() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=60\nsleep=5").await.unwrap();
    until_step(&pool, "a", 7).await;
    let under_way = pool.store().run("a").await.unwrap();
    assert!(under_way.worked == 0 && under_way.working_since.is_some());
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    let stopped = pool.store().run("a").await.unwrap();
    let first = stopped.ended.unwrap() - stopped.started.unwrap();
    assert_eq!((stopped.worked, stopped.working_since), (first, None));
    tokio::time::sleep(Duration::from_millis(200)).await;
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    let finished = pool.store().run("a").await.unwrap();
    let whole = finished.ended.unwrap() - finished.started.unwrap();
    assert!(finished.worked > first && finished.worked + 200 <= whole, "{} of {whole}", finished.worked);
}

#[tokio::test]
async fn a_long_history_comes_a_page_at_a_time() {
    let place = Place::new();
    let store = place.store().await;
    for number in 0..60 {
        store.insert_run(&new_run(&format!("r{number:03}"))).await.unwrap();
    }
    let all = RunFilter::default();
    let mut seen = Vec::new();
    for page in 0..4 {
        seen.extend(store.runs(&all, page * 25, 25).await.unwrap().into_iter().map(|run| run.id));
    }
    assert!(seen.into_iter().eq((0..60).rev().map(|number| format!("r{number:03}"))));
    assert_eq!(store.count_runs(&all).await.unwrap(), 60);
    let some = RunFilter { search: "r05".to_owned(), ..all };
    assert_eq!(store.count_runs(&some).await.unwrap(), 10);
    assert_eq!(store.runs(&some, 8, 25).await.unwrap().len(), 2);
}

/// Whatever becomes of the event file between two attempts, the curve is whole.
#[tokio::test]
async fn a_shortened_event_file_loses_no_point() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |path| fs::write(path, "").unwrap(),
        |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, &text[..text.len() / 2]).unwrap();
        },
        |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, &text[..text.len() - 10]).unwrap();
        },
        |path| fs::remove_file(path).unwrap(),
    ];
    let place = Place::new();
    let pool = start(&place).await;
    for (number, change) in changes.into_iter().enumerate() {
        let id = format!("r{number}");
        pool.enqueue(&new_run(&id), "steps=40\nsleep=10").await.unwrap();
        until_step(&pool, &id, 12).await;
        pool.stop(&id).await.unwrap();
        until_state(&pool, &id, RunState::Stopped).await;
        let before = pool.store().run(&id).await.unwrap();
        change(&place.folders.runs_dir.join(&id).join(EVENTS_FILE));
        pool.resume(&id).await.unwrap();
        until_state(&pool, &id, RunState::Finished).await;
        let curve = pool.store().curve(&id, 1000).await.unwrap();
        let steps: Vec<u64> = curve.iter().map(|point| point.step).collect();
        assert_eq!(steps, (1..=40).collect::<Vec<_>>(), "{id}");
        let row = pool.store().run(&id).await.unwrap();
        assert!(row.point_count == 40 && row.last_seq > before.last_seq, "{id}");
        let events = pool.store().events_after(&id, before.last_seq).await.unwrap();
        assert!(events.iter().all(|event| event.seq > before.last_seq), "{id}");
    }
}
