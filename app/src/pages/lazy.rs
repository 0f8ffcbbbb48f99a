//! Pages in modules of their own: a browser loads the code of those that it shows.

use leptos::prelude::*;
use leptos_router::{LazyRoute, lazy_route};

use super::chat::ChatPage;
use super::dataset::DatasetPage;
use super::datasets::DatasetsPage;
use super::entry::EntryPage;
use super::new_run::NewRunPage;
use super::run::RunPage;

/// Makes a route of a page. What a page asks of the server is asked when it is drawn: its types belong to its module.
macro_rules! lazy_page {
    ($($route:ident: $page:ident,)+) => {
        $(
            pub struct $route;

            #[lazy_route]
            impl LazyRoute for $route {
                fn data() -> $route {
                    $route
                }

                fn view(_this: $route) -> AnyView {
                    view! { <$page/> }.into_any()
                }
            }
        )+
    };
}

lazy_page! {
    NewRunRoute: NewRunPage,
    RunRoute: RunPage,
    DatasetsRoute: DatasetsPage,
    DatasetRoute: DatasetPage,
    EntryRoute: EntryPage,
    ChatRoute: ChatPage,
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
