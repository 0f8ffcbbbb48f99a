//! Splitting and searching.

use crate::jinja::arguments::{Given, integer, required};
use crate::jinja::error::{Result, fail};
use crate::jinja::value::{Value, is_space};

pub(super) fn split(text: &str, method: &str, given: Given) -> Result<Value> {
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
pub(in crate::jinja) fn lines(text: &str, keep: bool) -> impl Iterator<Item = &str> {
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

pub(super) fn affix(text: &str, method: &str, given: Given) -> Result<Value> {
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

pub(super) fn search(text: &str, method: &str, given: Given) -> Result<Value> {
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
