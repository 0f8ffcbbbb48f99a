//! Filters of lists, dictionaries and iterators.

use super::{follow, ignore_case, sort_by};
use crate::jinja::arguments::{Given, integer, required};
use crate::jinja::display::display;
use crate::jinja::error::{JinjaError, Result, fail};
use crate::jinja::operators::{equal, order};
use crate::jinja::value::{Items, Sequence, Value, ViewKind};
use crate::jinja::{budget, checks};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

pub(super) fn call(name: &str, value: Value, given: Given) -> Result<Value> {
    match name {
        "list" => {
            given.none("do_list")?;
            Ok(Value::list(value.to_vec()?))
        }
        "first" => {
            given.none("do_first")?;
            let first = value.items()?.borrow_mut().take()?;
            Ok(first.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
        }
        "last" => {
            given.none("do_last")?;
            match &value {
                Value::Iterator(_) => fail("'generator' object is not reversible"),
                // Nothing can be had from the end of what is undefined.
                Value::Undefined(_) => fail("'Undefined' object is not reversible"),
                value => {
                    let last = value.to_vec()?.pop();
                    Ok(last.unwrap_or_else(|| Value::undefined("No last item, sequence was empty.")))
                }
            }
        }
        "reverse" => {
            given.none("do_reverse")?;
            if let Some(text) = value.as_text() {
                return Ok(Value::text(text.chars().rev().collect::<String>()));
            }
            let Ok(mut items) = value.to_vec() else { return fail("argument must be iterable") };
            items.reverse();
            Ok(match value {
                Value::Iterator(_) => Value::list(items),
                _ => Value::iterator(items),
            })
        }
        "items" => {
            given.none("do_items")?;
            match &value {
                Value::Undefined(_) => Ok(Value::iterator([])),
                Value::Dict(dict) => Ok(Value::iterator(dict.view(ViewKind::Items).to_vec()?)),
                _ => failing("Can only get item pairs from a mapping."),
            }
        }
        "join" => join(&value, given),
        "min" | "max" => extreme(name, &value, given),
        "sort" => sort(&value, given),
        "dictsort" => dictsort(&value, given),
        "unique" => unique(&value, given),
        "groupby" => groupby(&value, given),
        "batch" => batch(&value, given),
        "slice" => slice(&value, given),
        "map" => map(&value, given),
        _ => select(name, &value, given),
    }
}

/// A generator that fails when it is gone through.
fn failing(message: &str) -> Result<Value> {
    let error = Some(JinjaError::new(message));
    Ok(Value::Iterator(Rc::new(RefCell::new(Items { error, ..Items::default() }))))
}

/// A generator of what `one` makes of each item, up to its first error.
fn lazily(value: &Value, one: impl Fn(Value) -> Result<Option<Value>>) -> Result<Value> {
    let mut made = Items::default();
    let items = value.items();
    let next = || -> Result<Option<Option<Value>>> {
        match items.as_ref().map_err(Clone::clone)?.borrow_mut().take()? {
            Some(item) => one(item).map(Some),
            None => Ok(None),
        }
    };
    loop {
        match next() {
            Ok(None) => break,
            Ok(Some(result)) => made.values.extend(result),
            Err(error) => {
                made.error = Some(error);
                break;
            }
        }
    }
    Ok(Value::Iterator(Rc::new(RefCell::new(made))))
}

fn is_true(value: Option<Value>) -> bool {
    value.is_some_and(|value| value.is_true())
}

fn join(value: &Value, given: Given) -> Result<Value> {
    let [separator, attribute] = given.bind("do_join", ["d", "attribute"])?;
    let separator = separator.unwrap_or_else(|| Value::text(""));
    let separator = display(&separator)?;
    let mut parts = Vec::new();
    for item in value.to_vec()? {
        let item = match &attribute {
            None | Some(Value::None) => item,
            Some(path) => follow(&item, path)?,
        };
        let part = display(&item)?;
        budget::produce(part.len() + separator.len())?;
        parts.push(part.into_owned());
    }
    Ok(Value::text(parts.join(&separator)))
}

/// What items are compared by: an attribute or themselves, texts in small letters.
fn key(item: &Value, attribute: &Option<Value>, case_sensitive: bool) -> Result<Value> {
    let value = match attribute {
        None | Some(Value::None) => item.clone(),
        Some(path) => follow(item, path)?,
    };
    budget::read(&value)?;
    Ok(if case_sensitive { value } else { ignore_case(value) })
}

fn extreme(name: &str, value: &Value, given: Given) -> Result<Value> {
    let [case_sensitive, attribute] = given.bind(name, ["case_sensitive", "attribute"])?;
    let case_sensitive = is_true(case_sensitive);
    let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let sign = if name == "min" { "<" } else { ">" };
    let mut best: Option<(Value, Value)> = None;
    for item in value.to_vec()? {
        let key = key(&item, &attribute, case_sensitive)?;
        let better = match &best {
            None => true,
            Some((other, _)) => order(&key, other, sign)? == Some(wanted),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("No aggregated item, sequence was empty."), |(_, item)| item))
}

fn sort(value: &Value, given: Given) -> Result<Value> {
    let [reverse, case_sensitive, attribute] =
        given.bind("do_sort", ["reverse", "case_sensitive", "attribute"])?;
    let case_sensitive = is_true(case_sensitive);
    let attributes: Vec<Option<Value>> =
        match attribute.as_ref().map(|attribute| (attribute, attribute.as_text())) {
            None => vec![None],
            Some((_, Some(names))) => names.split(',').map(|name| Some(Value::text(name))).collect(),
            Some((other, None)) => vec![Some(other.clone())],
        };
    let mut items = value.to_vec()?;
    sort_by(&mut items, is_true(reverse), |item| {
        let keys = attributes.iter().map(|attribute| key(item, attribute, case_sensitive));
        Ok(Value::list(keys.collect::<Result<_>>()?))
    })?;
    Ok(Value::list(items))
}

fn dictsort(value: &Value, given: Given) -> Result<Value> {
    let [case_sensitive, by, reverse] = given.bind("do_dictsort", ["case_sensitive", "by", "reverse"])?;
    let case_sensitive = is_true(case_sensitive);
    let place = match by.as_ref().map_or(Some("key"), Value::as_text) {
        Some("key") => 0,
        Some("value") => 1,
        _ => return fail("You can only sort by either \"key\" or \"value\""),
    };
    value.check_defined()?;
    let Value::Dict(dict) = value else {
        return fail(format!("'{}' object has no attribute 'items'", value.kind()));
    };
    let mut items = dict.view(ViewKind::Items).to_vec()?;
    sort_by(&mut items, is_true(reverse), |item| {
        let part = item.as_slice().and_then(|parts| parts.get(place)).cloned().unwrap_or(Value::None);
        Ok(if case_sensitive { part } else { ignore_case(part) })
    })?;
    Ok(Value::list(items))
}

fn unique(value: &Value, given: Given) -> Result<Value> {
    let [case_sensitive, attribute] = given.bind("do_unique", ["case_sensitive", "attribute"])?;
    let case_sensitive = is_true(case_sensitive);
    let seen = RefCell::new(Vec::new());
    lazily(value, |item| {
        let key = key(&item, &attribute, case_sensitive)?;
        key.check_hashable()?;
        if seen.borrow().iter().any(|known| equal(known, &key)) {
            return Ok(None);
        }
        seen.borrow_mut().push(key);
        Ok(Some(item))
    })
}

fn groupby(value: &Value, given: Given) -> Result<Value> {
    let [attribute, default, case_sensitive] =
        given.bind("do_groupby", ["attribute", "default", "case_sensitive"])?;
    let attribute = required(attribute, "do_groupby", "attribute")?;
    let case_sensitive = is_true(case_sensitive);
    let default = default.filter(|default| !matches!(default, Value::None));
    let key = |item: &Value, case_sensitive: bool| -> Result<Value> {
        let found = follow_or(item, &attribute, &default)?;
        Ok(if case_sensitive { found } else { ignore_case(found) })
    };
    let mut items = value.to_vec()?;
    sort_by(&mut items, false, |item| key(item, case_sensitive))?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in items {
        let by = key(&item, case_sensitive)?;
        match groups.last_mut() {
            Some((known, members)) if equal(known, &by) => members.push(item),
            _ => groups.push((by, vec![item])),
        }
    }
    let group = |(by, members): (Value, Vec<Value>)| {
        let by = match members.first() {
            Some(first) => key(first, true)?,
            None => by,
        };
        Ok(Value::Group(Sequence::of(vec![by, Value::list(members)])))
    };
    Ok(Value::list(groups.into_iter().map(group).collect::<Result<_>>()?))
}

fn batch(value: &Value, given: Given) -> Result<Value> {
    let [count, fill] = given.bind("do_batch", ["linecount", "fill_with"])?;
    let count = integer(Some(required(count, "do_batch", "linecount")?))?.unwrap_or_default();
    let count = usize::try_from(count).unwrap_or_default();
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    let mut batches: Vec<Vec<Value>> = Vec::new();
    for item in value.to_vec()? {
        match batches.last_mut() {
            Some(last) if last.len() != count => last.push(item),
            _ => batches.push(vec![item]),
        }
    }
    if let (Some(last), Some(fill)) = (batches.last_mut(), fill) {
        let length = last.len().max(count);
        budget::produce_items(length)?;
        last.resize(length, fill);
    }
    Ok(Value::iterator(batches.into_iter().map(Value::list)))
}

fn slice(value: &Value, given: Given) -> Result<Value> {
    let [count, fill] = given.bind("do_slice", ["slices", "fill_with"])?;
    let count = integer(Some(required(count, "do_slice", "slices")?))?.unwrap_or_default();
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        return failing("integer division or modulo by zero");
    };
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    // A list each, however short.
    budget::produce_items(count.saturating_mul(4))?;
    let items = value.to_vec()?;
    let (each, longer) = (items.len() / count, items.len() % count);
    let mut rest = items.into_iter();
    let slices = (0..count).map(|number| {
        let mut part: Vec<Value> = rest.by_ref().take(each + usize::from(number < longer)).collect();
        part.extend(fill.clone().filter(|_| number >= longer));
        Value::list(part)
    });
    Ok(Value::iterator(slices.collect::<Vec<_>>()))
}

fn map(value: &Value, mut given: Given) -> Result<Value> {
    if !value.is_true() {
        return Ok(Value::iterator([]));
    }
    if given.positional.is_empty() && given.named.iter().any(|(name, _)| &**name == "attribute") {
        let [attribute, default] = given.bind("map", ["attribute", "default"])?;
        let attribute = attribute.unwrap_or(Value::None);
        let default = default.filter(|default| !matches!(default, Value::None));
        return lazily(value, |item| {
            let found = follow_or(&item, &attribute, &default)?;
            Ok(Some(found))
        });
    }
    if given.positional.is_empty() {
        return failing("map requires a filter argument");
    }
    let name = given.positional.remove(0);
    let Some(name) = name.as_text() else { return failing("map requires the name of a filter") };
    lazily(value, |item| super::call(name, item, given.clone()).map(Some))
}

/// Each missing part of the path is replaced by the default.
fn follow_or(item: &Value, path: &Value, default: &Option<Value>) -> Result<Value> {
    let (Some(default), Some(names)) = (default, path.as_text()) else {
        let found = follow(item, path)?;
        return Ok(if found.is_undefined() { default.clone().unwrap_or(found) } else { found });
    };
    let mut value = item.clone();
    for name in names.split('.') {
        value = follow(&value, &Value::text(name))?;
        if value.is_undefined() {
            value = default.clone();
        }
    }
    Ok(value)
}

/// `select`, `reject`, `selectattr` and `rejectattr`.
fn select(name: &str, value: &Value, mut given: Given) -> Result<Value> {
    if !value.is_true() {
        return Ok(Value::iterator([]));
    }
    let mut take = || if given.positional.is_empty() { None } else { Some(given.positional.remove(0)) };
    let attribute = if name.ends_with("attr") {
        match take() {
            Some(attribute) => Some(attribute),
            None => return failing("Missing parameter for attribute name"),
        }
    } else {
        None
    };
    let test = take();
    let wanted = name.starts_with("select");
    lazily(value, |item| {
        let asked = match &attribute {
            Some(path) => follow(&item, path)?,
            None => item.clone(),
        };
        let holds = match &test {
            None => asked.is_true(),
            Some(test) => match test.as_text() {
                Some(test) => checks::call(test, &asked, given.clone())?,
                None => return fail(format!("No test named {}.", display(test)?)),
            },
        };
        Ok((holds == wanted).then_some(item))
    })
}
