//! Language and theme: chosen by cookie, else by what the browser says; known before the first paint.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::i18n::Lang;

pub const LANG_COOKIE: &str = "lang";
pub const THEME_COOKIE: &str = "theme";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the operating system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    /// The name in the cookie and in `<html data-theme>`.
    pub fn name(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn from_name(name: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    pub lang: Lang,
    pub theme: Theme,
}

/// The language that the page is drawn in: whoever sets it has it drawn anew.
#[derive(Clone, Copy)]
pub struct Language(pub RwSignal<Lang>);

impl Preferences {
    /// From the values of the `Cookie` and `Accept-Language` headers.
    pub fn from_headers(cookies: &str, accept_language: &str) -> Preferences {
        let lang = cookie(cookies, LANG_COOKIE)
            .and_then(crate::i18n::from_tag)
            .or_else(|| preferred_language(accept_language))
            .unwrap_or_default();
        let theme = cookie(cookies, THEME_COOKIE).and_then(Theme::from_name).unwrap_or_default();
        Preferences { lang, theme }
    }

    /// Of the request that is being answered, or of the page that is being shown.
    pub fn current() -> Preferences {
        #[cfg(feature = "ssr")]
        {
            let Some(parts) = use_context::<http::request::Parts>() else { return Preferences::default() };
            let header =
                |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            Preferences::from_headers(header(http::header::COOKIE), header(http::header::ACCEPT_LANGUAGE))
        }
        #[cfg(not(feature = "ssr"))]
        {
            let root = document().document_element();
            let attribute = |name| root.as_ref().and_then(|root| root.get_attribute(name));
            Preferences {
                lang: attribute("lang").and_then(|tag| crate::i18n::from_tag(&tag)).unwrap_or_default(),
                theme: attribute("data-theme").and_then(|name| Theme::from_name(&name)).unwrap_or_default(),
            }
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
pub fn remember(name: &str, value: &str) -> Result<(), crate::api::BoardError> {
    use crate::api::BoardError;
    let response = use_context::<leptos_axum::ResponseOptions>()
        .ok_or_else(|| BoardError::Internal("no response to set a cookie in".into()))?;
    let header = http::HeaderValue::from_str(&cookie_text(name, value))
        .map_err(|error| BoardError::Internal(error.to_string()))?;
    response.append_header(http::header::SET_COOKIE, header);
    Ok(())
}

fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The first language of an `Accept-Language` header that we speak, by its quality values.
fn preferred_language(header: &str) -> Option<Lang> {
    let mut wanted: Vec<(f64, Lang)> = header
        .split(',')
        .filter_map(|item| {
            let mut parts = item.split(';');
            let lang = crate::i18n::from_tag(parts.next()?.trim())?;
            let quality = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(Some(1.0), |q| q.parse().ok())?;
            (quality > 0.0).then_some((quality, lang))
        })
        .collect();
    // A stable sort: of equal qualities the first stays first.
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    wanted.first().map(|(_, lang)| *lang)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_wins_over_the_browser() {
        let prefs = Preferences::from_headers("a=b; lang=en; theme=dark", "zh-CN,zh;q=0.9");
        assert_eq!(prefs, Preferences { lang: Lang::En, theme: Theme::Dark });
    }

    #[test]
    fn the_browser_names_languages_by_quality() {
        let lang = |header| Preferences::from_headers("", header).lang;
        assert_eq!(lang("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh);
        assert_eq!(lang("en-GB;q=0.3, zh-Hans;q=0.7"), Lang::Zh);
        assert_eq!(lang("fr, en;q=0.5, zh;q=0"), Lang::En);
        assert_eq!(lang("fr"), Lang::En);
        assert_eq!(lang(""), Lang::En);
    }

    #[test]
    fn unknown_cookie_values_are_ignored() {
        let prefs = Preferences::from_headers("lang=xx; theme=neon", "");
        assert_eq!(prefs, Preferences::default());
    }
}
