//! Filters of texts.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::jinja::arguments::{Given, integer, required};
use crate::jinja::display::display;
use crate::jinja::error::{Result, fail};
use crate::jinja::strings::{capitalized, centered, lines, replace, strip};
use crate::jinja::value::{Dict, Value, is_space};
use crate::jinja::{budget, printf};

static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").ok());

pub(super) fn call(name: &str, value: Value, given: Given) -> Result<Value> {
    // These keep what is marked safe as it is.
    match (name, &value) {
        ("safe", _) => {
            given.none("do_mark_safe")?;
            return Ok(Value::Markup(display(&value)?.as_ref().into()));
        }
        ("escape" | "e", Value::Markup(_)) => return Ok(value),
        ("escape" | "e" | "forceescape", _) => {
            given.none("escape")?;
            let plain = Value::text(display(&value)?);
            return Ok(Value::Markup(escape(&plain)?.as_ref().into()));
        }
        ("xmlattr", _) => return xml_attributes(&value, given),
        ("urlencode", _) => return url_encoded(&value, given),
        _ => {}
    }
    let marked = matches!(value, Value::Markup(_));
    let text = display(&value)?;
    let result: Cow<'_, str> = match name {
        "upper" => text.to_uppercase().into(),
        "lower" => text.to_lowercase().into(),
        "capitalize" => capitalized(&text).into(),
        "title" => title(&text).into(),
        "trim" => {
            let [chars] = given.bind("do_trim", ["chars"])?;
            strip(&text, chars, true, true)?.to_owned().into()
        }
        "replace" => {
            let [old, new, count] = given.bind("do_replace", ["old", "new", "count"])?;
            let (old, new) = (required(old, "do_replace", "old")?, required(new, "do_replace", "new")?);
            let count = integer(count)?.unwrap_or(-1);
            // Where nothing is escaped by itself, the result is an ordinary text.
            return Ok(Value::text(replace(&text, &display(&old)?, &display(&new)?, count)?));
        }
        "center" => {
            let [width] = given.bind("do_center", ["width"])?;
            centered(&text, integer(width)?.unwrap_or(80).clamp(0, 100_000) as usize, ' ').into()
        }
        "indent" => indent(&value, given)?.into(),
        "truncate" => truncate(&value, given)?.into(),
        "wordwrap" => wrap(&value, given)?.into(),
        "wordcount" => {
            given.none("do_wordcount")?;
            let count = WORDS.as_ref().map_or(0, |words| words.find_iter(&text).count());
            return Ok(Value::Integer(count as i128));
        }
        "format" => {
            if !given.positional.is_empty() && !given.named.is_empty() {
                return fail("can't handle positional and keyword arguments at the same time");
            }
            let values = if given.named.is_empty() {
                Value::tuple(given.positional)
            } else {
                let mut named = Dict::default();
                for (name, value) in given.named {
                    named.insert(Value::text(name), value)?;
                }
                Value::Dict(named.into())
            };
            printf::format(&text, &values)?.into()
        }
        "striptags" => return stripped(&text).map(Value::text),
        _ => return fail(format!("No filter named '{name}' found.")),
    };
    Ok(if marked { Value::Markup(result.as_ref().into()) } else { Value::text(result) })
}

/// With HTML's special characters replaced, unless the text is marked safe.
///
/// # Errors
/// If the value cannot be written.
pub(in crate::jinja) fn escape(value: &Value) -> Result<Cow<'_, str>> {
    if let Value::Markup(text) = value {
        return Ok(Cow::Borrowed(text));
    }
    let text = display(value)?;
    Ok(text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
        .into())
}

fn title(text: &str) -> String {
    let mut out = String::new();
    let mut starts = true;
    for c in text.chars() {
        let border = is_space(c) || "-({[<".contains(c);
        if border {
            out.push(c);
        } else if starts {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        starts = border;
    }
    out
}

/// The text of a value that must be one.
fn own_text<'a>(value: &'a Value, wanted: &str) -> Result<&'a str> {
    value.check_defined()?;
    match value.as_text() {
        Some(text) => Ok(text),
        None => fail(format!("{wanted}, not {}", value.kind())),
    }
}

fn indent(value: &Value, given: Given) -> Result<String> {
    let [width, first, blank] = given.bind("do_indent", ["width", "first", "blank"])?;
    let text = own_text(value, "indent wants a text")?;
    let indentation = match width {
        None => " ".repeat(4),
        Some(width) => match (width.as_text(), width.as_integer()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(count)) => " ".repeat(usize::try_from(count).unwrap_or_default().min(100_000)),
            _ => return fail(format!("can't multiply sequence by non-int of type '{}'", width.kind())),
        },
    };
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is_true(first), is_true(blank));
    let text = format!("{text}\n");
    let mut out = String::new();
    for (place, line) in lines(&text, false).enumerate() {
        budget::produce(line.len() + indentation.len())?;
        if place > 0 {
            out.push('\n');
        }
        let indented = if place == 0 { first } else { blank || !line.is_empty() };
        if indented {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn truncate(value: &Value, given: Given) -> Result<String> {
    let [length, kill, end, leeway] = given.bind("do_truncate", ["length", "killwords", "end", "leeway"])?;
    let length = integer(length)?.unwrap_or(255);
    let end = end.unwrap_or_else(|| Value::text("..."));
    let end = own_text(&end, "end wants a text")?;
    let end_length = end.chars().count() as i128;
    let leeway = integer(leeway)?.unwrap_or(5);
    if length < end_length {
        return fail(format!("expected length >= {end_length}, got {length}"));
    }
    if leeway < 0 {
        return fail(format!("expected leeway >= 0, got {leeway}"));
    }
    // What is short enough stays what it is.
    if value.length().is_some_and(|count| count as i128 <= length + leeway) {
        return Ok(display(value)?.into_owned());
    }
    let text = own_text(value, "truncate wants a text")?;
    let kept: String = text.chars().take((length - end_length) as usize).collect();
    let kept = match kill.is_some_and(|kill| kill.is_true()) {
        true => kept.as_str(),
        false => kept.rsplit_once(' ').map_or(kept.as_str(), |(head, _)| head),
    };
    Ok(format!("{kept}{end}"))
}

/// As Python's `textwrap.wrap`, line by line.
fn wrap(value: &Value, given: Given) -> Result<String> {
    let [width, break_words, joiner, hyphens] =
        given.bind("do_wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let width = integer(width)?.unwrap_or(79);
    let Some(width) = usize::try_from(width).ok().filter(|width| *width > 0) else {
        return fail(format!("invalid width {width} (must be > 0)"));
    };
    let is_true = |value: Option<Value>| value.is_none_or(|value| value.is_true());
    let (break_words, hyphens) = (is_true(break_words), is_true(hyphens));
    let joiner = joiner.filter(|joiner| !matches!(joiner, Value::None)).unwrap_or_else(|| Value::text("\n"));
    let joiner = own_text(&joiner, "wrapstring wants a text")?;
    let text = own_text(value, "wordwrap wants a text")?;
    let mut wrapped = Vec::new();
    for line in lines(text, false) {
        if hyphens && line.contains("--") {
            return fail("the filter 'wordwrap' is not supported for texts with dashes of several hyphens");
        }
        budget::produce(line.len().saturating_mul(1 + joiner.len()))?;
        wrapped.push(wrap_line(line, width, break_words, hyphens)?.join(joiner));
    }
    Ok(wrapped.join(joiner))
}

fn wrap_line(line: &str, width: usize, break_words: bool, hyphens: bool) -> Result<Vec<String>> {
    let blank = |c: char| "\t\n\x0b\x0c\r ".contains(c);
    let count = |text: &str| text.chars().count();
    let mut chunks: Vec<String> = Vec::new();
    let mut previous = None;
    for c in line.chars() {
        match (previous, chunks.last_mut()) {
            (Some(before), Some(chunk)) if blank(before) == blank(c) => chunk.push(c),
            _ => chunks.push(c.to_string()),
        }
        previous = Some(c);
    }
    if hyphens {
        chunks = chunks.iter().flat_map(|chunk| at_hyphens(chunk)).collect();
    }
    chunks.reverse();
    let mut out: Vec<String> = Vec::new();
    while let Some(first) = chunks.last() {
        if !out.is_empty() && first.chars().all(blank) {
            chunks.pop();
        }
        let (mut current, mut length) = (Vec::new(), 0);
        while let Some(chunk) = chunks.pop_if(|chunk| length + count(chunk) <= width) {
            length += count(&chunk);
            current.push(chunk);
        }
        if let Some(long) = chunks.pop_if(|chunk| count(chunk) > width) {
            // What is left of a long word is copied for every line of it.
            budget::spend(4 * long.len())?;
            let room = width - length;
            if break_words {
                let mut end = room;
                if hyphens && count(&long) > room {
                    let head: Vec<char> = long.chars().take(room).collect();
                    if let Some(hyphen) = head.iter().rposition(|c| *c == '-')
                        && hyphen > 0
                        && head[..hyphen].iter().any(|c| *c != '-')
                    {
                        end = hyphen + 1;
                    }
                }
                current.push(long.chars().take(end).collect());
                chunks.push(long.chars().skip(end).collect());
            } else if current.is_empty() {
                current.push(long);
            } else {
                chunks.push(long);
            }
        }
        current.pop_if(|chunk| chunk.chars().all(blank));
        if !current.is_empty() {
            out.push(current.concat());
        }
    }
    Ok(out)
}

/// A word's parts: a hyphen between letters ends one.
fn at_hyphens(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let letter = |place: usize| chars.get(place).is_some_and(|c| c.is_alphabetic() || *c == '_');
    let mut parts = vec![String::new()];
    for (place, c) in chars.iter().enumerate() {
        if let Some(part) = parts.last_mut() {
            part.push(*c);
        }
        let before = place >= 2 && letter(place - 1) && (letter(place - 2) || chars[place - 2] == '-');
        let behind = letter(place + 1)
            && (letter(place + 2) || (chars.get(place + 2) == Some(&'-') && letter(place + 3)));
        if *c == '-' && before && behind {
            parts.push(String::new());
        }
    }
    parts
}

fn stripped(text: &str) -> Result<String> {
    let mut kept = text.to_owned();
    for (open, close) in [("<!--", "-->"), ("<", ">")] {
        while let Some(start) = kept.find(open) {
            let Some(end) = kept[start..].find(close) else { break };
            budget::spend((kept.len() - start) / 16 + start / 16)?;
            kept.replace_range(start..start + end + close.len(), "");
        }
    }
    let words: Vec<&str> = kept.split(is_space).filter(|word| !word.is_empty()).collect();
    let mut plain = words.join(" ");
    for (entity, c) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'")] {
        plain = plain.replace(entity, c);
    }
    if plain.replace("&amp;", "").contains('&') {
        return fail("the filter 'striptags' is not supported for texts with this HTML entity");
    }
    Ok(plain.replace("&amp;", "&"))
}

fn xml_attributes(value: &Value, given: Given) -> Result<Value> {
    let [autospace] = given.bind("do_xmlattr", ["autospace"])?;
    value.check_defined()?;
    let Value::Dict(dict) = value else {
        return fail(format!("'{}' object has no attribute 'items'", value.kind()));
    };
    let mut parts = Vec::new();
    for (key, value) in dict.entries() {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let name = own_text(key, "expected string or bytes-like object")?;
        if name.contains(|c: char| " \t\n\r\x0b\x0c/>=".contains(c)) {
            return fail(format!("Invalid character in attribute name: '{name}'"));
        }
        parts.push(format!("{}=\"{}\"", escape(key)?, escape(value)?));
    }
    let joined = parts.join(" ");
    let spaced = !joined.is_empty() && autospace.is_none_or(|autospace| autospace.is_true());
    Ok(Value::text(if spaced { format!(" {joined}") } else { joined }))
}

fn url_encoded(value: &Value, given: Given) -> Result<Value> {
    given.none("do_urlencode")?;
    let quote = |value: &Value, query: bool| -> Result<String> {
        let mut out = String::new();
        for byte in display(value)?.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(byte.into()),
                b'/' if !query => out.push('/'),
                b' ' if query => out.push('+'),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        Ok(out)
    };
    let pairs = match value {
        Value::Dict(dict) => dict.entries().to_vec(),
        other if other.as_text().is_some() || !other.is_iterable() => {
            return quote(other, false).map(Value::text);
        }
        other => {
            let mut pairs = Vec::new();
            for item in other.to_vec()? {
                match item.as_slice() {
                    Some([key, value]) => pairs.push((key.clone(), value.clone())),
                    _ => return fail("not enough values to unpack (expected 2)"),
                }
            }
            pairs
        }
    };
    let pair = |(key, value): &(Value, Value)| Ok(format!("{}={}", quote(key, true)?, quote(value, true)?));
    Ok(Value::text(pairs.iter().map(pair).collect::<Result<Vec<_>>>()?.join("&")))
}
