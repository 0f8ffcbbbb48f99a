//! The methods of Python's `str`.

use std::sync::LazyLock;

use regex::Regex;

use super::arguments::{Given, integer, required};
use super::error::{Result, fail};
use super::format;
use super::value::{Value, is_space};

/// All that a text can be asked for by name, apart from `encode`, `translate` and `maketrans`, which have no use here.
pub(super) const METHODS: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

static LETTERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}+$").ok());
static DECIMALS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}+$").ok());
static UNPRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Z}&&[^ ]]").ok());

fn matches(regex: &LazyLock<Option<Regex>>, text: &str) -> bool {
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

fn of_letters(text: &str) -> bool {
    matches(&LETTERS, text)
}

/// Whether Python's `repr` escapes a character of the text.
pub(in crate::text) fn is_printable(text: &str) -> bool {
    !matches(&UNPRINTABLE, text)
}

/// `text.method(…)`.
///
/// # Errors
/// In Python's words, if the arguments do not fit.
pub(super) fn call(text: &str, method: &str, given: Given) -> Result<Value> {
    if !given.named.is_empty()
        && !matches!(method, "split" | "rsplit" | "splitlines" | "format" | "expandtabs")
    {
        return fail(format!("str.{method}() takes no keyword arguments"));
    }
    let all = |holds: &dyn Fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(holds));
    Ok(match method {
        "format" => Value::text(format::format(text, &given)?),
        "format_map" => {
            let [map] = given.bind(method, ["mapping"])?;
            let Value::Dict(dict) = required(map, method, "mapping")? else {
                return fail("format_map() wants a mapping");
            };
            let named =
                dict.entries().iter().filter_map(|(key, value)| Some((key.as_text()?.into(), value.clone())));
            Value::text(format::format(text, &Given { positional: Vec::new(), named: named.collect() })?)
        }
        "split" | "rsplit" => split(text, method, given)?,
        "splitlines" => {
            let [keep] = given.bind(method, ["keepends"])?;
            let keep = keep.is_some_and(|keep| keep.is_true());
            Value::list(lines(text, keep).map(Value::text).collect())
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = given.bind(method, ["chars"])?;
            Value::text(strip(text, chars, method != "rstrip", method != "lstrip")?)
        }
        "startswith" | "endswith" => affix(text, method, given)?,
        "removeprefix" | "removesuffix" => {
            let [part] = given.bind(method, ["prefix"])?;
            let part = text_argument(part, method)?;
            let rest =
                if method == "removeprefix" { text.strip_prefix(&*part) } else { text.strip_suffix(&*part) };
            Value::text(rest.unwrap_or(text))
        }
        "replace" => {
            let [old, new, count] = given.bind(method, ["old", "new", "count"])?;
            let (old, new) = (text_argument(old, method)?, text_argument(new, method)?);
            Value::text(replace(text, &old, &new, integer(count)?.unwrap_or(-1)))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, given)?,
        "partition" | "rpartition" => {
            let [separator] = given.bind(method, ["sep"])?;
            let separator = text_argument(separator, method)?;
            if separator.is_empty() {
                return fail("empty separator");
            }
            let found = if method == "partition" { text.find(&*separator) } else { text.rfind(&*separator) };
            Value::tuple(match found {
                Some(at) => vec![
                    Value::text(&text[..at]),
                    Value::text(&separator),
                    Value::text(&text[at + separator.len()..]),
                ],
                None if method == "partition" => vec![Value::text(text), Value::text(""), Value::text("")],
                None => vec![Value::text(""), Value::text(""), Value::text(text)],
            })
        }
        "join" => {
            let [items] = given.bind(method, ["iterable"])?;
            let items = required(items, method, "iterable")?.to_vec()?;
            let mut parts = Vec::with_capacity(items.len());
            for (place, item) in items.iter().enumerate() {
                match item.as_text() {
                    Some(part) => parts.push(part),
                    None => {
                        let kind = item.kind();
                        return fail(format!("sequence item {place}: expected str instance, {kind} found"));
                    }
                }
            }
            Value::text(parts.join(text))
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(text, method, given)?,
        "expandtabs" => {
            let [size] = given.bind(method, ["tabsize"])?;
            Value::text(expand_tabs(text, integer(size)?.unwrap_or(8).max(0) as usize))
        }
        _ => {
            given.none(&format!("str.{method}"))?;
            match method {
                "upper" => Value::text(text.to_uppercase()),
                "lower" => Value::text(text.to_lowercase()),
                // Differs from `lower` where a language's own rules do.
                "casefold" => Value::text(text.to_lowercase().replace('ß', "ss")),
                "capitalize" => Value::text(capitalized(text)),
                "title" => Value::text(title(text)),
                "swapcase" => Value::text(swapped(text)),
                "isspace" => all(&is_space),
                "isascii" => Value::Bool(text.is_ascii()),
                "isalpha" => Value::Bool(of_letters(text)),
                "isdecimal" => Value::Bool(matches(&DECIMALS, text)),
                "isdigit" => all(&is_digit),
                "isnumeric" => all(&char::is_numeric),
                "isalnum" => all(&|c| c.is_numeric() || of_letters(&c.to_string())),
                "isprintable" => Value::Bool(is_printable(text)),
                "isidentifier" => {
                    let starts = text.chars().next().is_some_and(|c| c == '_' || of_letters(&c.to_string()));
                    Value::Bool(starts && text.chars().all(|c| c == '_' || c.is_alphanumeric()))
                }
                "islower" => Value::Bool(is_lower(text)),
                "isupper" => Value::Bool(is_upper(text)),
                "istitle" => Value::Bool(title(text) == text && text.chars().any(char::is_alphabetic)),
                _ => return fail(format!("'str' object has no attribute '{method}'")),
            }
        }
    })
}

pub(super) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
}

pub(super) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
}

/// Decimal digits, and those in circles, above and below the line.
fn is_digit(c: char) -> bool {
    let others = "²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉①②③④⑤⑥⑦⑧⑨⑴⑵⑶⑷⑸⑹⑺⑻⑼⒈⒉⒊⒋⒌⒍⒎⒏⒐⓪❶❷❸❹❺❻❼❽❾";
    c.is_ascii_digit() || others.contains(c) || matches(&DECIMALS, &c.to_string())
}

fn text_argument(value: Option<Value>, method: &str) -> Result<String> {
    let value = required(value, method, "text")?;
    match value.as_text() {
        Some(text) => Ok(text.to_owned()),
        None => fail(format!("{method}() argument must be str, not {}", value.kind())),
    }
}

/// Without blanks, or the characters of `chars`, at the ends.
///
/// # Errors
/// If `chars` is not a text.
pub(super) fn strip(text: &str, chars: Option<Value>, start: bool, end: bool) -> Result<&str> {
    let set = match &chars {
        None | Some(Value::None) => None,
        Some(chars) => match chars.as_text() {
            Some(set) => Some(set),
            None => return fail(format!("strip arg must be None or str, not {}", chars.kind())),
        },
    };
    let goes = |c: char| set.map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if start { text.trim_start_matches(goes) } else { text };
    Ok(if end { text.trim_end_matches(goes) } else { text })
}

/// `text.replace(old, new, count)`; all of them if `count` is negative.
pub(super) fn replace(text: &str, old: &str, new: &str, count: i128) -> String {
    match usize::try_from(count) {
        Ok(count) => text.replacen(old, new, count),
        Err(_) => text.replace(old, new),
    }
}

fn split(text: &str, method: &str, given: Given) -> Result<Value> {
    let [separator, most] = given.bind(method, ["sep", "maxsplit"])?;
    let most = usize::try_from(integer(most)?.unwrap_or(-1)).unwrap_or(usize::MAX);
    let from_right = method == "rsplit";
    let mut parts: Vec<&str> = Vec::new();
    match separator {
        None | Some(Value::None) => {
            let mut rest =
                if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
            while !rest.is_empty() {
                let gap = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
                let Some(at) = gap.filter(|_| parts.len() < most) else {
                    // What is left keeps the blanks at its far end, if nothing more is split.
                    parts.push(if parts.len() < most { rest.trim_matches(is_space) } else { rest });
                    break;
                };
                if from_right {
                    let behind = at + rest[at..].chars().next().map_or(0, char::len_utf8);
                    parts.push(&rest[behind..]);
                    rest = rest[..at].trim_end_matches(is_space);
                } else {
                    parts.push(&rest[..at]);
                    rest = rest[at..].trim_start_matches(is_space);
                }
            }
            parts.retain(|part| !part.is_empty());
        }
        Some(separator) => {
            let Some(separator) = separator.as_text() else {
                return fail(format!("must be str or None, not {}", separator.kind()));
            };
            if separator.is_empty() {
                return fail("empty separator");
            }
            let pieces = most.saturating_add(1);
            parts = match from_right {
                true => text.rsplitn(pieces, separator).collect(),
                false => text.splitn(pieces, separator).collect(),
            };
        }
    }
    if from_right {
        parts.reverse();
    }
    Ok(Value::list(parts.into_iter().map(Value::text).collect()))
}

/// The lines as `str.splitlines` finds them.
pub(super) fn lines(text: &str, keep: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |c: char| {
            matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
        };
        let Some(at) = rest.find(ends) else { return Some(std::mem::take(&mut rest)) };
        let width = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(0, char::len_utf8),
        };
        let line = &rest[..if keep { at + width } else { at }];
        rest = &rest[at + width..];
        Some(line)
    })
}

/// The part between two character places that Python's `start` and `end` name, and the characters before it.
fn part(text: &str, start: Option<Value>, end: Option<Value>) -> Result<Option<(&str, usize)>> {
    let length = text.chars().count() as i128;
    let place = |value: i128| if value < 0 { (value + length).max(0) } else { value };
    let start = place(integer(start)?.unwrap_or(0));
    let end = place(integer(end)?.unwrap_or(length)).min(length);
    if start > end {
        return Ok(None);
    }
    let byte = |place: i128| text.char_indices().nth(place as usize).map_or(text.len(), |(at, _)| at);
    Ok(Some((&text[byte(start)..byte(end)], start as usize)))
}

fn affix(text: &str, method: &str, given: Given) -> Result<Value> {
    let [affixes, start, end] = given.bind(method, ["prefix", "start", "end"])?;
    let affixes = required(affixes, method, "prefix")?;
    let Some((text, _)) = part(text, start, end)? else { return Ok(Value::Bool(false)) };
    let wanted = match &affixes {
        Value::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    for affix in &wanted {
        let Some(affix) = affix.as_text() else {
            let kind = affix.kind();
            return fail(match affixes {
                Value::Tuple(_) => format!("tuple for {method} must only contain str, not {kind}"),
                _ => format!("{method} first arg must be str or a tuple of str, not {kind}"),
            });
        };
        if if method == "startswith" { text.starts_with(affix) } else { text.ends_with(affix) } {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn search(text: &str, method: &str, given: Given) -> Result<Value> {
    let [wanted, start, end] = given.bind(method, ["sub", "start", "end"])?;
    let wanted = required(wanted, method, "sub")?;
    let Some(wanted) = wanted.as_text() else { return fail(format!("must be str, not {}", wanted.kind())) };
    let part = part(text, start, end)?;
    if method == "count" {
        let count = part.map_or(0, |(text, _)| match wanted.is_empty() {
            true => text.chars().count() + 1,
            false => text.matches(wanted).count(),
        });
        return Ok(Value::Integer(count as i128));
    }
    let place = part.and_then(|(text, before)| {
        let at = if method.starts_with('r') { text.rfind(wanted) } else { text.find(wanted) };
        at.map(|at| before + text[..at].chars().count())
    });
    match place {
        Some(place) => Ok(Value::Integer(place as i128)),
        None if method.ends_with("find") => Ok(Value::Integer(-1)),
        None => fail("substring not found"),
    }
}

/// The text between blanks, so that it is `width` wide; Python gives the odd one to the left if `width` is odd.
pub(super) fn centered(text: &str, width: usize, fill: char) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    let pad = |count| fill.to_string().repeat(count);
    format!("{}{text}{}", pad(left), pad(missing - left))
}

fn pad(text: &str, method: &str, given: Given) -> Result<Value> {
    let [width, fill] = given.bind(method, ["width", "fillchar"])?;
    let width = integer(Some(required(width, method, "width")?))?.unwrap_or_default();
    if width > 100_000_000 {
        return fail("what is padded would be too long");
    }
    let width = width.max(0) as usize;
    let fill = match fill {
        None => ' ',
        Some(fill) => match fill.as_text().map(|fill| (fill.chars().next(), fill.chars().count())) {
            Some((Some(fill), 1)) => fill,
            _ => return fail("The fill character must be exactly one character long"),
        },
    };
    let missing = width.saturating_sub(text.chars().count());
    let padding = |c: char| c.to_string().repeat(missing);
    Ok(Value::text(match method {
        "ljust" => format!("{text}{}", padding(fill)),
        "rjust" => format!("{}{text}", padding(fill)),
        "center" => centered(text, width, fill),
        _ => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            format!("{}{}{digits}", &text[..text.len() - digits.len()], padding('0'))
        }
    }))
}

fn expand_tabs(text: &str, size: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '\t' => {
                let width = if size == 0 { 0 } else { size - column % size };
                out.push_str(&" ".repeat(width));
                column += width;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// The first character in capitals, all others in small letters.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

fn title(text: &str) -> String {
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

fn swapped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_uppercase() { out.extend(c.to_lowercase()) } else { out.extend(c.to_uppercase()) }
    }
    out
}
