//! The worker's log, with follow.

use leptos::html::Pre;
use leptos::prelude::*;

use crate::browser;
use crate::i18n::words;

#[component]
pub fn LogView(log: RwSignal<Vec<String>>) -> AnyView {
    let w = words();
    let follow = RwSignal::new(true);
    let view = NodeRef::<Pre>::new();
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
    let text = move || log.with(|lines| lines.join("\n"));
    view! {
        <div class="panel-bar">
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
        </div>
        <pre class="log" node_ref=view tabindex="0" aria-label=w.run_log data-test="log" on:scroll=on_scroll>
            {move || if log.with(Vec::is_empty) { w.run_log_empty.to_owned() } else { text() }}
        </pre>
    }
    .into_any()
}
