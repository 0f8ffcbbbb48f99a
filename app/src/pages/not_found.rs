//! Where no page is.

use leptos::prelude::*;

use crate::components::icon::Flame;
use crate::components::link::A;
use crate::components::title::PageTitle;
use crate::i18n::words;

#[component]
pub fn NotFoundPage() -> AnyView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    let w = words();
    view! {
        <PageTitle text=w.not_found_title/>
        <div class="page">
            <div class="empty" data-test="not-found">
                <Flame/>
                <h1>{w.not_found_title}</h1>
                <p>{w.not_found_text}</p>
                <A href="/" attr:class="button primary">{w.not_found_home}</A>
            </div>
        </div>
    }
    .into_any()
}
