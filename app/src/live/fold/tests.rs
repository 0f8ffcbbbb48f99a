//! Events that arrive once, twice, late or for a second attempt.

use super::*;
use recipe::{LogLevel, Metrics, RunState};

fn fold() -> (Owner, Fold) {
    fold_of(None)
}

fn fold_of(save_total_limit: Option<usize>) -> (Owner, Fold) {
    let owner = Owner::new();
    owner.set();
    let summary = RunSummary {
        id: "r".into(),
        name: "r".into(),
        state: RunState::Running,
        reason: None,
        kind: recipe::JobKind::Train,
        model: String::new(),
        dataset: String::new(),
        stage: "sft".into(),
        method: "lora".into(),
        created: 0,
        started: None,
        worked: 0,
        working_since: None,
        step: 0,
        total_steps: 10,
        last_loss: None,
        sparkline: vec![],
    };
    let fold = Fold::new(RunDetail {
        summary,
        recipe: String::new(),
        save_total_limit,
        output_dir: String::new(),
        trainable_params: None,
        total_params: None,
        num_examples: None,
        points: vec![Point { step: 9, ..Point::default() }],
        evals: vec![],
        checkpoints: vec![],
        log: vec![log(1, "first")],
        log_tail: vec![],
        last_seq: 2,
    });
    (owner, fold)
}

fn point(seq: u64, step: u64) -> Event {
    let metrics = Metrics::from([("loss", step as f64), ("rewards/chosen", -0.5)]);
    Event { seq, time: 0, body: EventBody::Point(Point { step, metrics, ..Point::default() }) }
}

fn log(seq: u64, message: &str) -> Event {
    let body = EventBody::Log { level: LogLevel::Info, message: message.into() };
    Event { seq, time: 0, body }
}

fn start(seq: u64, start_step: u64) -> Event {
    let body = EventBody::Start {
        start_step,
        total_steps: 10,
        num_examples: 1,
        trainable_params: 1,
        total_params: 1,
    };
    Event { seq, time: 0, body }
}

fn steps(fold: &Fold) -> Vec<u64> {
    fold.points.with_untracked(|points| points.iter().map(|point| point.step).collect())
}

fn lines(fold: &Fold) -> Vec<String> {
    fold.log.with_untracked(|lines| lines.iter().map(|line| line.text.clone()).collect())
}

#[test]
fn the_first_backfill_replaces_the_decimated_series() {
    let (_owner, fold) = fold();
    assert_eq!(steps(&fold), [9]);
    fold.apply(Frame::Backfill { events: vec![point(1, 1), point(2, 2)] });
    assert_eq!(steps(&fold), [1, 2]);
    fold.apply(Frame::Backfill { events: vec![point(3, 3)] });
    assert_eq!(steps(&fold), [1, 2, 3]);
}

#[test]
fn whatever_is_measured_reaches_the_page() {
    let (_owner, fold) = fold();
    let metrics = Metrics::from([("eval_rewards/accuracies", 0.75), ("eval_runtime", 1.5)]);
    let eval = Eval { step: 2, dataset: None, epoch: 0.5, metrics };
    let body = EventBody::Eval(eval.clone());
    fold.apply(Frame::Backfill { events: vec![point(1, 1), point(2, 2), Event { seq: 3, time: 0, body }] });
    let rewards = fold.points.with_untracked(|points| {
        points.iter().filter_map(|point| point.metrics.get("rewards/chosen")).collect::<Vec<_>>()
    });
    assert_eq!((rewards, fold.evals.get_untracked()), (vec![-0.5, -0.5], vec![eval]));
    // What a resumed run measures again is void.
    fold.apply(Frame::Events { events: vec![start(4, 1)] });
    assert!(fold.evals.with_untracked(Vec::is_empty));
}

#[test]
fn no_event_counts_twice() {
    let (_owner, fold) = fold();
    fold.apply(Frame::Backfill { events: vec![point(1, 1), point(2, 2)] });
    fold.apply(Frame::Events { events: vec![point(2, 2), point(3, 3)] });
    assert_eq!(steps(&fold), [1, 2, 3]);
    assert_eq!(fold.summary.with_untracked(|run| (run.step, run.last_loss)), (3, Some(3.0)));
}

#[test]
fn progress_moves_the_step_and_adds_no_point() {
    let (_owner, fold) = fold();
    let pace = Pace { step: 4, remaining_s: 6.0, ..Pace::default() };
    let progress = Event { seq: 2, time: 0, body: EventBody::Progress(pace) };
    fold.apply(Frame::Backfill { events: vec![point(1, 1), progress] });
    assert_eq!(steps(&fold), [1]);
    assert_eq!(fold.summary.with_untracked(|run| (run.step, run.last_loss)), (4, Some(1.0)));
    assert_eq!(fold.pace.get_untracked(), Some(pace));
    fold.apply(Frame::Events { events: vec![start(3, 2)] });
    assert_eq!(fold.summary.with_untracked(|run| run.step), 2);
    let row = RunSummary { step: 2, ..fold.summary.get_untracked() };
    fold.apply(Frame::Run { run: Box::new(row) });
    assert_eq!(fold.summary.with_untracked(|run| run.step), 2);
}

#[test]
fn a_resumed_run_drops_what_it_will_do_again() {
    let (_owner, fold) = fold();
    fold.apply(Frame::Backfill {
        events: vec![start(1, 0), point(2, 1), point(3, 2), point(4, 3), start(5, 1)],
    });
    assert_eq!(steps(&fold), [1]);
    fold.apply(Frame::Events { events: vec![point(6, 2)] });
    assert_eq!(steps(&fold), [1, 2]);
}

#[test]
fn lines_that_the_page_came_with_are_not_repeated() {
    let (_owner, fold) = fold();
    fold.apply(Frame::Backfill { events: vec![log(1, "first"), log(3, "second")] });
    assert_eq!(lines(&fold), ["first", "second"]);
}

#[test]
fn of_many_steps_in_a_moment_the_last_are_told() {
    let (_owner, fold) = fold();
    let steps = (3..1003).map(|seq| point(seq, seq));
    fold.apply(Frame::Backfill { events: steps.chain([log(1003, "second")]).collect() });
    let lines = lines(&fold);
    assert_eq!((lines.len(), lines[0].as_str(), lines[100].as_str()), (101, "first", "second"));
    assert!(lines[99].starts_with("Step 1\u{202f}002"), "{}", lines[99]);
}

#[test]
fn checkpoints_are_those_that_are_there() {
    let (_owner, fold) = fold_of(Some(2));
    let checkpoint = |seq, step| {
        let body = EventBody::Checkpoint { step, path: format!("checkpoint-{step}") };
        Event { seq, time: 0, body }
    };
    let listed =
        || fold.checkpoints.with_untracked(|all| all.iter().map(|kept| kept.step).collect::<Vec<_>>());
    // The page came after these, with none: they are gone.
    fold.apply(Frame::Backfill { events: vec![checkpoint(1, 5), checkpoint(2, 10)] });
    assert!(listed().is_empty());
    fold.apply(Frame::Events { events: vec![checkpoint(3, 15), checkpoint(4, 20), checkpoint(5, 25)] });
    assert_eq!(listed(), [20, 25]);
    fold.apply(Frame::Events { events: vec![start(6, 20)] });
    assert_eq!(listed(), [20]);
}

#[test]
fn log_tail_stand_once_at_the_end_of_the_log() {
    let (_owner, fold) = fold();
    let words = |text: &str| Frame::LogTail { lines: vec!["thread panicked".into(), text.into()] };
    fold.apply(words("out of luck"));
    fold.apply(words("out of luck"));
    assert_eq!(lines(&fold), ["first", "thread panicked", "out of luck"]);
    fold.apply(Frame::Events { events: vec![log(3, "resumed")] });
    fold.apply(words("again"));
    let after = ["first", "thread panicked", "out of luck", "resumed", "thread panicked", "again"];
    assert_eq!(lines(&fold), after);
}

#[test]
fn time_between_a_stop_and_a_resume_does_not_count() {
    let (_owner, fold) = fold();
    let mut run = fold.summary.get_untracked();
    assert_eq!(run.time_at_work(50_000), None);
    run = RunSummary { started: Some(1_000), worked: 9_000, working_since: None, ..run };
    assert_eq!(run.time_at_work(50_000), Some(9.0));
    run.working_since = Some(48_000);
    assert_eq!(run.time_at_work(50_000), Some(11.0));
}
