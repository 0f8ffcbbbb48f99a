//! The worker's side: a run that does as its recipe says.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use recipe::{EventBody, LogLevel, Outcome, Point};
use server::worker::{EVENTS_FILE, EventWriter, OUTPUT_DIR, RunLock};

use crate::bench::PATIENCE;

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

fn point(step: u64) -> EventBody {
    let metrics = recipe::Metrics::from([("loss", 10.0 / step as f64)]);
    EventBody::Point(Point { step, metrics, tokens: step * 100, ..Point::default() })
}

pub fn train(dir: &Path, after: u64) -> i32 {
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
