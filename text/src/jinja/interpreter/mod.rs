//! Renders a parsed template.

mod calls;
mod expressions;
mod loops;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Body, Macro, Statement, StatementKind as Kind, Target};
use super::budget;
use super::display::display;
use super::error::{Result, fail};
use super::value::{Callable, Dict, Value};

/// How deep statements, expressions and calls may be inside of each other; each level takes room on the stack.
const DEEPEST: usize = 800;
/// How deep values may be inside of each other.
const MOST_NESTED: usize = 200;

/// Variables, and where others are looked for.
pub(super) struct Scope {
    variables: RefCell<Variables>,
    parent: Option<Rc<Scope>>,
}

type Variables = Vec<(Arc<str>, Value)>;

thread_local! {
    /// The variables of scopes that are gone, and whether they are being dropped.
    static LEFT_BEHIND: RefCell<Vec<Variables>> = const { RefCell::new(Vec::new()) };
    static DROPPING: Cell<bool> = const { Cell::new(false) };
}

/// Scopes may hold each other, through loops and macros, in a row that is longer than the stack is deep: they are
/// dropped one after the other, not one inside of the other.
impl Drop for Scope {
    fn drop(&mut self) {
        let variables = std::mem::take(self.variables.get_mut());
        if variables.is_empty() {
            return;
        }
        LEFT_BEHIND.with_borrow_mut(|left| left.push(variables));
        if !DROPPING.replace(true) {
            while let Some(variables) = LEFT_BEHIND.with_borrow_mut(Vec::pop) {
                drop(variables);
            }
            DROPPING.set(false);
        }
    }
}

impl Scope {
    pub(super) fn of(variables: Variables, parent: Option<Rc<Scope>>) -> Rc<Self> {
        Rc::new(Self { variables: RefCell::new(variables), parent })
    }

    fn inside(parent: &Rc<Scope>) -> Rc<Self> {
        Self::of(Vec::new(), Some(parent.clone()))
    }

    fn set(&self, name: &Arc<str>, value: Value) {
        let mut variables = self.variables.borrow_mut();
        budget::step(variables.len() / 4);
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some(variable) => variable.1 = value,
            None => variables.push((name.clone(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            budget::step(1 + here.variables.borrow().len() / 4);
            if let Some((_, value)) = here.variables.borrow().iter().find(|(known, _)| &**known == name) {
                return Some(value.clone());
            }
            scope = here.parent.as_deref();
        }
        None
    }
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(super) struct Interpreter<'a> {
    blocks: &'a HashMap<Arc<str>, Body>,
    /// Variables of the template itself.
    root: Rc<Scope>,
    /// What is being written: the whole text, and in it, what macros and blocks write that is not yet part of it.
    out: Vec<String>,
    /// The places of what assistants write, in characters.
    generated: Vec<std::ops::Range<usize>>,
    /// What filters without a value are applied to.
    input: Option<Value>,
    depth: usize,
    /// Scopes that hold macros, which hold those scopes.
    closures: Vec<Rc<Scope>>,
    /// Namespaces that were assigned to: they may hold themselves, and each other in a long row.
    namespaces: Vec<Rc<RefCell<Dict>>>,
    /// Bytes and characters of the whole text that are counted.
    counted: (usize, usize),
}

/// What holds itself is taken apart, while nothing in it is the last to be held.
impl Drop for Interpreter<'_> {
    fn drop(&mut self) {
        for scope in &self.closures {
            if let Ok(mut variables) = scope.variables.try_borrow_mut() {
                variables.clear();
            }
        }
        for namespace in &self.namespaces {
            if let Ok(mut namespace) = namespace.try_borrow_mut() {
                *namespace = Dict::default();
            }
        }
    }
}

impl<'a> Interpreter<'a> {
    /// With `context` as the variables that the caller gives.
    pub(super) fn new(blocks: &'a HashMap<Arc<str>, Body>, context: Variables) -> Self {
        let root = Scope::inside(&Scope::of(context, None));
        Self {
            blocks,
            root,
            out: vec![String::new()],
            generated: Vec::new(),
            input: None,
            depth: 0,
            closures: Vec::new(),
            namespaces: Vec::new(),
            counted: (0, 0),
        }
    }

    /// The text of `body`, and the places of what assistants write in it.
    ///
    /// # Errors
    /// Jinja2's, Python's or the template's own.
    pub(super) fn render(mut self, body: &[Statement]) -> Result<(String, Vec<std::ops::Range<usize>>)> {
        let root = self.root.clone();
        self.run(body, &root)?;
        Ok((self.out.pop().unwrap_or_default(), std::mem::take(&mut self.generated)))
    }

    fn run(&mut self, body: &[Statement], scope: &Rc<Scope>) -> Result<Flow> {
        self.deeper(|interpreter| {
            for statement in body {
                let flow = interpreter.statement(&statement.kind, scope);
                match flow.map_err(|error| error.at(statement.line))? {
                    Flow::Next => {}
                    other => return Ok(other),
                }
            }
            Ok(Flow::Next)
        })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        budget::produce(text.len())?;
        if let Some(out) = self.out.last_mut() {
            out.push_str(text);
        }
        Ok(())
    }

    /// What `body` writes, apart from everything else.
    fn captured(&mut self, body: &[Statement], scope: &Rc<Scope>) -> Result<(String, Flow)> {
        self.out.push(String::new());
        let flow = self.run(body, scope);
        let text = self.out.pop().unwrap_or_default();
        Ok((text, flow?))
    }

    fn statement(&mut self, statement: &Kind, scope: &Rc<Scope>) -> Result<Flow> {
        match statement {
            Kind::Text(text) => self.write(text)?,
            Kind::Output(expression) => {
                let value = self.value(expression, scope)?;
                let text = display(&value)?;
                self.write(&text)?;
            }
            Kind::Set(target, expression) => {
                let value = self.value(expression, scope)?;
                self.assign(target, value, scope)?;
            }
            Kind::SetBlock(target, filters, body) => {
                let (text, flow) = self.captured(body, &Scope::inside(scope))?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
                let mut value = Value::text(text);
                if let Some(filters) = filters {
                    value = self.filtered(filters, value, scope)?;
                }
                self.assign(target, value, scope)?;
            }
            Kind::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.value(condition, scope)?.is_true() {
                        return self.run(body, scope);
                    }
                }
                return self.run(otherwise, scope);
            }
            Kind::For(each) => {
                let iterable = self.value(&each.iterable, scope)?;
                if each.recursive {
                    let text = self.recursion(each, scope, &iterable, 0)?;
                    self.write(&text)?;
                } else {
                    return self.for_each(each, scope, &iterable, 0);
                }
            }
            Kind::Macro(definition) => {
                let value = self.macro_value(definition, scope);
                if let Some(name) = &definition.name {
                    scope.set(name, value);
                }
            }
            Kind::Call(call, body) => {
                let caller = self.macro_value(body, scope);
                let value = self.call_with(call, scope, Some(caller))?;
                let text = display(&value)?;
                self.write(&text)?;
            }
            Kind::Filter(filters, body) => {
                let (text, flow) = self.captured(body, &Scope::inside(scope))?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
                let value = self.filtered(filters, Value::text(text), scope)?;
                let text = display(&value)?;
                self.write(&text)?;
            }
            Kind::With(values, body) => {
                let inner = Scope::inside(scope);
                for (target, expression) in values {
                    let value = self.value(expression, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.run(body, &inner);
            }
            Kind::Scope(body) => return self.run(body, &Scope::inside(scope)),
            Kind::Block(name) => self.block(name)?,
            Kind::Generation(body) => self.generation(body, scope)?,
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            Kind::OtherTemplate(tag) => {
                return fail(format!("{tag}: no loader for this environment specified"));
            }
        }
        Ok(Flow::Next)
    }

    fn assign(&mut self, target: &Target, value: Value, scope: &Rc<Scope>) -> Result<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(name, attribute) => {
                let Some(Value::Namespace(namespace)) = scope.get(name) else {
                    return fail("cannot assign attribute on non-namespace object");
                };
                if self.namespaces.last().is_none_or(|last| !Rc::ptr_eq(last, &namespace)) {
                    self.namespaces.push(namespace.clone());
                }
                // It may hold the namespace.
                let depth = value.depth();
                namespace.borrow_mut().put(Value::Text(attribute.clone()), value, depth);
            }
            Target::Tuple(targets) => {
                if !value.is_iterable() {
                    return fail(format!("cannot unpack non-iterable {} object", value.kind()));
                }
                let values = value.to_vec()?;
                let (wanted, got) = (targets.len(), values.len());
                if got < wanted {
                    return fail(format!("not enough values to unpack (expected {wanted}, got {got})"));
                }
                if got > wanted {
                    return fail(format!("too many values to unpack (expected {wanted})"));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }

    fn macro_value(&mut self, definition: &Arc<Macro>, scope: &Rc<Scope>) -> Value {
        if self.closures.last().is_none_or(|last| !Rc::ptr_eq(last, scope)) {
            self.closures.push(scope.clone());
        }
        Value::callable(Callable::Macro { definition: definition.clone(), scope: scope.clone() })
    }

    /// A level deeper.
    fn deeper<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return fail("maximum recursion depth exceeded");
        }
        budget::check_stack()?;
        budget::spend(budget::EXPRESSION)?;
        self.depth += 1;
        let result = call(self);
        self.depth -= 1;
        result
    }

    /// A block sees the template's own variables, not those of the scope that it stands in.
    fn block(&mut self, name: &Arc<str>) -> Result<()> {
        let blocks = self.blocks;
        let scope = Scope::inside(&self.root);
        match blocks.get(name) {
            Some(body) => self.run(body, &scope).map(|_| ()),
            None => fail(format!("block '{name}' does not exist")),
        }
    }

    /// Writes what an assistant writes, and notes its place: as transformers, behind all that is part of the whole
    /// text by now. Inside of macros that is the place of their call.
    fn generation(&mut self, body: &Arc<Macro>, scope: &Rc<Scope>) -> Result<()> {
        let (text, _) = self.captured(&body.body, &Scope::inside(scope))?;
        let whole = self.out.first().map_or("", String::as_str);
        let (bytes, characters) = self.counted;
        let start = characters + whole[bytes..].chars().count();
        self.counted = (whole.len(), start);
        self.generated.push(start..start + text.chars().count());
        self.write(&text)
    }
}
