//! The page's title, in the browser's tab and history.

use leptos::prelude::*;
use leptos_meta::Title;

/// Names the page. On the server the title is written when the page itself is done, and as it stands: signals of the
/// page may be gone by then, and a name may hold markup. So there it is read at once, and escaped.
#[component]
pub fn PageTitle(#[prop(into)] text: Signal<String>) -> impl IntoView {
    #[cfg(not(feature = "hydrate"))]
    let text = text.with_untracked(|text| escaped(text));
    #[cfg(feature = "hydrate")]
    let text = move || text.get();
    view! { <Title text/> }
}

/// The text within `<title>`, which only its end tag and entities interrupt.
#[cfg(not(feature = "hydrate"))]
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
