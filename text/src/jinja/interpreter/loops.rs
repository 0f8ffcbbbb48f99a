//! `for` loops, and what their bodies see as `loop`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Flow, Interpreter, Scope};
use crate::jinja::arguments::{Given, required};
use crate::jinja::ast::For;
use crate::jinja::error::{Result, fail};
use crate::jinja::operators::equal;
use crate::jinja::value::{Callable, Loop, Value};

impl Interpreter<'_> {
    /// Runs the body for each item. The other one runs where no iteration came to its end.
    pub(super) fn for_each(
        &mut self,
        each: &Arc<For>,
        scope: &Rc<Scope>,
        iterable: &Value,
        depth: usize,
    ) -> Result<Flow> {
        let items = iterable.items()?;
        let here = || (each.clone(), scope.clone());
        let state = Rc::new(RefCell::new(Loop {
            items,
            length: iterable.length().filter(|_| each.condition.is_none()),
            condition: each.condition.is_some().then(here),
            after: None,
            current: None,
            before: None,
            index: 0,
            changed: None,
            depth,
            recursive: each.recursive.then(here),
        }));
        let name: Arc<str> = "loop".into();
        let mut completed = false;
        while let Some(item) = self.next_item(&state)? {
            let inner = Scope::of(vec![(name.clone(), Value::Loop(state.clone()))], Some(scope.clone()));
            self.assign(&each.target, item, &inner)?;
            match self.run(&each.body, &inner)? {
                Flow::Next => completed = true,
                Flow::Continue => {}
                Flow::Break => break,
            }
        }
        // It may hold the loop.
        state.borrow_mut().changed = None;
        if completed { Ok(Flow::Next) } else { self.run(&each.otherwise, &Scope::inside(scope)) }
    }

    /// What a recursive loop writes for `iterable`.
    pub(super) fn recursion(
        &mut self,
        each: &Arc<For>,
        scope: &Rc<Scope>,
        iterable: &Value,
        depth: usize,
    ) -> Result<String> {
        self.deeper(|interpreter| {
            interpreter.out.push(String::new());
            let result = interpreter.for_each(each, scope, iterable, depth);
            let text = interpreter.out.pop().unwrap_or_default();
            result.map(|_| text)
        })
    }

    fn next_item(&mut self, state: &RefCell<Loop>) -> Result<Option<Value>> {
        let after = state.borrow_mut().after.take();
        let next = match after {
            Some(after) => after,
            None => self.pull(state)?,
        };
        let mut state = state.borrow_mut();
        if let Some(item) = &next {
            state.index += 1;
            state.before = state.current.replace(item.clone());
        }
        Ok(next)
    }

    /// The next item for which the loop's condition holds.
    fn pull(&mut self, state: &RefCell<Loop>) -> Result<Option<Value>> {
        let (items, condition) = {
            let state = state.borrow();
            (state.items.clone(), state.condition.clone())
        };
        loop {
            let Some(item) = items.borrow_mut().take()? else { return Ok(None) };
            let Some((each, scope)) = &condition else { return Ok(Some(item)) };
            let Some(condition) = &each.condition else { return Ok(Some(item)) };
            let inner = Scope::inside(scope);
            self.assign(&each.target, item.clone(), &inner)?;
            if self.value(condition, &inner)?.is_true() {
                return Ok(Some(item));
            }
        }
    }

    fn peek(&mut self, state: &RefCell<Loop>) -> Result<Option<Value>> {
        let after = state.borrow().after.clone();
        match after {
            Some(after) => Ok(after),
            None => {
                let after = self.pull(state)?;
                state.borrow_mut().after = Some(after.clone());
                Ok(after)
            }
        }
    }

    /// How many items there are; those of an iterator are taken to know it.
    fn loop_length(&mut self, state: &RefCell<Loop>) -> Result<usize> {
        if let Some(length) = state.borrow().length {
            return Ok(length);
        }
        let mut rest = Vec::new();
        while let Some(item) = self.pull(state)? {
            rest.push(item);
        }
        let mut state = state.borrow_mut();
        let seen = state.index + usize::from(matches!(state.after, Some(Some(_))));
        let length = seen + rest.len();
        state.length = Some(length);
        state.condition = None;
        state.items = Value::list(rest).items()?;
        Ok(length)
    }

    /// `loop.name`; nothing where it has no such attribute.
    pub(super) fn loop_attribute(
        &mut self,
        state: &Rc<RefCell<Loop>>,
        name: &Arc<str>,
    ) -> Result<Option<Value>> {
        let integer = |integer: usize| Value::Integer(integer as i128);
        let (index, depth) = (state.borrow().index, state.borrow().depth);
        let value = match &**name {
            "index" => integer(index),
            "index0" => Value::Integer(index as i128 - 1),
            "revindex" => Value::Integer(self.loop_length(state)? as i128 - index as i128 + 1),
            "revindex0" => Value::Integer(self.loop_length(state)? as i128 - index as i128),
            "first" => Value::Bool(index == 1),
            "last" => Value::Bool(self.peek(state)?.is_none()),
            "length" => integer(self.loop_length(state)?),
            "depth" => integer(depth + 1),
            "depth0" => integer(depth),
            "previtem" => {
                let before = state.borrow().before.clone().filter(|_| index != 1);
                before.unwrap_or_else(|| Value::undefined("there is no previous item"))
            }
            "nextitem" => self.peek(state)?.unwrap_or_else(|| Value::undefined("there is no next item")),
            "cycle" | "changed" => {
                Value::callable(Callable::Method(Value::Loop(state.clone()), name.clone()))
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    pub(super) fn loop_method(&mut self, state: &RefCell<Loop>, name: &str, given: Given) -> Result<Value> {
        if !given.named.is_empty() {
            return fail(format!("LoopContext.{name}() takes no keyword arguments"));
        }
        let mut state = state.borrow_mut();
        if name == "cycle" {
            if given.positional.is_empty() {
                return fail("no items for cycling given");
            }
            return Ok(given.positional[state.index.saturating_sub(1) % given.positional.len()].clone());
        }
        let values = given.positional;
        let same = state.changed.as_ref().is_some_and(|last| {
            last.len() == values.len() && last.iter().zip(&values).all(|(last, value)| equal(last, value))
        });
        state.changed = Some(values);
        Ok(Value::Bool(!same))
    }

    /// `loop(iterable)` inside of a recursive loop.
    pub(super) fn call_loop(&mut self, state: &RefCell<Loop>, given: Given) -> Result<Value> {
        let [iterable] = given.bind("loop", ["iterable"])?;
        let iterable = required(iterable, "loop", "iterable")?;
        let (recursive, depth) = (state.borrow().recursive.clone(), state.borrow().depth);
        let Some((each, scope)) = recursive else {
            return fail("The loop must have the 'recursive' marker to be called recursively.");
        };
        Ok(Value::text(self.recursion(&each, &scope, &iterable, depth + 1)?))
    }
}
