//! Python's operators.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::{Binary, Comparison};
use super::budget;
use super::display::display;
use super::error::{Result, fail};
use super::filters::escape;
use super::printf;
use super::value::{Value, ViewKind};

/// Bytes of the longest text, and items of the longest list, that repetition makes.
const LONGEST: i128 = 100_000_000;

/// `==`.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    // Lists that hold the same list twice, again and again, are compared without end.
    if !budget::step(budget::COMPARISON) {
        return false;
    }
    match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::List(a), Value::List(b)) => all_equal(a, b),
        (Value::Tuple(a) | Value::Group(a), Value::Tuple(b) | Value::Group(b)) => all_equal(a, b),
        (Value::Dict(a), Value::Dict(b)) => {
            let same = |(key, value): &(Value, Value)| b.get(key).is_some_and(|other| equal(value, other));
            a.entries().len() == b.entries().len() && a.entries().iter().all(same)
        }
        (Value::Range(a), Value::Range(b)) => a == b,
        (Value::View(a), Value::View(b)) => Rc::ptr_eq(a, b),
        (Value::Iterator(a), Value::Iterator(b)) => Rc::ptr_eq(a, b),
        (Value::Namespace(a), Value::Namespace(b)) => Rc::ptr_eq(a, b),
        (Value::Loop(a), Value::Loop(b)) => Rc::ptr_eq(a, b),
        (Value::Callable(a), Value::Callable(b)) => Rc::ptr_eq(a, b),
        _ => match (a.as_text(), b.as_text(), a.as_integer(), b.as_integer()) {
            (Some(a), Some(b), ..) => a.len() == b.len() && budget::step(a.len() / 16) && a == b,
            (.., Some(a), Some(b)) => a == b,
            _ => a.as_number().zip(b.as_number()).is_some_and(|(a, b)| a == b),
        },
    }
}

fn all_equal(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

/// The order of two values, for the comparison that is written `sign`.
///
/// # Errors
/// If they have none.
pub(super) fn order(a: &Value, b: &Value, sign: &str) -> Result<Option<Ordering>> {
    budget::spend(budget::COMPARISON)?;
    a.check_defined()?;
    b.check_defined()?;
    if let (Some(a), Some(b)) = (a.as_integer(), b.as_integer()) {
        return Ok(Some(a.cmp(&b)));
    }
    if let (Some(a), Some(b)) = (a.as_number(), b.as_number()) {
        return Ok(a.partial_cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.as_text(), b.as_text()) {
        budget::spend(a.len().min(b.len()) / 16)?;
        return Ok(Some(a.cmp(b)));
    }
    match (a, b) {
        (Value::List(x), Value::List(y))
        | (Value::Tuple(x) | Value::Group(x), Value::Tuple(y) | Value::Group(y)) => {
            match x.iter().zip(y.iter()).find(|(a, b)| !equal(a, b)) {
                Some((a, b)) => order(a, b, sign),
                None => Ok(Some(x.len().cmp(&y.len()))),
            }
        }
        _ => fail(format!("'{sign}' not supported between instances of '{}' and '{}'", a.kind(), b.kind())),
    }
}

/// # Errors
/// If the values cannot be compared so.
pub(super) fn compare(comparison: Comparison, a: &Value, b: &Value) -> Result<bool> {
    Ok(match comparison {
        Comparison::Equal => equal(a, b),
        Comparison::NotEqual => !equal(a, b),
        Comparison::Less => order(a, b, "<")? == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order(a, b, "<=")?, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order(a, b, ">")? == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order(a, b, ">=")?, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::In => contains(b, a)?,
        Comparison::NotIn => !contains(b, a)?,
    })
}

/// `item in container`.
///
/// # Errors
/// If nothing can be in `container`, or `item` not in such a one.
pub(super) fn contains(container: &Value, item: &Value) -> Result<bool> {
    budget::read(container)?;
    match container {
        Value::Text(text) | Value::Markup(text) => match item.as_text() {
            Some(part) => Ok(text.contains(part)),
            None => fail(format!("'in <string>' requires string as left operand, not {}", item.kind())),
        },
        Value::Dict(dict) => {
            item.check_hashable()?;
            Ok(dict.get(item).is_some())
        }
        Value::View(view) if view.kind == ViewKind::Keys => {
            item.check_hashable()?;
            Ok(view.items.iter().any(|known| equal(known, item)))
        }
        other if other.is_iterable() && !matches!(other, Value::Loop(_)) => {
            Ok(other.to_vec()?.iter().any(|known| equal(known, item)))
        }
        other => fail(format!("argument of type '{}' is not iterable", other.kind())),
    }
}

/// # Errors
/// If the operator is not defined on the values, or the result is not a number that is kept here.
pub(super) fn binary(operator: Binary, a: &Value, b: &Value) -> Result<Value> {
    if let (Binary::Modulo, Some(format)) = (operator, a.as_text()) {
        return match a {
            Value::Markup(_) => fail("formatting text that is marked safe is not supported"),
            _ => Ok(Value::text(printf::format(format, b)?)),
        };
    }
    a.check_defined()?;
    b.check_defined()?;
    if let (Some(x), Some(y)) = (a.as_integer(), b.as_integer()) {
        return integers(operator, x, y);
    }
    if let (Some(x), Some(y)) = (a.as_number(), b.as_number()) {
        return floats(operator, x, y);
    }
    match operator {
        Binary::Add => return add(a, b),
        Binary::Multiply => {
            let repeated = match (a.as_integer(), b.as_integer()) {
                (_, Some(count)) => repeat(a, count)?,
                (Some(count), _) => repeat(b, count)?,
                _ => None,
            };
            if let Some(repeated) = repeated {
                return Ok(repeated);
            }
            for (sequence, other) in [(a, b), (b, a)] {
                if sequence.as_text().is_some() || matches!(sequence, Value::List(_) | Value::Tuple(_)) {
                    return fail(format!("can't multiply sequence by non-int of type '{}'", other.kind()));
                }
            }
        }
        _ => {}
    }
    fail(format!("unsupported operand type(s) for {}: '{}' and '{}'", operator.sign(), a.kind(), b.kind()))
}

fn add(a: &Value, b: &Value) -> Result<Value> {
    budget::produce(budget::size(a) + budget::size(b))?;
    match (a, b) {
        (Value::Text(x), Value::Text(y)) => Ok(Value::Text([&**x, &**y].concat().into())),
        (Value::Markup(x), y) if y.as_text().is_some() => {
            Ok(Value::Markup(format!("{x}{}", escape(y)?).into()))
        }
        (x, Value::Markup(y)) if x.as_text().is_some() => {
            Ok(Value::Markup(format!("{}{y}", escape(x)?).into()))
        }
        (Value::List(x), Value::List(y)) => Ok(Value::list([&x[..], &y[..]].concat())),
        (Value::Tuple(x) | Value::Group(x), Value::Tuple(y) | Value::Group(y)) => {
            Ok(Value::tuple([&x[..], &y[..]].concat()))
        }
        (Value::Text(_) | Value::List(_) | Value::Tuple(_), _) => {
            let kind = a.kind();
            fail(format!("can only concatenate {kind} (not \"{}\") to {kind}", b.kind()))
        }
        _ => fail(format!("unsupported operand type(s) for +: '{}' and '{}'", a.kind(), b.kind())),
    }
}

fn repeat(value: &Value, count: i128) -> Result<Option<Value>> {
    let length = match value {
        Value::Text(text) | Value::Markup(text) => text.len(),
        Value::List(items) | Value::Tuple(items) => items.len(),
        _ => return Ok(None),
    };
    if i64::try_from(count).is_err() {
        return fail("cannot fit 'int' into an index-sized integer");
    }
    // Nothing stays nothing, however often.
    let count = if length == 0 { 0 } else { count.max(0) };
    if (length as i128).checked_mul(count).is_none_or(|total| total > LONGEST) {
        return fail("what is repeated would be too long");
    }
    let count = count as usize;
    budget::produce(budget::size(value).saturating_mul(count))?;
    Ok(Some(match value {
        Value::Text(text) => Value::text(text.repeat(count)),
        Value::Markup(text) => Value::Markup(text.repeat(count).into()),
        Value::List(items) => Value::list(repeated(items, count)),
        other => Value::tuple(repeated(other.as_slice().unwrap_or_default(), count)),
    }))
}

fn repeated(items: &[Value], count: usize) -> Vec<Value> {
    std::iter::repeat_n(items, count).flatten().cloned().collect()
}

fn integers(operator: Binary, a: i128, b: i128) -> Result<Value> {
    let result = match operator {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide if b == 0 => return fail("division by zero"),
        Binary::Divide => return Ok(Value::Float(a as f64 / b as f64)),
        Binary::FloorDivide | Binary::Modulo if b == 0 => {
            return fail("integer division or modulo by zero");
        }
        Binary::FloorDivide => a.checked_div_euclid(b).map(|quotient| {
            // Python rounds down, whatever the signs.
            if b < 0 && a.rem_euclid(b) != 0 { quotient - 1 } else { quotient }
        }),
        Binary::Modulo => {
            a.checked_rem_euclid(b).map(|rest| if b < 0 && rest != 0 { rest + b } else { rest })
        }
        Binary::Power if b < 0 => return floats(operator, a as f64, b as f64),
        Binary::Power => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    };
    match result {
        Some(result) => Ok(Value::Integer(result)),
        None => fail(format!("{a} {} {b} is an integer of more than 128 bits", operator.sign())),
    }
}

fn floats(operator: Binary, a: f64, b: f64) -> Result<Value> {
    Ok(Value::Float(match operator {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide if b == 0.0 => return fail("float division by zero"),
        Binary::Divide => a / b,
        Binary::FloorDivide if b == 0.0 => return fail("float floor division by zero"),
        Binary::Modulo if b == 0.0 => return fail("float modulo"),
        Binary::FloorDivide => {
            let rest = modulo(a, b);
            let quotient = ((a - rest) / b).round();
            if quotient == 0.0 { 0.0_f64.copysign(a / b) } else { quotient }
        }
        Binary::Modulo => modulo(a, b),
        Binary::Power if a == 0.0 && b < 0.0 => {
            return fail("0.0 cannot be raised to a negative power");
        }
        Binary::Power if a < 0.0 && b.fract() != 0.0 => return fail("complex numbers are not supported"),
        Binary::Power => match a.powf(b) {
            power if power.is_infinite() && a.is_finite() && b.is_finite() => {
                return fail("(34, 'Numerical result out of range')");
            }
            power => power,
        },
    }))
}

/// The rest, with the sign of `b`.
fn modulo(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0.0_f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// `-value` or `+value`.
///
/// # Errors
/// If the value is not a number.
pub(super) fn signed(value: &Value, negative: bool) -> Result<Value> {
    value.check_defined()?;
    match (value, value.as_integer()) {
        (_, Some(integer)) => Ok(Value::Integer(if negative { integer.saturating_neg() } else { integer })),
        (Value::Float(float), _) => Ok(Value::Float(if negative { -float } else { *float })),
        _ => {
            let sign = if negative { '-' } else { '+' };
            fail(format!("bad operand type for unary {sign}: '{}'", value.kind()))
        }
    }
}

/// `~`.
///
/// # Errors
/// If a value cannot be written.
pub(super) fn concat(values: &[Value]) -> Result<Value> {
    let mut text = String::new();
    for value in values {
        let more = display(value)?;
        budget::produce(2 * more.len())?;
        text.push_str(&more);
    }
    Ok(Value::Text(text.into()))
}
