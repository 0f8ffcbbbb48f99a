//! The dashboard: pages and components, rendered on the server and hydrated in the browser.
#![recursion_limit = "512"]

pub mod base;
pub mod browser;
pub mod calls;
pub mod chart;
pub mod components;
pub mod format;
pub mod i18n;
pub mod live;
pub mod markdown;
pub mod pages;
pub mod prefs;
pub mod session;
pub mod shell;

pub use shell::{App, shell};

/// Entry point of the wasm module: takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn hydrate() {
    console_error_panic_hook::set_once();
    base::enter();
    // Then the page can be taken over in one go, as the server drew it.
    while pages::lazy::preload(&browser::path()).await.is_err() {
        browser::sleep(std::time::Duration::from_secs(2)).await;
    }
    leptos::mount::hydrate_body(App);
    pages::lazy::preload_ahead();
    browser::watch_history();
    // From here on the page answers; browser tests wait for it.
    browser::set_root_attribute("data-hydrated", "true");
}
