//! Which words a page is made of.

use leptos::prelude::use_context;
use recipe::Lang;
use wire::Preferences;

use super::{EN, Words, ZH};

/// The words of a language.
pub fn words_of(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

/// The language of the page that is being made.
pub fn lang() -> Lang {
    use_context::<Preferences>().unwrap_or_default().lang
}

/// The words of the page that is being made.
pub fn words() -> &'static Words {
    words_of(lang())
}
