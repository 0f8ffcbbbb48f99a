//! Log and configuration, one at a time.

use std::sync::Arc;

use leptos::prelude::*;

use super::log::LogView;
use crate::components::copy_button::CopyButton;
use crate::i18n::words;
use crate::live::LogLine;

#[component]
pub fn Panels(log: RwSignal<Vec<Arc<LogLine>>>, recipe: String, id: String) -> AnyView {
    let w = words();
    let shows_config = RwSignal::new(false);
    let recipe = Signal::stored(recipe);
    view! {
        <section class="card panels">
            <div class="tabs" role="group" aria-label=w.run_panels>
                <button
                    type="button"
                    class="tab"
                    data-test="tab-log"
                    aria-pressed=move || (!shows_config.get()).to_string()
                    on:click=move |_| shows_config.set(false)
                >
                    {w.run_log}
                </button>
                <button
                    type="button"
                    class="tab"
                    data-test="tab-config"
                    aria-pressed=move || shows_config.get().to_string()
                    on:click=move |_| shows_config.set(true)
                >
                    {w.run_config}
                </button>
            </div>
            <div hidden=move || shows_config.get()><LogView log id/></div>
            <div hidden=move || !shows_config.get()>
                <div class="panel-bar"><CopyButton text=recipe/></div>
                <pre class="code" tabindex="0" data-test="config">{recipe}</pre>
            </div>
        </section>
    }
    .into_any()
}
