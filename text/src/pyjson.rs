//! JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it.
//!
//! Tool descriptions and calls become part of prompts, so blanks and number forms have to be those the models saw.

use serde_json::Value;

/// On one line: `{"a": 1, "b": [true, null]}`.
pub fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, None, 0);
    out
}

/// With `indent` blanks a level, as `json.dumps(value, indent=indent)`.
pub fn dumps_indented(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    write_value(&mut out, value, Some(indent), 0);
    out
}

fn write_value(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Array(items) => {
            write_list(out, ('[', ']'), items.iter(), indent, depth, |out, item| {
                write_value(out, item, indent, depth + 1)
            });
        }
        Value::Object(map) => {
            write_list(out, ('{', '}'), map.iter(), indent, depth, |out, (key, item)| {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                write_value(out, item, indent, depth + 1);
            });
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&repr(float)),
            _ => out.push_str(&number.to_string()),
        },
        // Strings, true, false and null are written the same way in both.
        other => out.push_str(&other.to_string()),
    }
}

fn write_list<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl ExactSizeIterator<Item = T>,
    indent: Option<usize>,
    depth: usize,
    mut write: impl FnMut(&mut String, T),
) {
    let empty = items.len() == 0;
    out.push(open);
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        new_line(out, indent, depth + 1);
        write(out, item);
    }
    if !empty {
        new_line(out, indent, depth);
    }
    out.push(close);
}

fn new_line(out: &mut String, indent: Option<usize>, depth: usize) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
}

/// Python's shortest form: an exponent below 1e-4 and from 1e16 on, of two digits at least.
pub(super) fn repr(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{float:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_as_python_does() {
        let value = json!({"a": [1, 2.5, 1e-5, 1e16, -0.0, 100.0], "名": "\"\n\u{1}", "e": {}, "l": []});
        assert_eq!(
            dumps(&value),
            r#"{"a": [1, 2.5, 1e-05, 1e+16, -0.0, 100.0], "名": "\"\n\u0001", "e": {}, "l": []}"#
        );
        assert_eq!(
            dumps_indented(&json!({"a": [1], "e": []}), 4),
            "{\n    \"a\": [\n        1\n    ],\n    \"e\": []\n}"
        );
    }
}
