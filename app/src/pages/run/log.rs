//! The run's log: searched, followed, and saved whole.

use std::sync::Arc;

use leptos::html::Div;
use leptos::prelude::*;
use recipe::LogLevel;

use crate::base::at;
use crate::browser::{self, lowercase};
use crate::components::icon::{Icon, IconName};
use crate::format;
use crate::i18n::words;
use crate::live::LogLine;

#[component]
pub fn LogView(log: RwSignal<Vec<Arc<LogLine>>>, id: String) -> AnyView {
    let w = words();
    let follow = RwSignal::new(true);
    let search = RwSignal::new(String::new());
    let view = NodeRef::<Div>::new();
    Effect::new(move |_| {
        log.track();
        if let (true, Some(view)) = (follow.get(), view.get()) {
            // After the new lines are in the page.
            request_animation_frame(move || browser::scroll_to_end(&view));
        }
    });
    // Scrolling up lets go, scrolling to the end takes up again.
    let on_scroll = move |_| {
        if let Some(view) = view.get_untracked() {
            let at_end = browser::is_at_end(&view);
            if at_end != follow.get_untracked() {
                follow.set(at_end);
            }
        }
    };
    // A line keeps its place in the page for as long as it is shown: new ones are added to them. What is no event has
    // no number of its own.
    let found = move |line: &LogLine| {
        let wanted = lowercase(search.read().trim());
        wanted.is_empty() || lowercase(&line.text).contains(&wanted)
    };
    let shown = move || {
        log.with(|lines| {
            let lines = lines.iter().filter(|line| found(line)).cloned().enumerate();
            lines
                .map(|(place, line)| (if line.seq == 0 { (0, place) } else { (line.seq, 0) }, line))
                .collect::<Vec<_>>()
        })
    };
    let is_found = Memo::new(move |_| log.with(|lines| lines.iter().any(|line| found(line))));
    let nothing = move || match (log.with(Vec::is_empty), is_found.get()) {
        (true, _) => w.run_log_empty,
        (false, false) => w.run_log_none,
        _ => "",
    };
    view! {
        <div class="panel-bar log-bar">
            <label class="check">
                <input
                    type="checkbox"
                    data-test="log-follow"
                    prop:checked=move || follow.get()
                    checked=true
                    on:change:target=move |event| follow.set(event.target().checked())
                />
                <span>{w.run_log_follow}</span>
            </label>
            <label class="search">
                <Icon name=IconName::Search/>
                <span class="visually-hidden">{w.run_log_search}</span>
                <input
                    type="search"
                    data-test="log-search"
                    placeholder=w.run_log_search
                    on:input:target=move |event| search.set(event.target().value())
                />
            </label>
            <SaveLink id/>
        </div>
        <div class="log" node_ref=view tabindex="0" role="log" aria-live="off" aria-label=w.run_log data-test="log" on:scroll=on_scroll>
            <p class="muted" hidden=move || nothing().is_empty()>{nothing}</p>
            <For each=shown key=|(key, _)| *key let((_, line))>
                <Line line/>
            </For>
        </div>
    }
    .into_any()
}

/// To the whole log, as a file.
#[component]
fn SaveLink(id: String) -> impl IntoView {
    let w = words();
    view! {
        <a
            class="button quiet small"
            href=at(&format!("/runs/{id}/log.txt"))
            download=format!("{id}.log.txt")
            rel="external"
            data-test="log-save"
            title=w.run_log_save
        >
            <Icon name=IconName::Download/>
            {w.download}
        </a>
    }
}

#[component]
fn Line(line: Arc<LogLine>) -> impl IntoView {
    let level = match line.level {
        LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Error => "error",
    };
    let time = line.time.map(|time| {
        view! { <time datetime=format::iso(time) title=format::moment(time)>{format::clock(time)}</time> }
    });
    view! { <p data-level=level>{time}{line.level_text()}{line.text.clone()}</p> }
}
