//! The time of day, as a signal that ticks in the browser.

use std::time::Duration;

use leptos::prelude::*;
use wire::RunSummary;

use crate::browser;
use crate::format;
use crate::i18n::words;

#[derive(Clone, Copy)]
struct Clock(RwSignal<u64>);

/// Puts a clock into context that ticks every second while the page is shown.
pub fn provide_clock() {
    let now = RwSignal::new(browser::now());
    provide_context(Clock(now));
    Effect::new(move |_| {
        let tick = move || {
            if browser::is_visible() {
                now.set(browser::now());
            }
        };
        if let Ok(handle) = set_interval_with_handle(tick, Duration::from_secs(1)) {
            on_cleanup(move || handle.clear());
        }
    });
}

/// Now, in Unix milliseconds.
pub fn now() -> Signal<u64> {
    use_context::<Clock>().map_or_else(|| Signal::stored(browser::now()), |clock| clock.0.into())
}

/// How long ago something was, with the date and time as its tooltip.
#[component]
pub fn Ago(time: u64) -> impl IntoView {
    let (w, now) = (words(), now());
    let text = Memo::new(move |_| format::ago(time, now.get(), w));
    view! { <time datetime=format::iso(time) title=format::moment(time)>{move || text.get()}</time> }
}

/// How long a run was at work, up to now.
#[component]
pub fn Elapsed(run: Signal<RunSummary>) -> impl IntoView {
    let now = now();
    let text = Memo::new(move |_| {
        run.with(|run| run.time_at_work(now.get())).map_or_else(|| "–".into(), format::duration)
    });
    view! { <span class="number">{move || text.get()}</span> }
}
