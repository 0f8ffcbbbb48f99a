//! Servers that end, are killed, and come back.

use std::{fs, time::Duration};

use recipe::{EventBody, RunState};
use server::{pool::Pool, store::Ending};

use crate::{
    bench::{assert_whole, events, start, start_that, until, until_state, until_step},
    place::{Place, new_run},
};

#[tokio::test]
async fn workers_outlive_the_server_and_are_found_again() {
    let place = Place::new();
    let mut pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=150\nsleep=10").await.unwrap();
    until_step(&pool, "a", 3).await;
    let worker = pool.store().run("a").await.unwrap().worker;
    // Servers come and go at odd moments.
    for pause in [3, 57, 111, 20] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pool.close().await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pool = start(&place).await;
        assert_eq!(pool.store().run("a").await.unwrap().worker, worker);
    }
    until_state(&pool, "a", RunState::Finished).await;
    assert_whole(&place, &pool, "a", 150).await;
}

#[tokio::test]
async fn what_ended_while_the_server_was_away_is_settled() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("done"), "steps=30\nsleep=5").await.unwrap();
    until_step(&pool, "done", 2).await;
    pool.close().await;
    until("the worker is done", async || {
        let done = events(&place, "done").iter().any(|event| matches!(event.body, EventBody::End { .. }));
        done.then_some(())
    })
    .await;
    let pool = start(&place).await;
    until_state(&pool, "done", RunState::Finished).await;
    assert_whole(&place, &pool, "done", 30).await;

    pool.enqueue(&new_run("killed"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "killed", 2).await;
    let worker = pool.store().run("killed").await.unwrap().worker.unwrap();
    pool.close().await;
    worker.kill_group().unwrap();
    until("the worker is gone", async || (!worker.is_alive()).then_some(())).await;
    let pool = start(&place).await;
    until_state(&pool, "killed", RunState::Interrupted).await;
}

#[tokio::test]
async fn a_stop_asked_for_before_a_restart_is_not_forgotten() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "a", 2).await;
    // The wish is noted, the signal not sent: as if the server had been killed in between.
    pool.store().begin_stopping("a", Ending::Stop, "asked").await.unwrap();
    pool.close().await;
    let pool = start(&place).await;
    until_state(&pool, "a", RunState::Stopped).await;
}

#[tokio::test]
async fn runs_that_end_with_the_server_go_on_with_the_next() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("a"), "steps=150\nsleep=10").await.unwrap();
    pool.enqueue(&new_run("b"), "steps=5").await.unwrap();
    until_step(&pool, "a", 7).await;
    let worker = pool.store().run("a").await.unwrap().worker.unwrap();
    pool.stop_all().await.unwrap();
    assert!(!worker.is_alive());
    let row = pool.store().run("a").await.unwrap();
    let reason = row.reason.unwrap();
    assert!(row.state == RunState::Interrupted && reason.contains("with a checkpoint"), "{reason}");
    assert_eq!(pool.store().run("b").await.unwrap().state, RunState::Queued, "no worker is started any more");
    pool.close().await;

    let pool = start(&place).await;
    until_state(&pool, "a", RunState::Finished).await;
    until_state(&pool, "b", RunState::Finished).await;
    assert_whole(&place, &pool, "a", 150).await;
    let starts =
        events(&place, "a").into_iter().filter(|event| matches!(event.body, EventBody::Start { .. }));
    let starts = starts.map(|event| event.body).collect::<Vec<_>>();
    assert!(
        matches!(starts[..], [_, EventBody::Start { start_step, .. }] if start_step == row.step),
        "{starts:?}"
    );
}

/// As when the machine goes down: worker and server are gone together.
#[tokio::test]
async fn runs_that_were_cut_off_go_on_by_themselves_but_not_for_ever() {
    let place = Place::new();
    let cut_off = async |pool: &Pool| {
        let worker = pool.store().run("a").await.unwrap().worker.unwrap();
        pool.close().await;
        worker.kill_group().unwrap();
        until("the worker is gone", async || (!worker.is_alive()).then_some(())).await;
    };
    let pool = start(&place).await;
    // The first checkpoint is far.
    pool.enqueue(&new_run("a"), "steps=100\nsleep=3000").await.unwrap();
    until_state(&pool, "a", RunState::Running).await;
    cut_off(&pool).await;

    let pool = start(&place).await;
    until_state(&pool, "a", RunState::Interrupted).await;
    let reason = pool.store().run("a").await.unwrap().reason.unwrap();
    assert!(reason.starts_with("cut off after step "), "{reason}");
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Running).await;
    cut_off(&pool).await;

    let by_itself = async |pool: &Pool| {
        let changes = pool.store().transitions("a").await.unwrap();
        let is_one =
            |reason: &Option<String>| reason.as_ref().is_some_and(|reason| reason.contains("by itself"));
        changes.iter().filter(|change| is_one(&change.reason)).count()
    };
    for times in 1..=2 {
        let pool = start_that(&place, true).await;
        until("it goes on", async || (by_itself(&pool).await == times).then_some(())).await;
        until_state(&pool, "a", RunState::Running).await;
        cut_off(&pool).await;
    }
    let pool = start_that(&place, true).await;
    until_state(&pool, "a", RunState::Interrupted).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pool.store().run("a").await.unwrap().state, RunState::Interrupted);
    assert_eq!(by_itself(&pool).await, 2);
}

/// A server may be killed between the two steps of a launch or a deletion.
#[tokio::test]
async fn what_a_server_left_half_done_is_completed() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.enqueue(&new_run("deleted"), "steps=1").await.unwrap();
    until_state(&pool, "deleted", RunState::Finished).await;
    for id in ["launched", "unknown"] {
        let dir = place.folders.runs_dir.join(format!(".new-{id}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("recipe.yaml"), "steps=1").unwrap();
    }
    pool.close().await;
    fs::rename(place.folders.runs_dir.join("deleted"), place.folders.runs_dir.join(".trash-deleted"))
        .unwrap();
    let store = place.store().await;
    store.insert_run(&new_run("launched")).await.unwrap();
    store.close().await;

    let pool = start(&place).await;
    until_state(&pool, "launched", RunState::Finished).await;
    assert!(pool.store().run("deleted").await.is_err());
    let folders = || {
        let entries = fs::read_dir(&place.folders.runs_dir).unwrap().map(|entry| entry.unwrap());
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    until("the trash is empty", async || (folders() == ["launched"]).then_some(())).await;
}

#[tokio::test]
async fn a_runs_folder_that_is_gone_is_told_of() {
    let place = Place::new();
    let pool = start(&place).await;
    pool.check().await.unwrap();
    let (away, gone) =
        (place.folders.runs_dir.with_extension("away"), place.folders.runs_dir.join("chandler.db"));
    fs::rename(&place.folders.runs_dir, &away).unwrap();
    let error = pool.check().await.unwrap_err().to_string();
    assert!(error.contains("moved or removed"), "{error}");
    assert!(pool.enqueue(&new_run("a"), "steps=1").await.is_err());
    fs::rename(&away, &place.folders.runs_dir).unwrap();
    pool.check().await.unwrap();
    fs::copy(&gone, gone.with_extension("copy")).unwrap();
    fs::rename(gone.with_extension("copy"), &gone).unwrap();
    let error = pool.check().await.unwrap_err().to_string();
    assert!(error.contains("database"), "{error}");
}
