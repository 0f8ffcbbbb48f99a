//! The document around every page: head, navigation, routes.

use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::path;
use leptos_router::{Lazy, SsrMode};

use crate::base::{at, base};
use crate::components::clock::provide_clock;
use crate::components::nav::Nav;
use crate::i18n::words;
use crate::pages::lazy::{ChatRoute, DatasetRoute, DatasetsRoute, EntryRoute, NewRunRoute, RunRoute};
use crate::pages::not_found::NotFoundPage;
use crate::pages::runs::RunsPage;
use crate::prefs::{Language, preferences};
use crate::session::has_password;

/// The HTML document. Scripts carry the nonce that the server puts into its content security policy.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let preferences = preferences();
    // The folder of the site's files, in the version that this page belongs to.
    let site = at(&format!("/{}", options.site_pkg_dir.trim_end_matches("pkg")));
    view! {
        <!DOCTYPE html>
        <html lang=wire::lang_tag(preferences.lang) data-theme=preferences.theme.name() data-base=base() data-password=has_password().then_some("")>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href=at("/favicon.svg") type="image/svg+xml"/>
                <link
                    rel="preload"
                    href=format!("{site}fonts/inter-latin.woff2")
                    r#as="font"
                    type="font/woff2"
                    crossorigin="anonymous"
                />
                <Bundle options site=site.clone()/>
                <MetaTags/>
                <TakeOver site=site.clone()/>
                // After the scripts, which would wait for it.
                <link rel="stylesheet" href=format!("{site}pkg/chandler.css")/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// What the browser takes the page over with, to be fetched at once; what its own modules are is among the meta tags.
#[component]
fn Bundle(options: LeptosOptions, site: String) -> impl IntoView {
    // Drawn for what it tells the rest of the page, the list of modules; its own script compiles one after the other.
    let _ = view! { <HydrationScripts options root=base()/> };
    view! {
        <link rel="modulepreload" href=format!("{site}pkg/chandler.js") crossorigin="anonymous"/>
        <link
            rel="preload"
            href=format!("{site}pkg/chandler.wasm")
            r#as="fetch"
            type="application/wasm"
            crossorigin="anonymous"
        />
    }
}

/// The script that takes the page over.
#[component]
fn TakeOver(site: String) -> impl IntoView {
    let script =
        format!("({})({:?})", include_str!("take_over.js").trim_end(), format!("{site}pkg/chandler"));
    view! { <script nonce=use_nonce()>{script}</script> }
}

/// The dashboard: what the browser takes over.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let language = Language(RwSignal::new(preferences().lang));
    provide_context(language);
    provide_clock();
    view! {
        <Title formatter=|page: String| if page.is_empty() { "Chandler".into() } else { format!("{page} · Chandler") }/>
        <Router base=base()>
            {move || {
                language.0.track();
                provide_context(preferences());
                view! { <Pages/> }
            }}
        </Router>
    }
}

/// All that is in one language.
#[component]
fn Pages() -> AnyView {
    view! {
        <a class="skip-link" href="#content">{words().nav_skip}</a>
        <Nav/>
        <main id="content" tabindex="-1">
            <Routes fallback=NotFoundPage>
                <Route path=path!("") view=RunsPage ssr=SsrMode::Async/>
                <Route path=path!("new") view={Lazy::<NewRunRoute>::new()} ssr=SsrMode::Async/>
                <Route path=path!("runs/:id") view={Lazy::<RunRoute>::new()} ssr=SsrMode::Async/>
                <Route path=path!("datasets") view={Lazy::<DatasetsRoute>::new()} ssr=SsrMode::Async/>
                <Route path=path!("datasets/:name") view={Lazy::<DatasetRoute>::new()} ssr=SsrMode::Async/>
                <Route path=path!("entry") view={Lazy::<EntryRoute>::new()} ssr=SsrMode::Async/>
                <Route path=path!("chat") view={Lazy::<ChatRoute>::new()} ssr=SsrMode::Async/>
            </Routes>
        </main>
    }
    .into_any()
}
