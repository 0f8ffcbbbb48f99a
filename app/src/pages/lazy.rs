//! Pages in modules of their own: a browser loads the code of those that it shows.

use leptos::prelude::*;
use leptos::wasm_split::wasm_split;
use leptos_router::LazyRoute;

use super::chat::ChatPage;
use super::dataset::DatasetPage;
use super::datasets::DatasetsPage;
use super::entry::EntryPage;
use super::new_run::NewRunPage;
use super::run::RunPage;

/// Makes a route of a page: its module, the function that draws it, and the one that loads it. Pages that one goes
/// between share a module, for what several modules need is in further ones. What a page asks of the server is asked when
/// it is drawn: its types belong to its module.
macro_rules! lazy_page {
    ($($route:ident: $page:ident in $module:ident, $view:ident, $load:ident;)+) => {
        $(
            pub struct $route;

            #[wasm_split($module, wasm_split_path = leptos::wasm_split, preload($load))]
            fn $view() -> AnyView {
                view! { <$page/> }.into_any()
            }

            impl LazyRoute for $route {
                fn data() -> $route {
                    $route
                }

                async fn view(_this: $route) -> AnyView {
                    #[cfg(feature = "ssr")]
                    leptos::prefetch_lazy_fn_on_server(stringify!($module));
                    $view().await
                }

                async fn preload() {
                    $load().await;
                }
            }
        )+
    };
}

lazy_page! {
    NewRunRoute: NewRunPage in form, new_run_view, load_new_run;
    RunRoute: RunPage in run, run_view, load_run;
    DatasetsRoute: DatasetsPage in data, datasets_view, load_datasets;
    DatasetRoute: DatasetPage in data, dataset_view, load_dataset;
    EntryRoute: EntryPage in data, entry_view, load_entry;
    ChatRoute: ChatPage in chat, chat_view, load_chat;
}

/// Loads the code of the page at an address of the board, if it has some of its own.
#[cfg(feature = "hydrate")]
pub async fn preload(path: &str) {
    let mut parts = path.trim_matches('/').split('/');
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("new", None) => NewRunRoute::preload().await,
        ("runs", Some(_)) => RunRoute::preload().await,
        ("datasets", None) => DatasetsRoute::preload().await,
        ("datasets", Some(_)) => DatasetRoute::preload().await,
        ("entry", None) => EntryRoute::preload().await,
        ("chat", None) => ChatRoute::preload().await,
        _ => {}
    }
}

/// Loads the code of a page as soon as a pointer or the focus is on a link to it.
#[cfg(feature = "hydrate")]
pub fn preload_ahead() {
    let load = |event: web_sys::Event| {
        if let Some(path) = crate::browser::linked_path(&event) {
            leptos::task::spawn_local(async move { preload(&path).await });
        }
    };
    for name in ["pointerover", "focusin"] {
        window_event_listener_untyped(name, load);
    }
}
