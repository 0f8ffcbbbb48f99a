//! The document around every page: head, navigation, routes.

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::SsrMode;
use leptos_router::components::{Route, Router, Routes};
use leptos_router::path;

use crate::base::{at, base};
use crate::components::clock::provide_clock;
use crate::components::nav::Nav;
use crate::i18n::{tag, words};
use crate::pages::chat::ChatPage;
use crate::pages::dataset::DatasetPage;
use crate::pages::datasets::DatasetsPage;
use crate::pages::entry::EntryPage;
use crate::pages::new_run::NewRunPage;
use crate::pages::not_found::NotFoundPage;
use crate::pages::run::RunPage;
use crate::pages::runs::RunsPage;
use crate::prefs::Preferences;

/// The HTML document. Scripts carry the nonce that the server puts into its content security policy.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let preferences = Preferences::current();
    view! {
        <!DOCTYPE html>
        <html lang=tag(preferences.lang) data-theme=preferences.theme.name() data-base=base()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href=at("/favicon.svg") type="image/svg+xml"/>
                <link
                    rel="preload"
                    href=at("/fonts/inter-latin.woff2")
                    r#as="font"
                    type="font/woff2"
                    crossorigin="anonymous"
                />
                <link rel="stylesheet" href=at("/pkg/chandler.css")/>
                <HydrationScripts options root=base()/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The dashboard: what the browser takes over.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_context(Preferences::current());
    provide_clock();
    let w = words();
    view! {
        <Title formatter=|page: String| if page.is_empty() { "Chandler".into() } else { format!("{page} · Chandler") }/>
        <Router base=base()>
            <a class="skip-link" href="#content">{w.nav_skip}</a>
            <Nav/>
            <main id="content" tabindex="-1">
                <Routes fallback=NotFoundPage>
                    <Route path=path!("") view=RunsPage ssr=SsrMode::Async/>
                    <Route path=path!("new") view=NewRunPage ssr=SsrMode::Async/>
                    <Route path=path!("runs/:id") view=RunPage ssr=SsrMode::Async/>
                    <Route path=path!("datasets") view=DatasetsPage ssr=SsrMode::Async/>
                    <Route path=path!("datasets/:name") view=DatasetPage ssr=SsrMode::Async/>
                    <Route path=path!("entry") view=EntryPage ssr=SsrMode::Async/>
                    <Route path=path!("chat") view=ChatPage ssr=SsrMode::Async/>
                </Routes>
            </main>
        </Router>
    }
}
