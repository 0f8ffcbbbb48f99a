//! The methods of Python's `str`.

mod characters;
mod search;

use super::arguments::{Given, integer, required};
use super::budget;
use super::error::{Result, fail};
use super::format;
use super::value::{Value, is_space};
use characters::{of_decimals, of_letters, swapped, title};
use search::{affix, search, split};

pub(crate) use characters::is_printable;
pub(super) use characters::{capitalized, is_lower, is_upper};
pub(super) use search::lines;

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
            Value::text(replace(text, &old, &new, integer(count)?.unwrap_or(-1))?)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, given)?,
        "partition" | "rpartition" => partition(text, method, given)?,
        "join" => join(text, given)?,
        "center" | "ljust" | "rjust" | "zfill" => pad(text, method, given)?,
        "expandtabs" => {
            let [size] = given.bind(method, ["tabsize"])?;
            let size = usize::try_from(integer(size)?.unwrap_or(8).max(0)).unwrap_or(usize::MAX);
            let tabs = text.matches('\t').count();
            budget::produce(text.len().saturating_add(tabs.saturating_mul(size)))?;
            Value::text(expand_tabs(text, size))
        }
        _ => {
            given.none(&format!("str.{method}"))?;
            without_arguments(text, method)?
        }
    })
}

/// The methods that take nothing.
fn without_arguments(text: &str, method: &str) -> Result<Value> {
    let all = |holds: &dyn Fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(holds));
    Ok(match method {
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
        "isdecimal" => Value::Bool(of_decimals(text)),
        "isdigit" => all(&characters::is_digit),
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
    })
}

fn partition(text: &str, method: &str, given: Given) -> Result<Value> {
    let [separator] = given.bind(method, ["sep"])?;
    let separator = text_argument(separator, method)?;
    if separator.is_empty() {
        return fail("empty separator");
    }
    let found = if method == "partition" { text.find(&*separator) } else { text.rfind(&*separator) };
    let parts = match found {
        Some(at) => [&text[..at], &separator, &text[at + separator.len()..]],
        None if method == "partition" => [text, "", ""],
        None => ["", "", text],
    };
    Ok(Value::tuple(parts.map(Value::text).into()))
}

fn join(text: &str, given: Given) -> Result<Value> {
    let [items] = given.bind("join", ["iterable"])?;
    let items = required(items, "join", "iterable")?.to_vec()?;
    let mut parts = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let Some(part) = item.as_text() else {
            return fail(format!("sequence item {place}: expected str instance, {} found", item.kind()));
        };
        budget::produce(part.len() + text.len())?;
        parts.push(part);
    }
    Ok(Value::text(parts.join(text)))
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
///
/// # Errors
/// If the result is longer than is allowed.
pub(super) fn replace(text: &str, old: &str, new: &str, count: i128) -> Result<String> {
    // What is replaced at most: nothing stands between all characters, and at the ends.
    let places = if old.is_empty() { text.len() + 1 } else { text.matches(old).count() };
    let places = usize::try_from(count).map_or(places, |count| places.min(count));
    budget::produce(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(match usize::try_from(count) {
        Ok(count) => text.replacen(old, new, count),
        Err(_) => text.replace(old, new),
    })
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
    budget::produce(4 * width)?;
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
