//! The server's side: a place with a pool whose workers are this test binary, and what is waited for.

use std::{fs, time::Duration};

use recipe::{Event, RunState};
use server::{pool::Pool, worker::EVENTS_FILE};

use crate::place::{self, Place, this_test};

pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn start(place: &Place) -> Pool {
    start_that(place, false).await
}

/// A pool that goes on by itself with runs that were cut off, or not.
pub async fn start_that(place: &Place, resume_interrupted: bool) -> Pool {
    place.pool(this_test("worker_process"), resume_interrupted).await
}

pub fn events(place: &Place, id: &str) -> Vec<Event> {
    let text = fs::read_to_string(place.run_dir(id).join(EVENTS_FILE)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub async fn until<T>(what: &str, found: impl AsyncFnMut() -> Option<T>) -> T {
    place::until(what, PATIENCE, found).await
}

pub async fn until_state(pool: &Pool, id: &str, state: RunState) {
    until(&format!("{id} is {}", state.name()), async || {
        (pool.store().run(id).await.unwrap().state == state).then_some(())
    })
    .await;
}

pub async fn until_step(pool: &Pool, id: &str, step: u64) {
    until(&format!("{id} is at step {step}"), async || {
        (pool.store().run(id).await.unwrap().step >= step).then_some(())
    })
    .await;
}

/// Every step once, and nothing lost or doubled between file and database.
pub async fn assert_whole(place: &Place, pool: &Pool, id: &str, steps: u64) {
    let curve = pool.store().curve(id, 100_000).await.unwrap();
    let found: Vec<u64> = curve.iter().map(|point| point.step).collect();
    assert_eq!(found, (1..=steps).collect::<Vec<_>>());
    let row = pool.store().run(id).await.unwrap();
    assert_eq!(row.point_count, steps);
    let file = events(place, id);
    assert_eq!(row.last_seq, file.len() as u64);
    assert!(file.iter().map(|event| event.seq).eq(1..=row.last_seq));
}

pub async fn states(pool: &Pool, id: &str) -> Vec<RunState> {
    pool.store().transitions(id).await.unwrap().into_iter().map(|transition| transition.to).collect()
}
