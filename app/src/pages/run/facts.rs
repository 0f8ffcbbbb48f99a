//! What the run is made of, and what it left behind.

use leptos::prelude::*;
use wire::{Checkpoint, RunDetail};

use crate::components::clock::Ago;
use crate::format;
use crate::i18n::{fill, words, work_name};
use crate::live::Sizes;

#[component]
pub fn Facts(detail: RunDetail, sizes: RwSignal<Sizes>) -> AnyView {
    let w = words();
    let RunDetail { summary, output_dir, .. } = detail;
    let work = work_name(&summary, w);
    let trained = move || {
        let sizes = sizes.get();
        let (trainable, total) = sizes.trainable_params.zip(sizes.total_params)?;
        let share = 100.0 * trainable as f64 / total.max(1) as f64;
        Some(format!("{} / {} ({share:.2}%)", format::large(trainable), format::large(total)))
    };
    let examples = move || sizes.get().num_examples.map(format::count);
    view! {
        <section class="card">
            <h2>{w.run_facts}</h2>
            <dl class="facts">
                <dt>{w.runs_model}</dt>
                <dd>{summary.model}</dd>
                <dt>{w.runs_data}</dt>
                <dd>{summary.dataset}</dd>
                <dt>{w.runs_method}</dt>
                <dd>{work}</dd>
                {move || trained().map(|text| view! { <dt>{w.run_trainable}</dt><dd class="number">{text}</dd> })}
                {move || examples().map(|text| view! { <dt>{w.run_examples}</dt><dd class="number">{text}</dd> })}
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
                <ul class="checkpoints" tabindex="0" aria-label=w.run_checkpoints>{items}</ul>
            </Show>
        </section>
    }
    .into_any()
}
