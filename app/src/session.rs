//! Whether the board asks for a password, and so can be left.

/// Provided to pages by the server; the browser reads it from the document.
#[derive(Clone, Copy, Debug, Default)]
pub struct HasPassword(pub bool);

/// The attribute of `<html>` that tells the browser.
#[cfg(not(feature = "ssr"))]
const ATTRIBUTE: &str = "data-password";

pub fn has_password() -> bool {
    #[cfg(feature = "ssr")]
    {
        leptos::prelude::use_context::<HasPassword>().unwrap_or_default().0
    }
    #[cfg(not(feature = "ssr"))]
    {
        let root = leptos::prelude::document().document_element();
        root.is_some_and(|root| root.has_attribute(ATTRIBUTE))
    }
}
