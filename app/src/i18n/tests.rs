//! Words of all languages beside each other.

use super::*;

#[test]
fn both_languages_say_everything() {
    let (en, zh) = (EN.entries(), ZH.entries());
    assert_eq!(en.len(), zh.len());
    for ((key, text), (other, translated)) in en.into_iter().zip(zh) {
        assert_eq!(key, other);
        assert!(!text.trim().is_empty(), "English has nothing for {key}");
        assert!(!translated.trim().is_empty(), "Chinese has nothing for {key}");
        assert_eq!(places(text), places(translated), "the texts of {key} take different values");
    }
}

#[test]
fn every_argument_is_named_and_explained_in_both() {
    for argument in recipe::arguments() {
        for lang in [Lang::En, Lang::Zh] {
            assert!(!argument.label.get(lang).trim().is_empty(), "no label: {}", argument.key);
            assert!(!argument.help.get(lang).trim().is_empty(), "no help: {}", argument.key);
        }
    }
}

/// The names in braces, sorted.
fn places(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
    names.sort_unstable();
    names
}
