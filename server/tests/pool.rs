//! The pool with real processes. The worker is this very test binary, called on its test
//! [`worker_process`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::zombie_processes)]

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use recipe::{Event, EventBody, LogLevel, Outcome, Point, RunState};
use server::{
    command::WorkerCommand,
    pool::{Pool, PoolConfig, PoolError, Update},
    process_id::ProcessId,
    store::{NewRun, Store},
    worker::{EVENTS_FILE, EventWriter, OUTPUT_DIR, RunLock},
};
use wire::RunFilter;

const PATIENCE: Duration = Duration::from_secs(20);

// ---------------------------------------------------------------- the worker's side

/// What the worker shall do stands in its recipe, `key=value` a line.
struct Script(String);

impl Script {
    fn number(&self, key: &str) -> Option<u64> {
        self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
    }

    fn flag(&self, key: &str) -> bool {
        self.number(key).is_some()
    }
}

/// Not a test but the worker: does nothing unless it was called with `train --run-dir DIR`.
#[test]
fn worker_process() {
    let args: Vec<String> = std::env::args().collect();
    let Some(at) = args.iter().position(|arg| arg == "--run-dir") else { return };
    let after = args.iter().position(|arg| arg == "--events-after").unwrap() + 1;
    let code = train(Path::new(&args[at + 1]), args[after].parse().unwrap());
    std::process::exit(code);
}

fn point(step: u64) -> EventBody {
    EventBody::Point(Point { step, loss: 10.0 / step as f64, tokens: step * 100, ..Point::default() })
}

fn train(dir: &Path, after: u64) -> i32 {
    // Between its start and the first thing it does, a signal finds no one who would listen.
    if Script(fs::read_to_string(dir.join("recipe.yaml")).unwrap()).flag("deaf")
        && dir.join("attempted").exists()
    {
        fs::write(dir.join("deaf"), "").unwrap();
        std::thread::sleep(PATIENCE);
    }
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, stop.clone()).unwrap();
    let script = Script(fs::read_to_string(dir.join("recipe.yaml")).unwrap());
    let _lock = RunLock::take(dir).unwrap();
    let mut events = EventWriter::open(&dir.join(EVENTS_FILE), after).unwrap();
    let saved = dir.join(OUTPUT_DIR).join("step");
    let start: u64 = fs::read_to_string(&saved).ok().and_then(|step| step.parse().ok()).unwrap_or(0);
    let first_attempt = !dir.join("attempted").exists();
    fs::write(dir.join("attempted"), "").unwrap();

    if script.flag("grandchild") {
        let child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        fs::write(dir.join("grandchild"), child.id().to_string()).unwrap();
    }
    let total_steps = script.number("steps").unwrap_or(20);
    let started = EventBody::Start {
        start_step: start,
        total_steps,
        num_examples: 1,
        trainable_params: 2,
        total_params: 3,
    };
    events.write(started).unwrap();
    for step in start + 1..=total_steps {
        events.write(point(step)).unwrap();
        if first_attempt && script.number("panic") == Some(step) {
            eprintln!("out of luck");
            return 101;
        }
        if first_attempt && script.number("fail") == Some(step) {
            let reason = Some("the loss is not a number".to_owned());
            events.write(EventBody::End { outcome: Outcome::Failed, reason }).unwrap();
            return 1;
        }
        if first_attempt && script.number("torn") == Some(step) {
            use std::io::Write;
            let mut file = fs::File::options().append(true).open(dir.join(EVENTS_FILE)).unwrap();
            file.write_all(b"{\"seq\":99,\"time\":1,\"ty").unwrap();
            return 101;
        }
        if step % 5 == 0 {
            fs::create_dir_all(saved.parent().unwrap()).unwrap();
            fs::write(&saved, step.to_string()).unwrap();
            events.write(EventBody::Checkpoint { step, path: format!("checkpoint-{step}") }).unwrap();
        }
        if stop.load(Ordering::Relaxed) {
            fs::create_dir_all(saved.parent().unwrap()).unwrap();
            fs::write(&saved, step.to_string()).unwrap();
            events.write(EventBody::End { outcome: Outcome::Stopped, reason: None }).unwrap();
            return 0;
        }
        std::thread::sleep(Duration::from_millis(script.number("sleep").unwrap_or(0)));
    }
    events.write(EventBody::Log { level: LogLevel::Info, message: "done".to_owned() }).unwrap();
    events.write(EventBody::End { outcome: Outcome::Finished, reason: None }).unwrap();
    0
}

// ---------------------------------------------------------------- the server's side

struct Place {
    dir: PathBuf,
    _temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let temp = tempfile::tempdir().unwrap();
        Place { dir: temp.path().canonicalize().unwrap(), _temp: temp }
    }

    async fn pool(&self) -> Pool {
        self.pool_that(false).await
    }

    /// A pool that goes on by itself with runs that were cut off, or not.
    async fn pool_that(&self, resume_interrupted: bool) -> Pool {
        let args = ["--exact", "worker_process", "--nocapture", "--"].map(OsString::from).to_vec();
        let worker = WorkerCommand { program: std::env::current_exe().unwrap(), args };
        let config = PoolConfig { runs_dir: self.dir.clone(), slots: 1, worker, resume_interrupted };
        let store = Store::open(&self.dir.join("chandler.db")).await.unwrap();
        Pool::start(store, config).await.unwrap()
    }

    fn events(&self, id: &str) -> Vec<Event> {
        let text = fs::read_to_string(self.dir.join(id).join(EVENTS_FILE)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn run(id: &str) -> NewRun {
    let text = |text: &str| text.to_owned();
    NewRun {
        id: text(id),
        name: text(id),
        model: text("wick"),
        dataset: text("demo"),
        stage: text("sft"),
        method: text("lora"),
        template: None,
        recipe: String::new(),
    }
}

async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_state(pool: &Pool, id: &str, state: RunState) {
    until(&format!("{id} is {}", state.name()), async || {
        (pool.store().run(id).await.unwrap().state == state).then_some(())
    })
    .await;
}

async fn until_step(pool: &Pool, id: &str, step: u64) {
    until(&format!("{id} is at step {step}"), async || {
        (pool.store().run(id).await.unwrap().step >= step).then_some(())
    })
    .await;
}

/// Every step once, and nothing lost or doubled between file and database.
async fn assert_whole(place: &Place, pool: &Pool, id: &str, steps: u64) {
    let curve = pool.store().curve(id, 100_000).await.unwrap();
    let found: Vec<u64> = curve.iter().map(|point| point.step).collect();
    assert_eq!(found, (1..=steps).collect::<Vec<_>>());
    let row = pool.store().run(id).await.unwrap();
    assert_eq!(row.point_count, steps);
    let file = place.events(id);
    assert_eq!(row.last_seq, file.len() as u64);
    assert!(file.iter().map(|event| event.seq).eq(1..=row.last_seq));
}

async fn states(pool: &Pool, id: &str) -> Vec<RunState> {
    pool.store().transitions(id).await.unwrap().into_iter().map(|transition| transition.to).collect()
}

#[tokio::test]
async fn runs_wait_for_a_slot_and_finish_in_order() {
    let place = Place::new();
    let pool = place.pool().await;
    for id in ["a", "b"] {
        pool.enqueue(&run(id), "steps=30\nsleep=2").await.unwrap();
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
    assert!(!place.dir.join("a").exists());
    assert!(pool.store().run("a").await.is_err());
}

#[tokio::test]
async fn a_stopped_run_is_resumed_where_it_stopped() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=60\nsleep=10").await.unwrap();
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
    let starts = place.events("a").into_iter().filter_map(|event| match event.body {
        EventBody::Start { start_step, .. } => Some(start_step),
        _ => None,
    });
    assert_eq!(starts.collect::<Vec<_>>(), [0, stopped_at]);
}

#[tokio::test]
async fn cancelling_ends_the_whole_process_tree() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=100000\nsleep=5\ngrandchild=1").await.unwrap();
    until_step(&pool, "a", 2).await;
    let pid: u32 = fs::read_to_string(place.dir.join("a/grandchild")).unwrap().parse().unwrap();
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
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=100000\nsleep=5").await.unwrap();
    pool.enqueue(&run("b"), "steps=5").await.unwrap();
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
    let pool = place.pool().await;
    // Dies at step 8, three steps after its checkpoint at 5.
    pool.enqueue(&run("a"), "steps=12\npanic=8").await.unwrap();
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

#[tokio::test]
async fn a_killed_worker_and_a_failed_one_say_why() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("killed"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "killed", 2).await;
    pool.store().run("killed").await.unwrap().worker.unwrap().kill_group().unwrap();
    until_state(&pool, "killed", RunState::Interrupted).await;
    assert!(pool.store().run("killed").await.unwrap().reason.unwrap().contains("signal 9"));
    pool.enqueue(&run("failed"), "steps=10\nfail=3").await.unwrap();
    until_state(&pool, "failed", RunState::Failed).await;
    let reason = pool.store().run("failed").await.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("the loss is not a number"));
}

#[tokio::test]
async fn a_torn_last_line_is_neither_read_nor_built_upon() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=10\ntorn=7").await.unwrap();
    until_state(&pool, "a", RunState::Interrupted).await;
    assert_eq!(pool.store().run("a").await.unwrap().point_count, 7);
    pool.resume("a").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    let file = place.events("a");
    assert!(file.iter().map(|event| event.seq).eq(1..=file.len() as u64));
    assert_eq!(pool.store().run("a").await.unwrap().point_count, 10);
}

#[tokio::test]
async fn workers_outlive_the_server_and_are_found_again() {
    let place = Place::new();
    let mut pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=150\nsleep=10").await.unwrap();
    until_step(&pool, "a", 3).await;
    let worker = pool.store().run("a").await.unwrap().worker;
    // Servers come and go at odd moments.
    for pause in [3, 57, 111, 20] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pool.close().await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pool = place.pool().await;
        assert_eq!(pool.store().run("a").await.unwrap().worker, worker);
    }
    until_state(&pool, "a", RunState::Finished).await;
    assert_whole(&place, &pool, "a", 150).await;
}

#[tokio::test]
async fn what_ended_while_the_server_was_away_is_settled() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("done"), "steps=30\nsleep=5").await.unwrap();
    until_step(&pool, "done", 2).await;
    pool.close().await;
    until("the worker is done", async || {
        let done = place.events("done").iter().any(|event| matches!(event.body, EventBody::End { .. }));
        done.then_some(())
    })
    .await;
    let pool = place.pool().await;
    until_state(&pool, "done", RunState::Finished).await;
    assert_whole(&place, &pool, "done", 30).await;

    pool.enqueue(&run("killed"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "killed", 2).await;
    let worker = pool.store().run("killed").await.unwrap().worker.unwrap();
    pool.close().await;
    worker.kill_group().unwrap();
    until("the worker is gone", async || (!worker.is_alive()).then_some(())).await;
    let pool = place.pool().await;
    until_state(&pool, "killed", RunState::Interrupted).await;
}

#[tokio::test]
async fn a_stop_asked_for_before_a_restart_is_not_forgotten() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=100000\nsleep=5").await.unwrap();
    until_step(&pool, "a", 2).await;
    // The wish is noted, the signal not sent: as if the server had been killed in between.
    pool.store().begin_stopping("a", server::store::Ending::Stop, "asked").await.unwrap();
    pool.close().await;
    let pool = place.pool().await;
    until_state(&pool, "a", RunState::Stopped).await;
}

#[tokio::test]
async fn watchers_hear_every_event_once_and_in_order() {
    let place = Place::new();
    let pool = place.pool().await;
    let mut updates = pool.subscribe("a");
    pool.enqueue(&run("a"), "steps=40\nsleep=3").await.unwrap();
    let (mut heard, mut last_state) = (Vec::new(), RunState::Queued);
    while !last_state.is_over() {
        let update: Arc<Update> = tokio::time::timeout(PATIENCE, updates.recv()).await.unwrap().unwrap();
        heard.extend(update.events.iter().cloned());
        last_state = update.run.state;
    }
    assert_eq!(heard, place.events("a"));
    assert_eq!(pool.store().events_after("a", 0).await.unwrap(), heard);
    let some = heard[10].seq;
    assert_eq!(pool.store().events_after("a", some).await.unwrap(), heard[11..]);
}

#[tokio::test]
async fn a_folder_that_leads_elsewhere_is_not_deleted() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=1").await.unwrap();
    until_state(&pool, "a", RunState::Finished).await;
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("precious"), "").unwrap();
    fs::remove_dir_all(place.dir.join("a")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), place.dir.join("a")).unwrap();
    assert!(matches!(pool.delete("a").await, Err(PoolError::Refused(_))));
    assert!(elsewhere.path().join("precious").exists());
    assert!(pool.store().run("a").await.is_ok());
}

#[tokio::test]
async fn a_stop_before_a_resumed_run_listens_is_a_stop() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=100000\nsleep=5\ndeaf=1").await.unwrap();
    until_step(&pool, "a", 2).await;
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    pool.resume("a").await.unwrap();
    until("the worker is there", async || place.dir.join("a/deaf").exists().then_some(())).await;
    pool.stop("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
    let reason = pool.store().run("a").await.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("stopped before training went on"));
}

#[tokio::test]
async fn runs_that_end_with_the_server_go_on_with_the_next() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=150\nsleep=10").await.unwrap();
    pool.enqueue(&run("b"), "steps=5").await.unwrap();
    until_step(&pool, "a", 7).await;
    let worker = pool.store().run("a").await.unwrap().worker.unwrap();
    pool.stop_all().await.unwrap();
    assert!(!worker.is_alive());
    let row = pool.store().run("a").await.unwrap();
    let reason = row.reason.unwrap();
    assert!(row.state == RunState::Interrupted && reason.contains("with a checkpoint"), "{reason}");
    assert_eq!(pool.store().run("b").await.unwrap().state, RunState::Queued, "no worker is started any more");
    pool.close().await;

    let pool = place.pool().await;
    until_state(&pool, "a", RunState::Finished).await;
    until_state(&pool, "b", RunState::Finished).await;
    assert_whole(&place, &pool, "a", 150).await;
    let starts = place.events("a").into_iter().filter(|event| matches!(event.body, EventBody::Start { .. }));
    let starts = starts.map(|event| event.body).collect::<Vec<_>>();
    assert!(
        matches!(starts[..], [_, EventBody::Start { start_step, .. }] if start_step == row.step),
        "{starts:?}"
    );
}

#[tokio::test]
async fn time_at_work_leaves_out_the_time_between() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=60\nsleep=5").await.unwrap();
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
    let store = Store::open(&place.dir.join("chandler.db")).await.unwrap();
    for number in 0..60 {
        store.insert_run(&run(&format!("r{number:03}"))).await.unwrap();
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
    let pool = place.pool().await;
    for (number, change) in changes.into_iter().enumerate() {
        let id = format!("r{number}");
        pool.enqueue(&run(&id), "steps=40\nsleep=10").await.unwrap();
        until_step(&pool, &id, 12).await;
        pool.stop(&id).await.unwrap();
        until_state(&pool, &id, RunState::Stopped).await;
        let before = pool.store().run(&id).await.unwrap();
        change(&place.dir.join(&id).join(EVENTS_FILE));
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

/// A stopped process is told of, and let go on when it is to end.
#[tokio::test]
async fn a_worker_that_stands_still_is_told_of_and_can_be_stopped() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=100000\nsleep=5").await.unwrap();
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
    let pool = place.pool().await;
    pool.enqueue(&run("a"), "steps=100000\nsleep=5").await.unwrap();
    until_state(&pool, "a", RunState::Running).await;
    let worker = pool.store().run("a").await.unwrap().worker.unwrap();
    let score = |process: &str| -> i32 {
        fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    assert_eq!(score(&worker.pid().to_string()), (score("self") + 500).min(1000));
    pool.cancel("a").await.unwrap();
    until_state(&pool, "a", RunState::Stopped).await;
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
    let pool = place.pool().await;
    // The first checkpoint is far.
    pool.enqueue(&run("a"), "steps=100\nsleep=3000").await.unwrap();
    until_state(&pool, "a", RunState::Running).await;
    cut_off(&pool).await;

    let pool = place.pool().await;
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
        let pool = place.pool_that(true).await;
        until("it goes on", async || (by_itself(&pool).await == times).then_some(())).await;
        until_state(&pool, "a", RunState::Running).await;
        cut_off(&pool).await;
    }
    let pool = place.pool_that(true).await;
    until_state(&pool, "a", RunState::Interrupted).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pool.store().run("a").await.unwrap().state, RunState::Interrupted);
    assert_eq!(by_itself(&pool).await, 2);
}

/// A server may be killed between the two steps of a launch or a deletion.
#[tokio::test]
async fn what_a_server_left_half_done_is_completed() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.enqueue(&run("deleted"), "steps=1").await.unwrap();
    until_state(&pool, "deleted", RunState::Finished).await;
    for id in ["launched", "unknown"] {
        let dir = place.dir.join(format!(".new-{id}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("recipe.yaml"), "steps=1").unwrap();
    }
    pool.close().await;
    fs::rename(place.dir.join("deleted"), place.dir.join(".trash-deleted")).unwrap();
    let store = Store::open(&place.dir.join("chandler.db")).await.unwrap();
    store.insert_run(&run("launched")).await.unwrap();
    store.close().await;

    let pool = place.pool().await;
    until_state(&pool, "launched", RunState::Finished).await;
    assert!(pool.store().run("deleted").await.is_err());
    let folders = || {
        let entries = fs::read_dir(&place.dir).unwrap().map(|entry| entry.unwrap());
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    until("the trash is empty", async || (folders() == ["launched"]).then_some(())).await;
}

#[tokio::test]
async fn a_runs_folder_that_is_gone_is_told_of() {
    let place = Place::new();
    let pool = place.pool().await;
    pool.check().await.unwrap();
    let (away, gone) = (place.dir.with_extension("away"), place.dir.join("chandler.db"));
    fs::rename(&place.dir, &away).unwrap();
    let error = pool.check().await.unwrap_err().to_string();
    assert!(error.contains("moved or removed"), "{error}");
    assert!(pool.enqueue(&run("a"), "steps=1").await.is_err());
    fs::rename(&away, &place.dir).unwrap();
    pool.check().await.unwrap();
    fs::copy(&gone, gone.with_extension("copy")).unwrap();
    fs::rename(gone.with_extension("copy"), &gone).unwrap();
    let error = pool.check().await.unwrap_err().to_string();
    assert!(error.contains("database"), "{error}");
}
