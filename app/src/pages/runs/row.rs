//! One run in the history: a row, or a card where the screen is narrow.

use leptos::prelude::*;
use wire::RunSummary;

use crate::chart::sparkline::Sparkline;
use crate::components::clock::{Ago, Elapsed};
use crate::components::link::A;
use crate::components::state_badge::StateBadge;
use crate::format;
use crate::i18n::{words, work_name};

#[component]
pub fn RunRow(run: RunSummary) -> AnyView {
    let w = words();
    let under_way = !run.state.is_over() && run.total_steps > 0;
    let loss = run.last_loss.map_or_else(|| "–".into(), format::metric);
    let at_work = Signal::stored(run.clone());
    let model = short_path(&run.model).to_owned();
    let work = work_name(&run, w);
    view! {
        <tr data-test="run-row" data-id=run.id.clone()>
            <td class="cell-name">
                <A href=format!("/runs/{}", run.id) attr:class="row-link">{run.name}</A>
                {under_way.then(|| view! {
                    <progress max=run.total_steps value=run.step aria-label=w.run_progress></progress>
                })}
            </td>
            <td class="cell-state"><StateBadge state=run.state reason=run.reason/></td>
            <td class="cell-model" data-label=w.runs_model title=run.model>{model}</td>
            <td class="cell-data" data-label=w.runs_data>{run.dataset}</td>
            <td class="cell-method" data-label=w.runs_method>
                {work}
            </td>
            <td class="cell-loss end number" data-label=w.runs_loss>{loss}</td>
            <td class="cell-spark"><Sparkline values=run.sparkline/></td>
            <td class="cell-time end">
                <Ago time=run.started.unwrap_or(run.created)/>
                <small><Elapsed run=at_work/></small>
            </td>
        </tr>
    }
    .into_any()
}

/// The last part of a path: `models/wick` is shown as `wick`.
fn short_path(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}
