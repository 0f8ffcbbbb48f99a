//! Several processes that train one model together.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};

use engine::job;
use engine::observer::Observer;
use engine::train::Summary;
use engine::world::{Alone, World};
use recipe::{EventBody, Outcome, Point, Recipe};
use tempfile::TempDir;

fn recipe(stage: &str, dataset: &str, accumulation: usize, output: &Path) -> Recipe {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/data");
    let text = format!(
        "model_name_or_path: {data}/base\ndataset_dir: {data}\ndataset: {dataset}\ntemplate: default\nstage: {stage}\n\
         do_train: true\ncutoff_len: 64\nlearning_rate: 1.0e-3\nper_device_train_batch_size: 2\n\
         gradient_accumulation_steps: {accumulation}\nlogging_steps: 1\nmax_steps: 4\nsave_steps: 2\ndo_eval: true\nval_size: 5\n\
         per_device_eval_batch_size: 2\noutput_dir: {output}\n",
        data = data.display(),
        output = output.display(),
    );
    Recipe::from_yaml(&text).unwrap()
}

fn run(world: &dyn World, recipe: &Recipe) -> (Summary, Vec<Point>) {
    let mut points = Vec::new();
    let take = |event| {
        if let EventBody::Point(point) = event {
            points.push(point);
        }
    };
    let summary = job::run_in(world, recipe, &mut Observer::new(take, Arc::default())).unwrap();
    (summary, points)
}

/// Threads that stand for the processes of a [`World`].
struct Threads {
    said: Mutex<Vec<Vec<u8>>>,
    barrier: Barrier,
}

struct Thread(Arc<Threads>, usize);

impl World for Thread {
    fn rank(&self) -> usize {
        self.1
    }

    fn size(&self) -> usize {
        self.0.said.lock().unwrap().len()
    }

    fn sum(&self, numbers: &mut [f32]) -> Result<(), engine::Error> {
        let said = self.gather(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())?;
        for (place, number) in numbers.iter_mut().enumerate() {
            let of = |said: &Vec<u8>| f32::from_le_bytes(said[4 * place..][..4].try_into().unwrap());
            *number = said.iter().map(of).sum();
        }
        Ok(())
    }

    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, engine::Error> {
        self.0.said.lock().unwrap()[self.1] = message;
        self.0.barrier.wait();
        let said = self.0.said.lock().unwrap().clone();
        self.0.barrier.wait();
        Ok(said)
    }
}

/// What two processes come to.
fn together(recipe: &Recipe) -> [(Summary, Vec<Point>); 2] {
    let threads = Arc::new(Threads { said: Mutex::new(vec![Vec::new(); 2]), barrier: Barrier::new(2) });
    std::thread::scope(|scope| {
        let work = |rank| {
            let world = Thread(threads.clone(), rank);
            scope.spawn(move || run(&world, recipe))
        };
        [0, 1].map(work).map(|thread| thread.join().unwrap())
    })
}

/// That each of them reported what one process alone did.
fn agree(stage: &str, found: &[Point], points: &[Point]) {
    assert_eq!(found.len(), points.len());
    for (found, point) in found.iter().zip(points) {
        for (name, value) in point.metrics.iter() {
            let got = found.metrics.get(name).unwrap();
            assert!((got - value).abs() <= 1e-4 * value.abs().max(1e-2), "{stage} {name}: {got}, {value}");
        }
        assert_eq!((found.step, found.epoch, found.tokens), (point.step, point.epoch, point.tokens));
    }
}

/// Answers are drawn by halves, and each process learns of its share of all.
#[test]
fn processes_draw_together_what_one_draws_alone() {
    for stage in ["ppo", "grpo"] {
        let of = |accumulation: usize, output: &TempDir| {
            let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/data");
            let text = format!(
                "model_name_or_path: {data}/base\ndataset_dir: {data}\ndataset: alpaca\ntemplate: default\nstage: {stage}\n\
                 do_train: true\ncutoff_len: 64\nmax_new_tokens: 5\nreward_rules: [{{type: regex, pattern: e}}]\n\
                 num_generations: 3\nppo_epochs: 2\nlearning_rate: 1.0e-4\nper_device_train_batch_size: 2\n\
                 gradient_accumulation_steps: {accumulation}\nlogging_steps: 1\nmax_steps: 2\noutput_dir: {output}\n",
                data = data.display(),
                output = output.path().display(),
            );
            Recipe::from_yaml(&text).unwrap()
        };
        let folders = [(); 2].map(|()| TempDir::new().unwrap());
        let (_, points) = run(&Alone, &of(4, &folders[0]));
        for (summary, found) in together(&of(2, &folders[1])) {
            assert_eq!(summary.outcome, Outcome::Finished);
            agree(stage, &found, &points);
        }
    }
}

/// Two processes that take half of each step's batches train what one trains that takes them all, in every stage.
#[test]
fn processes_train_together_what_one_trains_alone() {
    for (stage, dataset) in [("sft", "alpaca"), ("dpo", "dpo"), ("rm", "dpo")] {
        let [alone, parted] = [(), ()].map(|()| TempDir::new().unwrap());
        let (expected, points) = run(&Alone, &recipe(stage, dataset, 4, alone.path()));
        let shared = recipe(stage, dataset, 2, parted.path());
        for (summary, found) in together(&shared) {
            assert_eq!(summary.outcome, Outcome::Finished);
            agree(stage, &found, &points);
            let [got, want] = [&summary, &expected].map(|summary| summary.evaluations[0].loss());
            assert!((got - want).abs() <= 1e-4 * want, "{stage}: {got}, {want}");
        }
        // One of them writes.
        let lines = |folder: &TempDir| {
            fs::read_to_string(folder.path().join("trainer_log.jsonl")).unwrap().lines().count()
        };
        assert_eq!(lines(&parted), lines(&alone));
        assert!(parted.path().join("checkpoint-4").exists());
    }
}
