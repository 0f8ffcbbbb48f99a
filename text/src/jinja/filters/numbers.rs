//! Filters of numbers.

use super::follow;
use crate::jinja::arguments::{Given, integer};
use crate::jinja::ast::Binary;
use crate::jinja::error::{Result, fail};
use crate::jinja::numbers::{parse_float, parse_integer, round};
use crate::jinja::operators::binary;
use crate::jinja::value::Value;

pub(super) fn call(name: &str, value: Value, given: Given) -> Result<Value> {
    match name {
        "abs" => {
            given.none("abs")?;
            value.check_defined()?;
            match (&value, value.as_integer()) {
                (_, Some(integer)) => Ok(Value::Integer(integer.saturating_abs())),
                (Value::Float(float), _) => Ok(Value::Float(float.abs())),
                _ => fail(format!("bad operand type for abs(): '{}'", value.kind())),
            }
        }
        "int" => {
            let [default, base] = given.bind("do_int", ["default", "base"])?;
            value.check_defined()?;
            let base = integer(base)?.unwrap_or(10);
            let base = u32::try_from(base).unwrap_or(1);
            let whole = match &value {
                Value::Float(float) => truncated(*float),
                other => match other.as_text() {
                    Some(text) => parse_integer(text, base).or_else(|| parse_float(text).and_then(truncated)),
                    None => other.as_integer(),
                },
            };
            Ok(whole.map(Value::Integer).or(default).unwrap_or(Value::Integer(0)))
        }
        "float" => {
            let [default] = given.bind("do_float", ["default"])?;
            value.check_defined()?;
            let float = value.as_text().map_or_else(|| value.as_number(), parse_float);
            Ok(float.map(Value::Float).or(default).unwrap_or(Value::Float(0.0)))
        }
        "round" => rounded(&value, given),
        "filesizeformat" => size(&value, given),
        _ => {
            let [attribute, start] = given.bind("do_sum", ["attribute", "start"])?;
            let mut total = start.unwrap_or(Value::Integer(0));
            if total.as_text().is_some() {
                return fail("sum() can't sum strings [use ''.join(seq) instead]");
            }
            for item in value.to_vec()? {
                let item = match &attribute {
                    None | Some(Value::None) => item,
                    Some(path) => follow(&item, path)?,
                };
                total = binary(Binary::Add, &total, &item)?;
            }
            Ok(total)
        }
    }
}

fn truncated(float: f64) -> Option<i128> {
    (float.is_finite() && float.abs() < 1e38).then_some(float.trunc() as i128)
}

fn rounded(value: &Value, given: Given) -> Result<Value> {
    let [precision, method] = given.bind("do_round", ["precision", "method"])?;
    let precision = integer(precision)?.unwrap_or(0);
    let method = method.unwrap_or_else(|| Value::text("common"));
    value.check_defined()?;
    let Some(number) = value.as_number() else {
        return match value.as_text() {
            Some(_) if method.as_text() != Some("common") => fail("can't multiply sequence by non-int"),
            _ => fail(format!("type {} doesn't define __round__ method", value.kind())),
        };
    };
    let scale = 10f64.powi(precision.clamp(-400, 400) as i32);
    match (method.as_text(), value.as_integer()) {
        (Some("common"), Some(integer)) if precision >= 0 => Ok(Value::Integer(integer)),
        (Some("common"), Some(_)) => Ok(Value::Integer(round(number, precision) as i128)),
        (Some("common"), None) => Ok(Value::Float(round(number, precision))),
        // Python's `ceil` and `floor` of what is no float any more are whole, but the quotient is a float.
        (Some("ceil"), _) => Ok(Value::Float((number * scale).ceil() / scale)),
        (Some("floor"), _) => Ok(Value::Float((number * scale).floor() / scale)),
        _ => fail("method must be common, ceil or floor"),
    }
}

fn size(value: &Value, given: Given) -> Result<Value> {
    let [binary] = given.bind("do_filesizeformat", ["binary"])?;
    let binary = binary.is_some_and(|binary| binary.is_true());
    let Some(bytes) = value.as_text().map_or_else(|| value.as_number(), parse_float) else {
        return fail(format!("could not convert {} to float", value.kind()));
    };
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok(Value::text("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::text(format!("{} Bytes", bytes.trunc() as i128)));
    }
    let prefixes = if binary { "KMGTPEZY" } else { "kMGTPEZY" };
    let mut unit = base;
    let mut prefix = 'k';
    for next in prefixes.chars() {
        (unit, prefix) = (unit * base, next);
        if bytes < unit {
            break;
        }
    }
    let suffix = if binary { "iB" } else { "B" };
    Ok(Value::text(format!("{:.1} {prefix}{suffix}", base * bytes / unit)))
}
