//! JSON values as Python's `str()` writes them: where LLaMA-Factory puts a value into a text as it is.

use serde_json::Value;

use super::jinja::is_printable;
use super::pyjson;

/// `str(value)`: a text as it is, anything else as `repr` writes it.
pub(crate) fn display(value: &Value) -> String {
    value.as_str().map_or_else(|| repr(value), str::to_owned)
}

/// Whether Python's `if` takes the value for true.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(_) => pyjson::dumps(value),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), repr(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// In single quotes, unless the text has such and no double ones.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if !c.is_ascii_graphic() && !is_printable(c.encode_utf8(&mut [0; 4])) => {
                out.push_str(&match c as u32 {
                    code @ ..0x100 => format!("\\x{code:02x}"),
                    code @ ..0x1_0000 => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                })
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_as_python_does() {
        for (value, expected) in [
            (json!("it's"), "it's"),
            (json!(["string", "null"]), "['string', 'null']"),
            (json!({"it's": "\"q\"", "b": [true, null, 1.5]}), r#"{"it's": '"q"', 'b': [True, None, 1.5]}"#),
            (json!(["é\n\\\u{1}\u{2028}", "'\""]), r#"['é\n\\\x01\u2028', '\'"']"#),
        ] {
            assert_eq!(display(&value), expected);
        }
    }
}
