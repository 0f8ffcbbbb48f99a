//! Python's collections.

use std::collections::VecDeque;
use std::rc::Rc;

use super::budget;
use super::error::{JinjaError, Result};
use super::operators::equal;
use super::value::Value;

/// The items of a list or a tuple.
pub(super) struct Sequence {
    items: Vec<Value>,
    /// How deep the deepest value in it is nested.
    depth: usize,
}

/// A dictionary in the order of its entries. They are few, so that they are looked for one by one.
#[derive(Clone, Default)]
pub(super) struct Dict {
    entries: Vec<(Value, Value)>,
    depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ViewKind {
    Keys,
    Values,
    Items,
}

pub(super) struct View {
    pub kind: ViewKind,
    pub items: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub start: i128,
    pub stop: i128,
    pub step: i128,
}

/// The values left of an iterator, and the error that comes behind them. What a generator would do later is done at
/// once; nothing in a template can tell, but for the error's place.
#[derive(Default)]
pub(super) struct Items {
    pub values: VecDeque<Value>,
    pub error: Option<JinjaError>,
}

impl Items {
    pub(super) fn take(&mut self) -> Result<Option<Value>> {
        match (self.values.pop_front(), self.error.take_if(|_| true)) {
            (Some(value), error) => {
                self.error = error;
                Ok(Some(value))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

impl Sequence {
    pub(super) fn of(items: Vec<Value>) -> Rc<Self> {
        let depth = 1 + deepest(&items);
        Rc::new(Self { items, depth })
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

impl std::ops::Deref for Sequence {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

pub(super) fn deepest<'a>(values: impl IntoIterator<Item = &'a Value>) -> usize {
    let looked_at = values.into_iter().inspect(|_| _ = budget::step(budget::COMPARISON));
    looked_at.map(Value::depth).max().unwrap_or_default()
}

impl Dict {
    pub(super) fn of(entries: Vec<(Value, Value)>) -> Self {
        let depth = 1 + deepest(entries.iter().flat_map(|(key, value)| [key, value]));
        Self { entries, depth }
    }

    /// # Errors
    /// If `key` cannot be one.
    pub(super) fn insert(&mut self, key: Value, value: Value) -> Result<()> {
        key.check_hashable()?;
        let depth = key.depth().max(value.depth());
        self.put(key, value, depth);
        Ok(())
    }

    /// Puts in a key and a value of which the deeper one is so deep.
    pub(super) fn put(&mut self, key: Value, value: Value, depth: usize) {
        self.depth = self.depth.max(1 + depth);
        match self.entries.iter_mut().find(|(known, _)| equal(known, &key)) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key, value)),
        }
    }

    pub(super) fn get(&self, key: &Value) -> Option<&Value> {
        self.entries.iter().find(|(known, _)| equal(known, key)).map(|(_, value)| value)
    }

    pub(super) fn get_text(&self, key: &str) -> Option<&Value> {
        budget::step(self.entries.len() / 4);
        self.entries.iter().find(|(known, _)| known.as_text() == Some(key)).map(|(_, value)| value)
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }

    pub(super) fn view(&self, kind: ViewKind) -> Value {
        let one = |(key, value): &(Value, Value)| match kind {
            ViewKind::Keys => key.clone(),
            ViewKind::Values => value.clone(),
            ViewKind::Items => Value::tuple(vec![key.clone(), value.clone()]),
        };
        Value::View(Rc::new(View { kind, items: self.entries.iter().map(one).collect() }))
    }
}

impl Range {
    pub(super) fn len(self) -> i128 {
        let (start, stop, step) = (self.start, self.stop, self.step);
        let span = if step > 0 { stop - start } else { start - stop };
        if span <= 0 { 0 } else { (span - 1) / step.abs() + 1 }
    }

    pub(super) fn get(self, index: i128) -> Value {
        Value::Integer(self.start + index * self.step)
    }
}
