//! Kinds of characters, and letters in capitals and small.

use std::sync::LazyLock;

use regex::Regex;

static LETTERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}+$").ok());
static DECIMALS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}+$").ok());
static UNPRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Z}&&[^ ]]").ok());

fn matches(regex: &LazyLock<Option<Regex>>, text: &str) -> bool {
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

pub(super) fn of_letters(text: &str) -> bool {
    matches(&LETTERS, text)
}

pub(super) fn of_decimals(text: &str) -> bool {
    matches(&DECIMALS, text)
}

/// Whether Python's `repr` escapes a character of the text.
pub(crate) fn is_printable(text: &str) -> bool {
    !matches(&UNPRINTABLE, text)
}

pub(in crate::jinja) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
}

pub(in crate::jinja) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
}

/// Decimal digits, and those in circles, above and below the line.
pub(super) fn is_digit(c: char) -> bool {
    let others = "²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉①②③④⑤⑥⑦⑧⑨⑴⑵⑶⑷⑸⑹⑺⑻⑼⒈⒉⒊⒋⒌⒍⒎⒏⒐⓪❶❷❸❹❺❻❼❽❾";
    c.is_ascii_digit() || others.contains(c) || matches(&DECIMALS, &c.to_string())
}

/// The first character in capitals, all others in small letters.
pub(in crate::jinja) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

pub(super) fn title(text: &str) -> String {
    let mut out = String::new();
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        in_word = c.is_lowercase() || c.is_uppercase();
    }
    out
}

pub(super) fn swapped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_uppercase() { out.extend(c.to_lowercase()) } else { out.extend(c.to_uppercase()) }
    }
    out
}
