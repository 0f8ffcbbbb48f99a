//! The values of expressions.

use std::rc::Rc;
use std::sync::Arc;

use super::{Interpreter, MOST_NESTED, Scope};
use crate::jinja::arguments::Given;
use crate::jinja::ast::{Arguments, Comparison, Expression, ExpressionKind as Kind};
use crate::jinja::error::{Result, fail};
use crate::jinja::operators::{binary, compare, concat, signed};
use crate::jinja::value::{Dict, Missing, Value};
use crate::jinja::{attributes, budget, checks, filters};

/// What every template can call.
const FUNCTIONS: [&str; 8] =
    ["range", "dict", "namespace", "raise_exception", "strftime_now", "cycler", "joiner", "lipsum"];

impl Interpreter<'_> {
    /// # Errors
    /// Jinja2's, Python's or the template's own.
    pub(super) fn value(&mut self, expression: &Expression, scope: &Rc<Scope>) -> Result<Value> {
        let value = self.deeper(|interpreter| interpreter.evaluate(expression, scope));
        match value {
            Ok(value) if value.depth() > MOST_NESTED => {
                fail(format!("values are nested more than {MOST_NESTED} levels deep"))
            }
            value => value,
        }
        .map_err(|error| error.at(expression.line))
    }

    fn evaluate(&mut self, expression: &Expression, scope: &Rc<Scope>) -> Result<Value> {
        match &expression.kind {
            Kind::None => Ok(Value::None),
            Kind::Bool(truth) => Ok(Value::Bool(*truth)),
            Kind::Integer(integer) => Ok(Value::Integer(*integer)),
            Kind::Float(float) => Ok(Value::Float(*float)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Name(name) => self.variable(name, scope),
            Kind::Input => Ok(self.input.clone().unwrap_or(Value::None)),
            Kind::List(items) => Ok(Value::list(self.values(items, scope)?)),
            Kind::Tuple(items) => Ok(Value::tuple(self.values(items, scope)?)),
            Kind::Dict(entries) => self.dict(entries, scope),
            Kind::Attribute(value, name) => {
                let value = self.value(value, scope)?;
                self.attribute(&value, name)
            }
            Kind::Item(value, key) => {
                let (value, key) = (self.value(value, scope)?, self.value(key, scope)?);
                budget::read(&value)?;
                match (&value, key.as_text()) {
                    (Value::Loop(_), Some(name)) => self.attribute(&value, &name.into()),
                    _ => attributes::item(&value, &key),
                }
            }
            Kind::Slice(value, parts) => {
                let value = self.value(value, scope)?;
                let mut bounds = [None, None, None];
                for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                    *bound = part.as_ref().map(|part| self.value(part, scope)).transpose()?;
                }
                budget::read(&value)?;
                budget::made(attributes::slice(&value, bounds)?)
            }
            Kind::Call(..) => self.call_with(expression, scope, None),
            Kind::Filter(value, name, arguments) => {
                let value = self.value(value, scope)?;
                let given = self.given(arguments, scope)?;
                filters::call(name, value, given)
            }
            Kind::Test(value, name, arguments) => {
                let value = self.value(value, scope)?;
                let given = self.given(arguments, scope)?;
                checks::call(name, &value, given).map(Value::Bool)
            }
            Kind::Not(value) => Ok(Value::Bool(!self.value(value, scope)?.is_true())),
            Kind::Negative(value) => signed(&self.value(value, scope)?, true),
            Kind::Positive(value) => signed(&self.value(value, scope)?, false),
            Kind::And(a, b) => {
                let a = self.value(a, scope)?;
                if a.is_true() { self.value(b, scope) } else { Ok(a) }
            }
            Kind::Or(a, b) => {
                let a = self.value(a, scope)?;
                if a.is_true() { Ok(a) } else { self.value(b, scope) }
            }
            Kind::Binary(operator, a, b) => {
                let (a, b) = (self.value(a, scope)?, self.value(b, scope)?);
                binary(*operator, &a, &b)
            }
            Kind::Concat(parts) => concat(&self.values(parts, scope)?),
            Kind::Compare(first, others) => self.compare(first, others, scope),
            Kind::Conditional(condition, value, otherwise) => {
                if self.value(condition, scope)?.is_true() {
                    return self.value(value, scope);
                }
                match otherwise {
                    Some(otherwise) => self.value(otherwise, scope),
                    None => Ok(Value::undefined(format!(
                        "the inline if-expression on line {} evaluated to false and no else section was defined.",
                        expression.line
                    ))),
                }
            }
        }
    }

    /// The value of filters whose input is `input`.
    pub(super) fn filtered(
        &mut self,
        filters: &Expression,
        input: Value,
        scope: &Rc<Scope>,
    ) -> Result<Value> {
        let outer = self.input.replace(input);
        let value = self.value(filters, scope);
        self.input = outer;
        value
    }

    fn variable(&mut self, name: &Arc<str>, scope: &Rc<Scope>) -> Result<Value> {
        if let Some(value) = scope.get(name) {
            return Ok(value);
        }
        if let Some(function) = FUNCTIONS.iter().find(|function| ***function == **name) {
            return Ok(Value::function(function));
        }
        if &**name == "self" {
            return fail("'self', which calls blocks by name, is not supported");
        }
        Ok(Value::Undefined(Rc::new(Missing::Variable(name.clone()))))
    }

    fn values(&mut self, expressions: &[Expression], scope: &Rc<Scope>) -> Result<Vec<Value>> {
        expressions.iter().map(|expression| self.value(expression, scope)).collect()
    }

    fn dict(&mut self, entries: &[(Expression, Expression)], scope: &Rc<Scope>) -> Result<Value> {
        let mut dict = Dict::default();
        for (key, value) in entries {
            let key = self.value(key, scope)?;
            dict.insert(key, self.value(value, scope)?)?;
        }
        Ok(Value::Dict(Rc::new(dict)))
    }

    pub(super) fn attribute(&mut self, value: &Value, name: &Arc<str>) -> Result<Value> {
        if let Value::Loop(state) = value
            && let Some(found) = self.loop_attribute(state, name)?
        {
            return Ok(found);
        }
        attributes::attribute(value, name)
    }

    fn compare(
        &mut self,
        first: &Expression,
        others: &[(Comparison, Expression)],
        scope: &Rc<Scope>,
    ) -> Result<Value> {
        let mut left = self.value(first, scope)?;
        for (comparison, right) in others {
            let right = self.value(right, scope)?;
            if !compare(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    pub(super) fn given(&mut self, arguments: &Arguments, scope: &Rc<Scope>) -> Result<Given> {
        let mut given = Given::default();
        if arguments.is_empty() {
            return Ok(given);
        }
        given.positional = self.values(&arguments.positional, scope)?;
        for (name, value) in &arguments.named {
            given.named.push((name.clone(), self.value(value, scope)?));
        }
        if let Some(spread) = &arguments.spread {
            given.positional.extend(self.value(spread, scope)?.to_vec()?);
        }
        if let Some(spread) = &arguments.spread_named {
            let Value::Dict(dict) = self.value(spread, scope)? else {
                return fail("argument after ** must be a mapping");
            };
            for (key, value) in dict.entries() {
                let Some(name) = key.as_text() else { return fail("keywords must be strings") };
                given.named.push((name.into(), value.clone()));
            }
        }
        for (place, (name, _)) in given.named.iter().enumerate() {
            budget::spend(place / 4)?;
            if given.named[..place].iter().any(|(other, _)| other == name) {
                return fail(format!("got multiple values for keyword argument '{name}'"));
            }
        }
        Ok(given)
    }
}
