//! How far the run is, how fast it goes, and what it is busy with.

use leptos::prelude::*;
use recipe::metrics::{EVAL_LOSS, LOSS};
use recipe::{Eval, Phase, RunState};

use crate::components::clock::Elapsed;
use crate::format;
use crate::i18n::{Words, fill, words};
use crate::live::Fold;

#[component]
pub fn Progress(fold: Fold) -> AnyView {
    let w = words();
    let summary = fold.summary;
    let last = Memo::new(move |_| fold.points.with(|points| points.last().cloned()));
    let steps = move || summary.with(|run| (run.step, run.total_steps));
    let live = move || summary.with(|run| !run.state.is_over());
    let percent = move || match steps() {
        (_, 0) => "–".to_owned(),
        (step, total) => format!("{:.0}%", 100.0 * step as f64 / total as f64),
    };
    let elapsed = move || view! { <Elapsed run=summary.into()/> };
    let remaining = move || match fold.pace.get() {
        Some(pace) if live() => format::duration(pace.remaining_s),
        _ => "–".into(),
    };
    let speed = move || match fold.pace.get() {
        Some(pace) if pace.tokens_per_second > 0.0 => format::count(pace.tokens_per_second.round() as u64),
        _ => "–".into(),
    };
    let epoch = move || last.get().map_or_else(|| "–".into(), |point| format!("{:.2}", point.epoch));
    let loss = move || summary.with(|run| run.last_loss).map_or_else(|| "–".into(), format::metric);
    let average = move || {
        let mean =
            fold.points.with(|points| mean(points.iter().filter_map(|point| point.metrics.get(LOSS))))?;
        Some(fill(w.run_loss_average, &[("value", &format::metric(mean))]))
    };
    let evals = Memo::new(move |_| fold.evals.with(|evals| Evals::of(evals)));
    view! {
        <section class="card progress-card" aria-label=w.run_progress>
            <div class="progress-line">
                <strong data-test="phase" role="status">{move || activity(fold, w)}</strong>
                <span class="number" data-test="step" data-step=move || steps().0>
                    {move || match steps() {
                        (_, 0) => String::new(),
                        (step, total) => format!("{} / {}", format::count(step), format::count(total)),
                    }}
                </span>
                <span class="number muted">{percent}</span>
            </div>
            {move || {
                // Without a value the bar shows that something goes on, but not how far it is.
                let unknown = live() && steps().1 == 0 && summary.with(|run| run.state != RunState::Queued);
                if unknown {
                    view! { <progress aria-label=w.run_progress></progress> }.into_any()
                } else {
                    view! { <progress aria-label=w.run_progress max=move || steps().1.max(1) value=move || steps().0></progress> }.into_any()
                }
            }}
            <dl class="stats">
                <Stat label=w.run_loss value=move || view! { {loss} " " <small class="muted" data-test="average-loss">{average}</small> }/>
                {move || evals.get().map(|evals| view! {
                    <div data-test="eval-loss">
                        <dt>{w.run_eval_loss}</dt>
                        <dd class="number">{format::metric(evals.last)}" "<small class="muted">{evals.best_text(w)}</small></dd>
                    </div>
                })}
                <Stat label=w.run_epoch value=epoch/>
                <Stat label=w.run_elapsed value=elapsed/>
                <Stat label=w.run_remaining value=remaining/>
                <Stat label=w.run_speed value=speed/>
            </dl>
        </section>
    }
    .into_any()
}

/// What evaluations measured of the loss: the newest value, and the lowest one with its step.
#[derive(Clone, Copy, PartialEq)]
struct Evals {
    last: f64,
    best: (u64, f64),
}

impl Evals {
    fn of(evals: &[Eval]) -> Option<Evals> {
        let mut losses = evals.iter().filter_map(|eval| Some((eval.step, eval.metrics.get(EVAL_LOSS)?)));
        let best = losses.clone().filter(|(_, loss)| loss.is_finite());
        Some(Evals { last: losses.next_back()?.1, best: best.min_by(|a, b| a.1.total_cmp(&b.1))? })
    }

    fn best_text(&self, words: &Words) -> String {
        let (step, loss) = self.best;
        fill(words.run_eval_best, &[("value", &format::metric(loss)), ("step", &format::count(step))])
    }
}

/// The mean of the values that are numbers.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values
        .filter(|value| value.is_finite())
        .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[component]
fn Stat<V: IntoView + 'static>(
    label: &'static str,
    value: impl Fn() -> V + Send + Sync + 'static,
) -> impl IntoView {
    view! {
        <div>
            <dt>{label}</dt>
            <dd class="number">{value}</dd>
        </div>
    }
}

/// What goes on, in words: the worker's phase, or else what the state says.
fn activity(fold: Fold, words: &'static Words) -> String {
    let state = fold.summary.with(|run| run.state);
    let phase = fold.phase.get();
    let text = match (state, &phase) {
        (RunState::Queued, _) => words.run_waiting,
        (RunState::Stopping, _) => words.run_stopping,
        (state, _) if state.is_over() => crate::i18n::state_name(state, words),
        (_, Some((Phase::Downloading, _))) => words.phase_downloading,
        (_, Some((Phase::LoadingModel, _))) => words.phase_loading_model,
        (_, Some((Phase::EncodingData, _))) => words.phase_encoding_data,
        (_, Some((Phase::Training, _))) => words.phase_training,
        (_, Some((Phase::Evaluating, _))) => words.phase_evaluating,
        (_, Some((Phase::Predicting, _))) => words.phase_predicting,
        (_, Some((Phase::Saving, _))) => words.phase_saving,
        (RunState::Preparing, None) => words.run_starting,
        _ => words.phase_training,
    };
    match phase {
        Some((_, Some(detail))) if state.is_live() => format!("{text} · {detail}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recipe::Metrics;

    #[test]
    fn the_best_evaluation_is_the_lowest_and_diverged_ones_do_not_count() {
        let eval =
            |(step, loss)| Eval { step, metrics: Metrics::from([(EVAL_LOSS, loss)]), ..Eval::default() };
        let evals = [(10, 2.0), (20, 1.5), (30, f64::NAN), (40, 1.75)].map(eval);
        let found = Evals::of(&evals).map(|evals| (evals.last, evals.best));
        assert_eq!(found, Some((1.75, (20, 1.5))));
        assert!(Evals::of(&[]).is_none());
        assert_eq!((mean([1.0, f64::NAN, 2.0].into_iter()), mean(std::iter::empty())), (Some(1.5), None));
    }
}
