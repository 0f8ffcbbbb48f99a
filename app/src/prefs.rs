//! Language and theme of a page, known before its first paint; see [`Preferences`].

use leptos::prelude::*;
use recipe::Lang;
use wire::Preferences;

/// The language that the page is drawn in: whoever sets it has it drawn anew.
#[derive(Clone, Copy)]
pub struct Language(pub RwSignal<Lang>);

/// Of the request that is being answered, or of the page that is being shown.
pub fn preferences() -> Preferences {
    #[cfg(feature = "ssr")]
    {
        let Some(parts) = use_context::<http::request::Parts>() else { return Preferences::default() };
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Preferences::from_headers(header(http::header::COOKIE), header(http::header::ACCEPT_LANGUAGE))
    }
    #[cfg(not(feature = "ssr"))]
    {
        let root = document().document_element();
        let attribute = |name| root.as_ref().and_then(|root| root.get_attribute(name));
        Preferences {
            lang: attribute("lang").and_then(|tag| wire::lang_from_tag(&tag)).unwrap_or_default(),
            theme: attribute("data-theme").and_then(|name| wire::Theme::from_name(&name)).unwrap_or_default(),
        }
    }
}

/// The value of a `Set-Cookie` header (and of `document.cookie`) that keeps a preference for a year.
pub fn cookie_text(name: &str, value: &str) -> String {
    let path = crate::base::folder();
    format!("{name}={value}; Path={path}; Max-Age=31536000; SameSite=Lax")
}

/// Sets a preference's cookie in the answer to the current request.
#[cfg(feature = "ssr")]
pub fn remember(name: &str, value: &str) -> Result<(), wire::BoardError> {
    use wire::BoardError;
    let response = use_context::<leptos_axum::ResponseOptions>()
        .ok_or_else(|| BoardError::Internal("no response to set a cookie in".into()))?;
    let header = http::HeaderValue::from_str(&cookie_text(name, value))
        .map_err(|error| BoardError::Internal(error.to_string()))?;
    response.append_header(http::header::SET_COOKIE, header);
    Ok(())
}
