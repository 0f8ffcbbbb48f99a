//! Words in the languages that Chandler speaks, by the key of the language.
//!
//! A new language is one line in the table below and one key at each text. A text that lacks it falls back to English.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Words that are known when the program is built: `words! { en: "Data", zh: "数据" }`.
#[macro_export]
macro_rules! words {
    (en: $en:expr $(, $lang:ident: $words:expr)* $(,)?) => {
        $crate::Text::english($en)$(.$lang($words))*
    };
}

/// A sentence with values in it: `sentence! { en: "{count} names", zh: "{count} 个名称" }`.
///
/// Values that are [`Translated`] themselves are listed in front; each language takes its own of them:
/// `sentence! { [wanted] en: "give {wanted}", zh: "请给出：{wanted}" }`.
#[macro_export]
macro_rules! sentence {
    (@en [$($part:ident),*] $words:literal) => {{
        $(let $part = &$part.en;)*
        format!($words)
    }};
    (@$lang:ident [$($part:ident),*] $words:literal) => {{
        $(let $part = $part.$lang.as_ref().unwrap_or(&$part.en);)*
        format!($words)
    }};
    ($parts:tt en: $en:literal $(, $lang:ident: $words:literal)* $(,)?) => {
        $crate::Sentence::english($crate::sentence!(@en $parts $en))
            $(.$lang($crate::sentence!(@$lang $parts $words)))*
    };
    (en: $($rest:tt)+) => {
        $crate::sentence!([] en: $($rest)+)
    };
}

/// Makes [`Lang`] and [`Translated`]: of each language beside English its variant and its key.
macro_rules! languages {
    ($($lang:ident $key:ident;)+) => {
        /// A language of the user interface.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Lang {
            /// English, which every text has.
            #[default]
            En,
            $(#[doc = concat!("The language of the key `", stringify!($key), "`.")] $lang,)+
        }

        impl Lang {
            /// Every language, English first.
            pub const ALL: &'static [Lang] = &[Lang::En, $(Lang::$lang),+];
        }

        /// One text in English and in those of the other languages that it was put into.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Translated<T> {
            /// The English text.
            pub en: T,
            $(#[doc = concat!("The text in `", stringify!($key), "`, if it was put into that.")] pub $key: Option<T>,)+
        }

        impl<T> Translated<T> {
            /// A text that is in English alone.
            pub const fn english(en: T) -> Translated<T> {
                Translated { en, $($key: None,)+ }
            }

            /// A text with what each language says of it changed by `change`.
            pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Translated<U> {
                Translated { en: change(self.en), $($key: self.$key.map(&mut change),)+ }
            }
        }

        impl Text {
            $(
                /// The text with its words in this language.
                pub const fn $key(mut self, words: &'static str) -> Text {
                    self.$key = Some(words);
                    self
                }
            )+

            /// The words in a language, or in English where they were not put into it.
            pub const fn get(self, lang: Lang) -> &'static str {
                let own = match lang {
                    Lang::En => None,
                    $(Lang::$lang => self.$key,)+
                };
                match own {
                    Some(words) => words,
                    None => self.en,
                }
            }
        }

        impl Sentence {
            $(
                /// The sentence with its words in this language.
                #[must_use]
                pub fn $key(mut self, words: String) -> Sentence {
                    self.$key = Some(words);
                    self
                }
            )+

            /// The words in a language, or in English where they were not put into it.
            pub fn get(&self, lang: Lang) -> &str {
                let own = match lang {
                    Lang::En => None,
                    $(Lang::$lang => self.$key.as_deref(),)+
                };
                own.unwrap_or(&self.en)
            }
        }

        /// One behind the other, in every language that either of them is in.
        impl Add for Sentence {
            type Output = Sentence;

            fn add(self, next: Sentence) -> Sentence {
                let joined = |lang| [self.get(lang), next.get(lang)].concat();
                Sentence {
                    en: joined(Lang::En),
                    $($key: (self.$key.is_some() || next.$key.is_some()).then(|| joined(Lang::$lang)),)+
                }
            }
        }
    };
}

languages! {
    Zh zh;
}

/// Words that are known when the program is built.
pub type Text = Translated<&'static str>;

/// Words that are made while it runs.
pub type Sentence = Translated<String>;

impl From<Text> for Sentence {
    fn from(text: Text) -> Sentence {
        text.map(str::to_owned)
    }
}

impl Sentence {
    /// Names with a separator between them.
    pub fn joined(names: &[String], separator: Text) -> Sentence {
        separator.map(|separator| names.join(separator))
    }

    /// Names of which any will do: `a, b or c`.
    pub fn alternatives(names: &[String]) -> Sentence {
        match names {
            [] => Sentence::default(),
            [only] => Sentence::english(only.clone()),
            [others @ .., last] => {
                let others = Sentence::joined(others, words! { en: ", ", zh: "、" });
                sentence! { [others] en: "{others} or {last}", zh: "{others} 或 {last}" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_is_missing_falls_back_to_english() {
        assert_eq!(words! { en: "Data" }.get(Lang::Zh), "Data");
        assert_eq!(words! { en: "Data", zh: "数据" }.get(Lang::Zh), "数据");
        let count = 3;
        assert_eq!(sentence! { en: "{count} names" }.get(Lang::Zh), "3 names");
    }

    #[test]
    fn a_sentence_takes_of_its_parts_what_is_in_its_own_language() {
        let (part, plain) = (Sentence::from(words! { en: "a text", zh: "文本" }), words! { en: "x" });
        let whole = sentence! { [part, plain] en: "give {part} {plain}", zh: "请给出：{part} {plain}" };
        assert_eq!((whole.get(Lang::En), whole.get(Lang::Zh)), ("give a text x", "请给出：文本 x"));
        let both = Sentence::english("x ".to_owned()) + part;
        assert_eq!((both.get(Lang::En), both.get(Lang::Zh)), ("x a text", "x 文本"));
    }

    #[test]
    fn alternatives_end_with_or() {
        let said = |names: &[&str]| {
            Sentence::alternatives(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(said(&["a"]).get(Lang::En), "a");
        assert_eq!(said(&["a", "b"]).get(Lang::En), "a or b");
        assert_eq!(said(&["a", "b", "c"]).get(Lang::Zh), "a、b 或 c");
    }
}
