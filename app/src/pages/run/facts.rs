//! What the run is made of, and what it left behind.

use leptos::prelude::*;

use crate::api::{Checkpoint, RunDetail};
use crate::components::clock::Ago;
use crate::format;
use crate::i18n::{fill, method_name, stage_name, words};

#[component]
pub fn Facts(detail: RunDetail) -> AnyView {
    let w = words();
    let RunDetail { summary, output_dir, trainable_params, total_params, num_examples, .. } = detail;
    let trained = trainable_params.zip(total_params).map(|(trainable, total)| {
        let share = 100.0 * trainable as f64 / total.max(1) as f64;
        format!("{} / {} ({share:.2}%)", format::large(trainable), format::large(total))
    });
    view! {
        <section class="card">
            <h2>{w.run_facts}</h2>
            <dl class="facts">
                <dt>{w.runs_model}</dt>
                <dd>{summary.model}</dd>
                <dt>{w.runs_data}</dt>
                <dd>{summary.dataset}</dd>
                <dt>{w.runs_method}</dt>
                <dd>{format!("{} · {}", stage_name(&summary.stage, w), method_name(&summary.method))}</dd>
                {trained.map(|text| view! { <dt>{w.run_trainable}</dt><dd class="number">{text}</dd> })}
                {num_examples.map(|count| view! { <dt>{w.run_examples}</dt><dd class="number">{format::count(count)}</dd> })}
                <dt>{w.run_created}</dt>
                <dd><Ago time=summary.created/></dd>
                <dt>{w.run_output}</dt>
                <dd><code class="path" data-test="output-dir">{output_dir}</code></dd>
            </dl>
        </section>
    }
    .into_any()
}

#[component]
pub fn CheckpointList(checkpoints: RwSignal<Vec<Checkpoint>>) -> AnyView {
    let w = words();
    let items = move || {
        let newest_first = checkpoints.with(|kept| kept.iter().rev().cloned().collect::<Vec<_>>());
        newest_first
            .into_iter()
            .map(|Checkpoint { step, path }| {
                view! {
                    <li data-test="checkpoint">
                        <span class="number">{fill(w.run_checkpoint, &[("step", &format::count(step))])}</span>
                        <code class="path">{path}</code>
                    </li>
                }
            })
            .collect_view()
    };
    view! {
        <section class="card">
            <h2>{w.run_checkpoints}</h2>
            <Show when=move || checkpoints.with(|kept| !kept.is_empty()) fallback=move || view! { <p class="muted">{w.run_no_checkpoints}</p> }>
                <ul class="checkpoints">{items}</ul>
            </Show>
        </section>
    }
    .into_any()
}
