//! Values as Python has them: what they are, and what else can be asked of each kind.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use super::ast::{For, Macro};
use super::budget;
pub(super) use super::collections::{Dict, Items, Range, Sequence, View, ViewKind};

use super::collections::deepest;
use super::error::{Result, fail};
use super::interpreter::Scope;

/// A value of a template's expression.
#[derive(Clone)]
pub(super) enum Value {
    Undefined(Rc<Missing>),
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Arc<str>),
    /// Text that is escaped for HTML.
    Markup(Arc<str>),
    List(Rc<Sequence>),
    Tuple(Rc<Sequence>),
    /// What `groupby` makes: a tuple of the attribute's value and a list, which have names too.
    Group(Rc<Sequence>),
    Dict(Rc<Dict>),
    /// What `keys`, `values` and `items` of a dictionary give.
    View(Rc<View>),
    Range(Range),
    /// What can be gone through once.
    Iterator(Rc<RefCell<Items>>),
    Namespace(Rc<RefCell<Dict>>),
    Loop(Rc<RefCell<Loop>>),
    Callable(Rc<Callable>),
}

/// Why there is no value.
pub(super) enum Missing {
    Variable(Arc<str>),
    /// The kind of object and the attribute that it lacks.
    Attribute(String, Arc<str>),
    /// The kind of object and the item that it lacks, as Python writes it.
    Element(String, String),
    Other(String),
}

impl Missing {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Variable(name) => format!("'{name}' is undefined"),
            Self::Attribute(object, name) => format!("'{object}' has no attribute '{name}'"),
            Self::Element(object, item) => format!("{object} has no element {item}"),
            Self::Other(message) => message.clone(),
        }
    }
}

/// The state of a `for` loop, which its body sees as `loop`.
pub(super) struct Loop {
    pub items: Rc<RefCell<Items>>,
    /// What the items must be like, and where that is evaluated.
    pub condition: Option<(Arc<For>, Rc<Scope>)>,
    /// How many there are, where that is known without going through them.
    pub length: Option<usize>,
    /// The next one, if it has been looked at.
    pub after: Option<Option<Value>>,
    pub current: Option<Value>,
    pub before: Option<Value>,
    /// Iterations begun.
    pub index: usize,
    pub changed: Option<Vec<Value>>,
    pub depth: usize,
    pub recursive: Option<(Arc<For>, Rc<Scope>)>,
}

/// What can be called.
pub(super) enum Callable {
    Function(&'static str),
    Method(Value, Arc<str>),
    Macro { definition: Arc<Macro>, scope: Rc<Scope> },
    Cycler { items: Vec<Value>, place: RefCell<usize> },
    Joiner { separator: Value, used: RefCell<bool> },
}

/// What Python's `str.isspace` takes for a blank: Unicode's, and four control characters.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

impl Value {
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    pub(super) fn list(items: Vec<Value>) -> Self {
        Self::List(Sequence::of(items))
    }

    pub(super) fn tuple(items: Vec<Value>) -> Self {
        Self::Tuple(Sequence::of(items))
    }

    pub(super) fn undefined(message: impl Into<String>) -> Self {
        Self::Undefined(Rc::new(Missing::Other(message.into())))
    }

    pub(super) fn iterator(values: impl IntoIterator<Item = Value>) -> Self {
        let items = Items { values: values.into_iter().collect(), error: None };
        Self::Iterator(Rc::new(RefCell::new(items)))
    }

    pub(super) fn callable(callable: Callable) -> Self {
        Self::Callable(Rc::new(callable))
    }

    pub(super) fn function(name: &'static str) -> Self {
        Self::callable(Callable::Function(name))
    }

    /// The text, if the value is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Markup(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if the value is a list or a tuple.
    pub(super) fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => Some(items),
            _ => None,
        }
    }

    /// The whole number; `True` and `False` are 1 and 0.
    pub(super) fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(integer) => Some(*integer),
            Self::Bool(truth) => Some(i128::from(*truth)),
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            other => other.as_integer().map(|integer| integer as f64),
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// # Errors
    /// If the value is undefined.
    pub(super) fn check_defined(&self) -> Result<()> {
        match self {
            Self::Undefined(missing) => fail(missing.message()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// If the value cannot be a dictionary's key.
    pub(super) fn check_hashable(&self) -> Result<()> {
        match self {
            Self::View(view) if view.kind == ViewKind::Values => Ok(()),
            Self::List(_) | Self::Dict(_) | Self::View(_) => {
                fail(format!("unhashable type: '{}'", self.kind()))
            }
            Self::Tuple(items) => items.iter().try_for_each(Self::check_hashable),
            _ => Ok(()),
        }
    }

    /// What Python's `type(value).__name__` gives.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::Markup(_) => "Markup",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Group(_) => "_GroupTuple",
            Self::Dict(_) => "dict",
            Self::View(view) => match view.kind {
                ViewKind::Keys => "dict_keys",
                ViewKind::Values => "dict_values",
                ViewKind::Items => "dict_items",
            },
            Self::Range(_) => "range",
            Self::Iterator(_) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Loop(_) => "LoopContext",
            Self::Callable(callable) => match &**callable {
                Callable::Function("namespace" | "dict" | "cycler" | "joiner") => "type",
                Callable::Function(_) => "function",
                Callable::Method(..) => "builtin_function_or_method",
                Callable::Macro { .. } => "Macro",
                Callable::Cycler { .. } => "Cycler",
                Callable::Joiner { .. } => "Joiner",
            },
        }
    }

    /// As Jinja2's messages about what is undefined name an object.
    pub(super) fn described(&self) -> String {
        match self {
            Self::None => "None".into(),
            Self::Namespace(_) => "jinja2.utils.Namespace object".into(),
            Self::Loop(_) => "jinja2.runtime.LoopContext object".into(),
            Self::Markup(_) => "markupsafe.Markup object".into(),
            Self::Callable(callable) if matches!(**callable, Callable::Macro { .. }) => {
                "jinja2.runtime.Macro object".into()
            }
            other => format!("{} object", other.kind()),
        }
    }

    /// Levels of lists, dictionaries and the like inside of each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.depth(),
            Self::Dict(dict) => dict.depth(),
            Self::View(view) => 1 + deepest(&view.items),
            Self::Namespace(values) => 1 + values.borrow().depth(),
            Self::Iterator(items) => 1 + deepest(&items.borrow().values),
            Self::Callable(callable) => match &**callable {
                Callable::Method(value, _) => 1 + value.depth(),
                Callable::Cycler { items, .. } => 1 + deepest(items),
                _ => 1,
            },
            _ => 0,
        }
    }

    /// Whether Python's `if` takes the value for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Integer(integer) => *integer != 0,
            Self::Float(float) => *float != 0.0,
            Self::Text(text) | Self::Markup(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => !items.is_empty(),
            Self::Dict(dict) => !dict.entries().is_empty(),
            Self::View(view) => !view.items.is_empty(),
            Self::Range(range) => range.len() != 0,
            Self::Iterator(_) | Self::Namespace(_) | Self::Loop(_) | Self::Callable(_) => true,
        }
    }

    /// What `len` gives; nothing for what has no length.
    pub(super) fn length(&self) -> Option<usize> {
        Some(match self {
            Self::Undefined(_) => 0,
            Self::Text(text) | Self::Markup(text) => text.chars().count(),
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.len(),
            Self::Dict(dict) => dict.entries().len(),
            Self::View(view) => view.items.len(),
            Self::Range(range) => range.len() as usize,
            _ => return None,
        })
    }

    /// What a loop goes through. An iterator gives itself, so that it is used up.
    ///
    /// # Errors
    /// If there is nothing to go through.
    pub(super) fn items(&self) -> Result<Rc<RefCell<Items>>> {
        if !matches!(self, Self::Iterator(_)) {
            budget::spend(self.length().unwrap_or_default())?;
        }
        let values = match self {
            Self::Iterator(items) => return Ok(items.clone()),
            Self::Undefined(_) => VecDeque::new(),
            Self::Text(text) => text.chars().map(|c| Self::text(c.to_string())).collect(),
            Self::Markup(text) => text.chars().map(|c| Self::Markup(c.to_string().into())).collect(),
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.iter().cloned().collect(),
            Self::Dict(dict) => dict.entries().iter().map(|(key, _)| key.clone()).collect(),
            Self::View(view) => view.items.iter().cloned().collect(),
            Self::Range(range) => (0..range.len()).map(|index| range.get(index)).collect(),
            other => return fail(format!("'{}' object is not iterable", other.kind())),
        };
        Ok(Rc::new(RefCell::new(Items { values, error: None })))
    }

    /// All that a loop would go through.
    ///
    /// # Errors
    /// As [`Value::items`], or the iterator's own.
    pub(super) fn to_vec(&self) -> Result<Vec<Value>> {
        if let Some(items) = self.as_slice() {
            budget::spend(items.len())?;
            return Ok(items.to_vec());
        }
        let items = self.items()?;
        let mut items = items.borrow_mut();
        let values = std::mem::take(&mut items.values);
        match items.error.take() {
            Some(error) => Err(error),
            None => Ok(values.into()),
        }
    }

    pub(super) fn is_iterable(&self) -> bool {
        self.length().is_some() || matches!(self, Self::Iterator(_) | Self::Loop(_))
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::None,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(integer), ..) => Self::Integer(integer.into()),
                (_, Some(integer), _) => Self::Integer(integer.into()),
                (.., float) => Self::Float(float.unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::list(items.iter().map(Self::from).collect()),
            Json::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (Self::text(key), Self::from(value)));
                Self::Dict(Rc::new(Dict::of(entries.collect())))
            }
        }
    }
}
