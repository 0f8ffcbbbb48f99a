//! How far the run is, how fast it goes, and what it is busy with.

use leptos::prelude::*;
use recipe::{Phase, RunState};

use crate::components::clock::Elapsed;
use crate::format;
use crate::i18n::{Words, words};
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
                <Stat label=w.run_loss value=loss/>
                <Stat label=w.run_epoch value=epoch/>
                <Stat label=w.run_elapsed value=elapsed/>
                <Stat label=w.run_remaining value=remaining/>
                <Stat label=w.run_speed value=speed/>
            </dl>
        </section>
    }
    .into_any()
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
