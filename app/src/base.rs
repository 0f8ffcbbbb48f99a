//! The folder of a site that the board lies in: a proxy may serve it at `https://name/chandler/`, beside other things.
//!
//! Routes, links (`components::link::A`) and ways (`components::navigate`) are written as if the board
//! were the whole site; [`at`] makes every other address.

use leptos::prelude::*;

/// `/chandler` for a board at `https://name/chandler/`, empty for one that is the whole site. Provided to pages and
/// server functions by the server; the browser reads it from the document.
#[derive(Clone, Debug, Default)]
pub struct Base(pub std::sync::Arc<str>);

/// The attribute of `<html>` that tells the browser.
#[cfg(not(feature = "ssr"))]
const ATTRIBUTE: &str = "data-base";

/// The folder, without a slash at its end.
pub fn base() -> String {
    #[cfg(feature = "ssr")]
    {
        use_context::<Base>().unwrap_or_default().0.to_string()
    }
    #[cfg(not(feature = "ssr"))]
    {
        let root = document().document_element();
        root.and_then(|root| root.get_attribute(ATTRIBUTE)).unwrap_or_default()
    }
}

/// The address, on its site, of what the board has at `path`, which begins with a slash.
pub fn at(path: &str) -> String {
    base() + path
}

/// What cookies are for: the board and nothing else of its site.
pub fn folder() -> String {
    Some(base()).filter(|base| !base.is_empty()).unwrap_or_else(|| "/".into())
}

/// Makes calls of the server go to this folder. The address lives as long as the page.
#[cfg(feature = "hydrate")]
pub fn enter() {
    leptos::server_fn::client::set_server_url(base().leak());
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn addresses_lie_in_the_folder() {
        let owner = Owner::new();
        owner.with(|| {
            assert_eq!((at("/runs"), folder()), ("/runs".into(), "/".into()));
            provide_context(Base("/chandler".into()));
            assert_eq!((at("/runs"), folder()), ("/chandler/runs".into(), "/chandler".into()));
        });
    }
}
