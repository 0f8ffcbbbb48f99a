//! Pages in modules of their own: a browser loads the code of those that it shows.

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use leptos_router::LazyRoute;

use super::chat::ChatPage;
use super::dataset::DatasetPage;
use super::datasets::DatasetsPage;
use super::entry::EntryPage;
use super::new_run::NewRunPage;
use super::run::RunPage;
use crate::browser;
use crate::components::failure::Failure;
use crate::i18n::words;

/// Makes a route of a page: its module, the function that draws it, and the one that loads it. Pages that one goes
/// between share a module, for what several modules need is in further ones. What a page asks of the server is asked when
/// it is drawn: its types belong to its module.
macro_rules! lazy_page {
    ($($route:ident: $page:ident in $module:ident, $view:ident, $load:ident;)+) => {
        $(
            pub struct $route;

            #[wasm_split($module, wasm_split_path = leptos::wasm_split, preload($load), fallible)]
            fn $view() -> Result<AnyView, SplitLoaderError> {
                Ok(view! { <$page/> }.into_any())
            }

            impl LazyRoute for $route {
                fn data() -> $route {
                    $route
                }

                async fn view(_this: $route) -> AnyView {
                    #[cfg(feature = "ssr")]
                    leptos::prefetch_lazy_fn_on_server(stringify!($module));
                    $view().await.unwrap_or_else(|_| view! { <Unloaded/> }.into_any())
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

/// What stands in place of a page whose code could not be loaded.
///
/// The server is away; or it is there, and has no such file since it is another version: then the page is fetched anew.
#[component]
fn Unloaded() -> impl IntoView {
    let fetch_anew = move || {
        leptos::task::spawn_local(async {
            if browser::is_reachable().await {
                browser::reload();
            }
        });
    };
    Effect::new(move |_| fetch_anew());
    view! { <div class="page"><Failure text=words().error_unreachable retry=move |()| fetch_anew()/></div> }
}

/// Loads the code of the page at an address of the board, if it has some of its own.
///
/// # Errors
/// The server is away, or another version by now.
#[cfg(feature = "hydrate")]
pub async fn preload(path: &str) -> Result<(), SplitLoaderError> {
    let mut parts = path.trim_matches('/').split('/');
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("new", None) => load_new_run().await,
        ("runs", Some(_)) => load_run().await,
        ("datasets", None) => load_datasets().await,
        ("datasets", Some(_)) => load_dataset().await,
        ("entry", None) => load_entry().await,
        ("chat", None) => load_chat().await,
        _ => Ok(()),
    }
}

/// Loads the code of a page as soon as a pointer or the focus is on a link to it.
#[cfg(feature = "hydrate")]
pub fn preload_ahead() {
    let load = |event: web_sys::Event| {
        if let Some(path) = crate::browser::linked_path(&event) {
            // What fails here is tried again when the link is followed.
            leptos::task::spawn_local(async move { drop(preload(&path).await) });
        }
    };
    for name in ["pointerover", "focusin"] {
        window_event_listener_untyped(name, load);
    }
}
