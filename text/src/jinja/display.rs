//! Values as Python's `str` and `repr` write them.

use std::borrow::Cow;

use super::budget;
use super::error::{Result, fail};
use super::value::{Callable, Value};
use crate::{pyjson, pyrepr};

/// Levels of values inside of each other.
const DEEPEST: usize = 250;

/// `str(value)`.
///
/// # Errors
/// If the text would name an address in memory.
pub(super) fn display(value: &Value) -> Result<Cow<'_, str>> {
    Ok(match value {
        Value::Text(text) | Value::Markup(text) => Cow::Borrowed(text),
        Value::Undefined(_) => Cow::Borrowed(""),
        other => Cow::Owned(repr(other)?),
    })
}

/// `repr(value)`.
///
/// # Errors
/// As [`display`].
pub(super) fn repr(value: &Value) -> Result<String> {
    nested(value, 0)
}

fn nested(value: &Value, depth: usize) -> Result<String> {
    // A namespace may hold itself.
    if depth > DEEPEST {
        return fail("maximum recursion depth exceeded while getting the repr of an object");
    }
    budget::spend(budget::EXPRESSION)?;
    let joined = |items: &[Value]| -> Result<String> {
        let items = items.iter().map(|item| nested(item, depth + 1));
        Ok(items.collect::<Result<Vec<_>>>()?.join(", "))
    };
    let entries = |entries: &[(Value, Value)]| -> Result<String> {
        let entry = |(key, value): &(Value, Value)| {
            Ok(format!("{}: {}", nested(key, depth + 1)?, nested(value, depth + 1)?))
        };
        Ok(entries.iter().map(entry).collect::<Result<Vec<_>>>()?.join(", "))
    };
    let text = match value {
        Value::Undefined(_) => "Undefined".into(),
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Integer(integer) => integer.to_string(),
        Value::Float(float) => float_text(*float),
        Value::Text(text) => pyrepr::quoted(text),
        Value::Markup(text) => format!("Markup({})", pyrepr::quoted(text)),
        Value::List(items) => format!("[{}]", joined(items)?),
        Value::Tuple(items) | Value::Group(items) if items.len() == 1 => format!("({},)", joined(items)?),
        Value::Tuple(items) | Value::Group(items) => format!("({})", joined(items)?),
        Value::Dict(dict) => format!("{{{}}}", entries(dict.entries())?),
        Value::View(view) => format!("{}([{}])", value.kind(), joined(&view.items)?),
        Value::Range(range) if range.step == 1 => format!("range({}, {})", range.start, range.stop),
        Value::Range(range) => format!("range({}, {}, {})", range.start, range.stop, range.step),
        Value::Namespace(dict) => format!("<Namespace {{{}}}>", entries(dict.borrow().entries())?),
        Value::Callable(callable) => match &**callable {
            Callable::Macro { definition, .. } => match &definition.name {
                Some(name) => format!("<Macro {}>", pyrepr::quoted(name)),
                None => "<Macro anonymous>".into(),
            },
            Callable::Function("dict") => "<class 'dict'>".into(),
            Callable::Function("namespace") => "<class 'jinja2.utils.Namespace'>".into(),
            Callable::Function("cycler") => "<class 'jinja2.utils.Cycler'>".into(),
            Callable::Function("joiner") => "<class 'jinja2.utils.Joiner'>".into(),
            _ => return address(value),
        },
        Value::Iterator(_) | Value::Loop(_) => return address(value),
    };
    budget::produce(text.len())?;
    Ok(text)
}

fn address<T>(value: &Value) -> Result<T> {
    fail(format!("a {} is written with its address in memory, which is not supported", value.kind()))
}

/// `repr` of a float.
pub(super) fn float_text(float: f64) -> String {
    if float.is_nan() {
        "nan".into()
    } else if float.is_infinite() {
        if float > 0.0 { "inf".into() } else { "-inf".into() }
    } else {
        pyjson::repr(float)
    }
}
