//! Jinja2's tests: what `value is name` asks.

use super::arguments::{Given, required};
use super::ast::{Binary, Comparison};
use super::display::display;
use super::error::{Result, fail};
use super::filters;
use super::operators::{binary, compare, equal};
use super::strings::{is_lower, is_upper};
use super::value::{Callable, Value};

const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

/// Whether there is a test of that name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `value is name(…)`.
///
/// # Errors
/// If there is no such test, or in Python's words, if value or arguments do not fit.
pub(super) fn call(name: &str, value: &Value, given: Given) -> Result<bool> {
    let comparison = match name {
        "==" | "eq" | "equalto" => Some(Comparison::Equal),
        "!=" | "ne" => Some(Comparison::NotEqual),
        ">" | "gt" | "greaterthan" => Some(Comparison::Greater),
        ">=" | "ge" => Some(Comparison::GreaterOrEqual),
        "<" | "lt" | "lessthan" => Some(Comparison::Less),
        "<=" | "le" => Some(Comparison::LessOrEqual),
        "in" => Some(Comparison::In),
        _ => None,
    };
    let one = |given: Given| required(given.bind(name, ["other"])?[0].take(), name, "other");
    if let Some(comparison) = comparison {
        return compare(comparison, value, &one(given)?);
    }
    match name {
        "divisibleby" => {
            let [divisor] = given.bind("test_divisibleby", ["num"])?;
            let rest = binary(Binary::Modulo, value, &required(divisor, "test_divisibleby", "num")?)?;
            return Ok(equal(&rest, &Value::Integer(0)));
        }
        "sameas" => return Ok(same(value, &one(given)?)),
        _ => {}
    }
    if !exists(name) {
        return fail(format!("No test named '{name}' found."));
    }
    given.none(&format!("test_{name}"))?;
    Ok(match name {
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Integer(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => matches!(value, Value::Bool(_) | Value::Integer(_) | Value::Float(_)),
        "string" => value.as_text().is_some(),
        "mapping" => matches!(value, Value::Dict(_)),
        "iterable" => value.is_iterable(),
        // What has a length and can be asked for items.
        "sequence" => value.length().is_some() && !matches!(value, Value::View(_)),
        "callable" => match value {
            Value::Callable(callable) => !matches!(**callable, Callable::Cycler { .. }),
            // Each has a `__call__`.
            Value::Loop(_) | Value::Undefined(_) => true,
            _ => false,
        },
        "escaped" => matches!(value, Value::Markup(_)),
        "lower" => is_lower(&display(value)?),
        "upper" => is_upper(&display(value)?),
        "filter" => value.as_text().is_some_and(filters::exists),
        "test" => value.as_text().is_some_and(exists),
        odd_or_even => {
            let rest = binary(Binary::Modulo, value, &Value::Integer(2))?;
            equal(&rest, &Value::Integer(i128::from(odd_or_even == "odd")))
        }
    })
}

/// Python's `is`, as far as values here are objects of their own.
fn same(a: &Value, b: &Value) -> bool {
    use std::rc::Rc;
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        // Python shares the small ones.
        (Value::Integer(a), Value::Integer(b)) => a == b && (-5..=256).contains(a),
        (Value::Text(a), Value::Text(b)) => a == b && a.len() <= 1 || std::sync::Arc::ptr_eq(a, b),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Namespace(_), Value::Namespace(_)) => equal(a, b),
        _ => false,
    }
}
