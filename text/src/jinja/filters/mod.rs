//! Jinja2's filters.

mod numbers;
mod sequences;
mod texts;

use super::arguments::{Given, required};
use super::attributes::{item, own_attribute};
use super::budget;
use super::display::{display, repr};
use super::error::{Result, fail};
use super::json;
use super::operators::order;
use super::value::{Missing, Value};

pub(super) use texts::escape;

/// All names, but `random`, whose results cannot be equal, and `urlize`.
const NAMES: [&str; 53] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
    "xmlattr",
    "random",
];

/// Whether there is a filter of that name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name) || name == "urlize"
}

/// `value | name(…)`.
///
/// # Errors
/// If there is no such filter, or in Python's words, if value or arguments do not fit.
pub(super) fn call(name: &str, value: Value, given: Given) -> Result<Value> {
    budget::spend(budget::EXPRESSION)?;
    budget::read(&value)?;
    budget::made(apply(name, value, given)?)
}

fn apply(name: &str, value: Value, given: Given) -> Result<Value> {
    match name {
        "default" | "d" => {
            let [default, boolean] = given.bind("do_default", ["default_value", "boolean"])?;
            let replaced = value.is_undefined() || (boolean.is_some_and(|b| b.is_true()) && !value.is_true());
            Ok(if replaced { default.unwrap_or_else(|| Value::text("")) } else { value })
        }
        "length" | "count" => {
            given.none("len")?;
            length(&value)
        }
        "tojson" => json::dumps(&value, given),
        "string" => {
            given.none("soft_str")?;
            Ok(match value {
                Value::Text(_) | Value::Markup(_) => value,
                other => Value::text(display(&other)?),
            })
        }
        "attr" => {
            let [attribute] = given.bind("do_attr", ["name"])?;
            let attribute = required(attribute, "do_attr", "name")?;
            let Some(attribute) = attribute.as_text() else {
                return fail("attr wants the name of an attribute");
            };
            let attribute: std::sync::Arc<str> = attribute.into();
            let missing =
                || Value::Undefined(Missing::Attribute(value.described(), attribute.clone()).into());
            value.check_defined()?;
            Ok(own_attribute(&value, &attribute).unwrap_or_else(missing))
        }
        "pprint" => pretty(&value, given),
        "random" => fail("the filter 'random' gives another item each time, which is not supported"),
        "urlize" => fail("the filter 'urlize' is not supported"),
        "abs" | "int" | "float" | "round" | "sum" | "filesizeformat" => numbers::call(name, value, given),
        "batch" | "dictsort" | "first" | "groupby" | "items" | "join" | "last" | "list" | "map" | "max"
        | "min" | "reject" | "rejectattr" | "reverse" | "select" | "selectattr" | "slice" | "sort"
        | "unique" => sequences::call(name, value, given),
        _ if exists(name) => texts::call(name, value, given),
        _ => fail(format!("No filter named '{name}' found.")),
    }
}

fn length(value: &Value) -> Result<Value> {
    match value.length() {
        Some(length) => Ok(Value::Integer(length as i128)),
        None => fail(format!("object of type '{}' has no len()", value.kind())),
    }
}

/// What fits into a line is written as `repr` does, with sorted keys.
fn pretty(value: &Value, given: Given) -> Result<Value> {
    given.none("do_pprint")?;
    let text = repr(&sorted_keys(value)?)?;
    if text.chars().count() > 80 {
        return fail("the filter 'pprint' is not supported for values that do not fit into a line");
    }
    Ok(Value::text(text))
}

fn sorted_keys(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::List(items) => Value::list(items.iter().map(sorted_keys).collect::<Result<_>>()?),
        Value::Tuple(items) => Value::tuple(items.iter().map(sorted_keys).collect::<Result<_>>()?),
        Value::Dict(dict) => {
            let mut entries = dict.entries().to_vec();
            sort_by(&mut entries, false, |(key, _)| Ok(key.clone()))?;
            let mut sorted = super::value::Dict::default();
            for (key, value) in entries {
                sorted.insert(key, sorted_keys(&value)?)?;
            }
            Value::Dict(sorted.into())
        }
        other => other.clone(),
    })
}

/// Sorts by what `key` gives, equal ones staying in their order, as Python does.
///
/// # Errors
/// If the keys cannot be compared.
fn sort_by<T: Clone>(items: &mut Vec<T>, reverse: bool, key: impl Fn(&T) -> Result<Value>) -> Result<()> {
    let mut keyed = items.iter().map(|item| Ok((key(item)?, item.clone()))).collect::<Result<Vec<_>>>()?;
    let mut failed = None;
    keyed.sort_by(|(a, _), (b, _)| {
        let order = match if reverse { order(b, a, "<") } else { order(a, b, "<") } {
            Ok(order) => order,
            Err(error) => {
                failed.get_or_insert(error);
                None
            }
        };
        order.unwrap_or(std::cmp::Ordering::Equal)
    });
    *items = keyed.into_iter().map(|(_, item)| item).collect();
    failed.map_or(Ok(()), Err)
}

/// The attribute of an attribute … that a dotted path names; numbers are places.
fn follow(value: &Value, path: &Value) -> Result<Value> {
    let Some(path) = path.as_text() else {
        return match path {
            Value::None => Ok(value.clone()),
            place => item(value, place),
        };
    };
    let mut value = value.clone();
    for part in path.split('.') {
        let place = part.parse().ok().filter(|_| part.bytes().all(|c| c.is_ascii_digit()));
        budget::read(&value)?;
        value = item(&value, &place.map_or_else(|| Value::text(part), Value::Integer))?;
    }
    Ok(value)
}

/// Texts in small letters.
fn ignore_case(value: Value) -> Value {
    match value.as_text() {
        Some(text) => Value::text(text.to_lowercase()),
        None => value,
    }
}
