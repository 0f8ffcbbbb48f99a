//! Language and theme: chosen by cookie, else by what the browser says.

use recipe::Lang;
use serde::{Deserialize, Serialize};

/// The cookie that holds the tag of a language.
pub const LANG_COOKIE: &str = "lang";
/// The cookie that holds the name of a theme.
pub const THEME_COOKIE: &str = "theme";

/// The colours of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the operating system has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    /// The name in the cookie and in `<html data-theme>`.
    pub fn name(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The theme of a name that [`Theme::name`] gives.
    pub fn from_name(name: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// How somebody wants the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The language of all words.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
}

impl Preferences {
    /// From the values of the `Cookie` and `Accept-Language` headers.
    pub fn from_headers(cookies: &str, accept_language: &str) -> Preferences {
        let cookie = |name| self::cookies(cookies).find(|(key, _)| *key == name).map(|(_, value)| value);
        let lang = cookie(LANG_COOKIE)
            .and_then(lang_from_tag)
            .or_else(|| preferred_language(accept_language))
            .unwrap_or_default();
        let theme = cookie(THEME_COOKIE).and_then(Theme::from_name).unwrap_or_default();
        Preferences { lang, theme }
    }
}

/// The cookies of a `Cookie` header, name and value each (RFC 6265, 4.2.1).
pub fn cookies(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|pair| pair.trim().split_once('='))
}

/// The tag of a language, in `<html lang>` and in the cookie.
pub fn lang_tag(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::Zh => "zh-CN",
    }
}

/// The language of a tag such as `zh`, `zh-Hans-CN` or `en_US`.
pub fn lang_from_tag(tag: &str) -> Option<Lang> {
    match tag.split(['-', '_']).next()?.to_ascii_lowercase().as_str() {
        "en" => Some(Lang::En),
        "zh" => Some(Lang::Zh),
        _ => None,
    }
}

/// The first language of an `Accept-Language` header that we speak, by its quality values.
fn preferred_language(header: &str) -> Option<Lang> {
    let mut wanted: Vec<(f64, Lang)> = header
        .split(',')
        .filter_map(|item| {
            let mut parts = item.split(';');
            let lang = lang_from_tag(parts.next()?.trim())?;
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

    #[test]
    fn tags_are_read_back() {
        for lang in [Lang::En, Lang::Zh] {
            assert_eq!(lang_from_tag(lang_tag(lang)), Some(lang));
        }
        assert_eq!(lang_from_tag("zh-Hans"), Some(Lang::Zh));
        assert_eq!(lang_from_tag("fr"), None);
    }
}
