//! `value.name`, `value[item]`, slices, and the methods of lists and dictionaries.
//!
//! As in Jinja2's sandbox, a dot asks for Python's attribute first and for an item then, brackets the other way round;
//! what would change a value is not to be had.

use std::rc::Rc;
use std::sync::Arc;

use super::arguments::{Given, integer, required};
use super::display::repr;
use super::error::{Result, fail};
use super::operators::equal;
use super::strings;
use super::value::{Callable, Missing, Value, ViewKind};

const CHANGING_LIST: [&str; 8] = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
const CHANGING_DICT: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// `value.name`.
///
/// # Errors
/// If the value is undefined.
pub(super) fn attribute(value: &Value, name: &Arc<str>) -> Result<Value> {
    value.check_defined()?;
    Ok(own_attribute(value, name)
        .or_else(|| match value {
            Value::Dict(dict) => dict.get_text(name).cloned(),
            _ => None,
        })
        .unwrap_or_else(|| Value::Undefined(Rc::new(Missing::Attribute(value.described(), name.clone())))))
}

/// What Python's `getattr` finds, but for loops, which [`super::interpreter`] knows about.
pub(super) fn own_attribute(value: &Value, name: &Arc<str>) -> Option<Value> {
    let method = || Some(Value::callable(Callable::Method(value.clone(), name.clone())));
    let unsafe_one = || {
        Some(Value::undefined(format!(
            "access to attribute '{name}' of '{}' object is unsafe.",
            value.kind()
        )))
    };
    if name.starts_with("__") && name.ends_with("__") && !matches!(value, Value::Dict(_)) {
        return unsafe_one();
    }
    match (value, &**name) {
        (
            _,
            "__class__" | "__init__" | "__doc__" | "__dict__" | "__getitem__" | "__len__" | "__contains__",
        ) => unsafe_one(),
        (Value::Text(_) | Value::Markup(_), name) if strings::METHODS.contains(&name) => method(),
        (Value::Text(_) | Value::Markup(_), "encode" | "translate" | "maketrans") => method(),
        (Value::List(_), name) if CHANGING_LIST.contains(&name) => unsafe_one(),
        (Value::Dict(_), name) if CHANGING_DICT.contains(&name) => unsafe_one(),
        (Value::List(_) | Value::Tuple(_) | Value::Group(_) | Value::Range(_), "index" | "count") => method(),
        (Value::List(_), "copy") => method(),
        (Value::Group(items), "grouper") => items.first().cloned(),
        (Value::Group(items), "list") => items.get(1).cloned(),
        (Value::Dict(_), "keys" | "values" | "items" | "get" | "copy" | "fromkeys") => method(),
        (Value::Range(range), "start") => Some(Value::Integer(range.start)),
        (Value::Range(range), "stop") => Some(Value::Integer(range.stop)),
        (Value::Range(range), "step") => Some(Value::Integer(range.step)),
        (Value::Namespace(values), name) => values.borrow().get_text(name).cloned(),
        (Value::Bool(_) | Value::Integer(_) | Value::Float(_), _) => number_attribute(value, name),
        (Value::Callable(callable), name) => match (&**callable, name) {
            (Callable::Macro { definition, .. }, "name") => {
                Some(definition.name.as_ref().map_or(Value::None, Value::text))
            }
            (Callable::Macro { definition, .. }, "arguments") => {
                Some(Value::tuple(definition.parameters.iter().map(Value::text).collect()))
            }
            (Callable::Macro { definition, .. }, "catch_kwargs") => Some(Value::Bool(definition.uses_kwargs)),
            (Callable::Macro { definition, .. }, "catch_varargs") => {
                Some(Value::Bool(definition.uses_varargs))
            }
            (Callable::Macro { definition, .. }, "caller") => Some(Value::Bool(definition.uses_caller)),
            (Callable::Cycler { items, place }, "current") => items.get(*place.borrow()).cloned(),
            (Callable::Cycler { .. }, "next" | "reset") => method(),
            _ => None,
        },
        _ => None,
    }
}

fn number_attribute(value: &Value, name: &Arc<str>) -> Option<Value> {
    match (&**name, value) {
        ("real", Value::Float(_)) => Some(value.clone()),
        ("imag", Value::Float(_)) => Some(Value::Float(0.0)),
        ("real" | "numerator", _) => value.as_integer().map(Value::Integer),
        ("imag", _) => Some(Value::Integer(0)),
        ("denominator", Value::Integer(_) | Value::Bool(_)) => Some(Value::Integer(1)),
        ("is_integer", Value::Float(_))
        | ("bit_length" | "bit_count", Value::Integer(_) | Value::Bool(_)) => {
            Some(Value::callable(Callable::Method(value.clone(), name.clone())))
        }
        _ => None,
    }
}

/// `value[key]`.
///
/// # Errors
/// If the value is undefined.
pub(super) fn item(value: &Value, key: &Value) -> Result<Value> {
    value.check_defined()?;
    let found = match (value, key.as_integer()) {
        (Value::Dict(dict), _) => dict.get(key).cloned(),
        (Value::Text(text) | Value::Markup(text), Some(place)) => {
            index(place, value.length().unwrap_or_default())
                .and_then(|place| text.chars().nth(place))
                .map(|c| Value::text(c.to_string()))
        }
        (Value::Range(range), Some(place)) => {
            index(place, range.len() as usize).map(|place| range.get(place as i128))
        }
        (other, Some(place)) => other
            .as_slice()
            .and_then(|items| index(place, items.len()).and_then(|place| items.get(place).cloned())),
        _ => None,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let Some(name) = key.as_text() {
        let name: Arc<str> = name.into();
        return Ok(own_attribute(value, &name)
            .unwrap_or_else(|| Value::Undefined(Rc::new(Missing::Attribute(value.described(), name)))));
    }
    let written = repr(key).unwrap_or_else(|_| key.kind().to_owned());
    Ok(Value::Undefined(Rc::new(Missing::Element(value.described(), written))))
}

/// The place that Python means by `place`, which counts from the end if it is negative.
fn index(place: i128, length: usize) -> Option<usize> {
    let place = if place < 0 { place + length as i128 } else { place };
    usize::try_from(place).ok().filter(|place| *place < length)
}

/// `value[start:stop:step]`.
///
/// # Errors
/// If the value has no parts.
pub(super) fn slice(value: &Value, parts: [Option<Value>; 3]) -> Result<Value> {
    value.check_defined()?;
    let Some(length) = value.length().filter(|_| !matches!(value, Value::Dict(_) | Value::View(_))) else {
        return match value {
            Value::Dict(_) => fail("unhashable type: 'slice'"),
            other => fail(format!("'{}' object is not subscriptable", other.kind())),
        };
    };
    let mut bounds = [None; 3];
    for (bound, part) in bounds.iter_mut().zip(parts) {
        *bound = match part {
            None | Some(Value::None) => None,
            Some(part) => match part.as_integer() {
                Some(integer) => Some(integer),
                None => {
                    return fail("slice indices must be integers or None or have an __index__ method");
                }
            },
        };
    }
    let [start, stop, step] = bounds;
    // No step leads further than out of the list.
    let step = step.unwrap_or(1).clamp(-i128::from(i64::MAX), i128::from(i64::MAX));
    if step == 0 {
        return fail("slice step cannot be zero");
    }
    let length = length as i128;
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |bound: i128| (if bound < 0 { bound + length } else { bound }).clamp(low, high);
    let start = start.map_or(if step > 0 { low } else { high }, place);
    let stop = stop.map_or(if step > 0 { high } else { low }, place);
    let range = super::value::Range { start, stop, step };
    let places = (0..range.len()).map(|number| (start + number * step) as usize);
    let chosen = |items: &[Value]| places.clone().filter_map(|place| items.get(place).cloned()).collect();
    Ok(match value {
        Value::Text(text) | Value::Markup(text) => {
            let chars: Vec<char> = text.chars().collect();
            let part: String = places.filter_map(|place| chars.get(place)).collect();
            if matches!(value, Value::Markup(_)) { Value::Markup(part.into()) } else { Value::text(part) }
        }
        Value::List(items) => Value::list(chosen(items)),
        Value::Tuple(items) | Value::Group(items) => Value::tuple(chosen(items)),
        Value::Range(whole) => Value::Range(super::value::Range {
            start: whole.start.saturating_add(start.saturating_mul(whole.step)),
            stop: whole.start.saturating_add(stop.saturating_mul(whole.step)),
            step: whole.step.saturating_mul(step),
        }),
        other => return fail(format!("'{}' object is not subscriptable", other.kind())),
    })
}

/// `value.method(…)` of a value that is not a text.
///
/// # Errors
/// In Python's words, if the arguments do not fit.
pub(super) fn call_method(value: &Value, method: &str, given: Given) -> Result<Value> {
    match (value, method) {
        (Value::Text(text), _) => strings::call(text, method, given),
        (Value::Markup(text), _) => Ok(match strings::call(text, method, given)? {
            Value::Text(text) => Value::Markup(text),
            other => other,
        }),
        (Value::Dict(dict), "keys" | "values" | "items") => {
            given.none(&format!("dict.{method}"))?;
            Ok(dict.view(match method {
                "keys" => ViewKind::Keys,
                "values" => ViewKind::Values,
                _ => ViewKind::Items,
            }))
        }
        (Value::Dict(dict), "get") => {
            if !given.named.is_empty() {
                return fail("dict.get() takes no keyword arguments");
            }
            if given.positional.is_empty() {
                return fail("get expected at least 1 argument, got 0");
            }
            let [key, default] = given.bind("get", ["key", "default"])?;
            let key = required(key, "get", "key")?;
            key.check_hashable()?;
            Ok(dict.get(&key).cloned().or(default).unwrap_or(Value::None))
        }
        (Value::Dict(_) | Value::List(_), "copy") => {
            given.none("copy")?;
            Ok(value.clone())
        }
        (Value::Callable(callable), _) => match (&**callable, method) {
            (Callable::Cycler { items, place }, "next") => {
                given.none("next")?;
                let mut place = place.borrow_mut();
                let current = items.get(*place).cloned().unwrap_or(Value::None);
                *place = (*place + 1) % items.len().max(1);
                Ok(current)
            }
            (Callable::Cycler { place, .. }, _) => {
                given.none("reset")?;
                *place.borrow_mut() = 0;
                Ok(Value::None)
            }
            _ => fail(format!("'{}' object has no attribute '{method}'", value.kind())),
        },
        (Value::Float(float), "is_integer") => Ok(Value::Bool(float.is_finite() && float.fract() == 0.0)),
        (_, "bit_length" | "bit_count") => {
            let magnitude = value.as_integer().unwrap_or_default().unsigned_abs();
            let bits =
                if method == "bit_count" { magnitude.count_ones() } else { 128 - magnitude.leading_zeros() };
            Ok(Value::Integer(bits.into()))
        }
        (_, "index" | "count") => {
            let [wanted, start, stop] = given.bind(method, ["value", "start", "stop"])?;
            let wanted = required(wanted, method, "value")?;
            let items = value.to_vec()?;
            if method == "count" {
                return Ok(Value::Integer(items.iter().filter(|item| equal(item, &wanted)).count() as i128));
            }
            let length = items.len() as i128;
            let place =
                |bound: i128| (if bound < 0 { bound + length } else { bound }).clamp(0, length) as usize;
            let start = place(integer(start)?.unwrap_or(0));
            let stop = place(integer(stop)?.unwrap_or(length)).max(start);
            match items[start..stop].iter().position(|item| equal(item, &wanted)) {
                Some(place) => Ok(Value::Integer((start + place) as i128)),
                None => fail(format!("{} is not in {}", repr(&wanted)?, value.kind())),
            }
        }
        _ => fail(format!("the method '{method}' of '{}' is not supported", value.kind())),
    }
}
