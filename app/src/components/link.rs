//! Links to pages of the board.

use leptos::prelude::*;
use leptos_router::components::{A as Link, ToHref};

use crate::base::base;

/// The router's link, to a page whose address is written as if the board were its whole site.
#[component]
pub fn A<H>(
    href: H,
    /// Marked as the page shown on that page alone, not on those below it.
    #[prop(optional)]
    exact: bool,
    /// Whether the next page begins at its top.
    #[prop(default = true)]
    scroll: bool,
    children: Children,
) -> impl IntoView
where
    H: ToHref + Send + Sync + 'static,
{
    let base = base();
    view! { <Link href=move || format!("{base}{}", href.to_href()()) exact scroll children/> }
}
