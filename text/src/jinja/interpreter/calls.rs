//! Calls of functions, methods and macros.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Interpreter, Scope};
use crate::jinja::arguments::{Given, required};
use crate::jinja::ast::{Expression, ExpressionKind, Macro};
use crate::jinja::attributes::call_method;
use crate::jinja::display::display;
use crate::jinja::error::{Result, fail};
use crate::jinja::value::{Callable, Dict, Range, Value};
use crate::jinja::{budget, date};

/// Items of the longest range in Jinja2's sandbox.
const LONGEST_RANGE: i128 = 100_000;

impl Interpreter<'_> {
    /// The value of a call, which gets `caller` as another argument.
    pub(super) fn call_with(
        &mut self,
        expression: &Expression,
        scope: &Rc<Scope>,
        caller: Option<Value>,
    ) -> Result<Value> {
        let ExpressionKind::Call(callee, arguments) = &expression.kind else { return fail("expected call") };
        let callee = self.value(callee, scope)?;
        let mut given = self.given(arguments, scope)?;
        given.named.extend(caller.map(|caller| ("caller".into(), caller)));
        self.call(&callee, given).map_err(|error| error.at(expression.line))
    }

    fn call(&mut self, callee: &Value, given: Given) -> Result<Value> {
        callee.check_defined()?;
        let callable = match callee {
            Value::Callable(callable) => callable,
            Value::Loop(state) => return self.call_loop(&state.clone(), given),
            other => return fail(format!("'{}' object is not callable", other.kind())),
        };
        match &**callable {
            Callable::Function(name) => function(name, given),
            Callable::Method(Value::Loop(state), name) => self.loop_method(&state.clone(), name, given),
            Callable::Method(value, name) => {
                budget::read(value)?;
                budget::made(call_method(value, name, given)?)
            }
            Callable::Macro { definition, scope } => self.call_macro(definition, scope, given),
            Callable::Joiner { separator, used } => {
                given.none("joiner")?;
                Ok(if used.replace(true) { separator.clone() } else { Value::text("") })
            }
            Callable::Cycler { .. } => fail("'Cycler' object is not callable"),
        }
    }

    fn call_macro(&mut self, definition: &Arc<Macro>, outer: &Rc<Scope>, given: Given) -> Result<Value> {
        let Given { mut positional, mut named } = given;
        let name = definition.name.as_ref().map_or("None".into(), |name| format!("'{name}'"));
        let scope = Scope::inside(outer);
        let parameters = &definition.parameters;
        let mut take = |wanted: &str| {
            budget::step(named.len() / 4);
            let place = named.iter().position(|(known, _)| &**known == wanted);
            place.map(|place| named.remove(place).1)
        };
        let rest = positional.split_off(positional.len().min(parameters.len()));
        let mut values: Vec<Option<Value>> = positional.into_iter().map(Some).collect();
        for parameter in &parameters[values.len()..] {
            values.push(take(parameter));
        }
        if definition.uses_caller {
            let caller = take("caller").unwrap_or_else(|| Value::undefined("No caller defined"));
            scope.set(&"caller".into(), caller);
        }
        if definition.uses_kwargs {
            let mut kwargs = Dict::default();
            for (name, value) in named {
                kwargs.insert(Value::Text(name), value)?;
            }
            scope.set(&"kwargs".into(), Value::Dict(Rc::new(kwargs)));
        } else if let Some((keyword, _)) = named.first() {
            return fail(match &**keyword {
                "caller" => format!(
                    "macro {name} was invoked with two values for the special caller argument. This is most likely a bug."
                ),
                keyword => format!("macro {name} takes no keyword argument '{keyword}'"),
            });
        }
        if definition.uses_varargs {
            scope.set(&"varargs".into(), Value::tuple(rest));
        } else if !rest.is_empty() {
            return fail(format!("macro {name} takes not more than {} argument(s)", parameters.len()));
        }
        for (parameter, value) in parameters.iter().zip(&values) {
            if let Some(value) = value {
                scope.set(parameter, value.clone());
            }
        }
        let first_default = parameters.len() - definition.defaults.len();
        for (place, parameter) in parameters.iter().enumerate().filter(|(place, _)| values[*place].is_none())
        {
            let default = place.checked_sub(first_default).and_then(|place| definition.defaults.get(place));
            let value = match default {
                Some(default) => self.value(default, &scope)?,
                None => Value::undefined(format!("parameter '{parameter}' was not provided")),
            };
            scope.set(parameter, value);
        }
        let (text, _) = self.captured(&definition.body, &scope)?;
        Ok(Value::text(text))
    }
}

fn function(name: &str, given: Given) -> Result<Value> {
    match name {
        "range" => range(given),
        "dict" => Ok(Value::Dict(Rc::new(dict(given)?))),
        "namespace" => Ok(Value::Namespace(Rc::new(RefCell::new(dict(given)?)))),
        "raise_exception" => {
            let [message] = given.bind(name, ["message"])?;
            fail(display(&required(message, name, "message")?)?)
        }
        "strftime_now" => {
            let [format] = given.bind(name, ["format"])?;
            match required(format, name, "format")?.as_text() {
                Some(format) => Ok(Value::text(date::now_as(format))),
                None => fail("strftime() argument 1 must be str"),
            }
        }
        "cycler" => {
            if given.positional.is_empty() {
                return fail("at least one item has to be provided");
            }
            Ok(Value::callable(Callable::Cycler { items: given.positional, place: RefCell::new(0) }))
        }
        "joiner" => {
            let [separator] = given.bind(name, ["sep"])?;
            let separator = separator.unwrap_or_else(|| Value::text(", "));
            Ok(Value::callable(Callable::Joiner { separator, used: RefCell::new(false) }))
        }
        _ => fail(format!("'{name}' writes another text each time, which is not supported")),
    }
}

fn range(given: Given) -> Result<Value> {
    if !given.named.is_empty() {
        return fail("range() takes no keyword arguments");
    }
    let mut bounds = Vec::new();
    for value in &given.positional {
        value.check_defined()?;
        match value.as_integer() {
            Some(bound) => bounds.push(bound),
            None => return fail(format!("'{}' object cannot be interpreted as an integer", value.kind())),
        }
    }
    let range = match *bounds {
        [stop] => Range { start: 0, stop, step: 1 },
        [start, stop] => Range { start, stop, step: 1 },
        [_, _, 0] => return fail("range() arg 3 must not be zero"),
        [start, stop, step] => Range { start, stop, step },
        [] => return fail("range expected at least 1 argument, got 0"),
        _ => return fail(format!("range expected at most 3 arguments, got {}", bounds.len())),
    };
    if bounds.iter().any(|bound| bound.unsigned_abs() > u128::from(u64::MAX)) || range.len() > LONGEST_RANGE {
        return fail(format!(
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LONGEST_RANGE})."
        ));
    }
    Ok(Value::Range(range))
}

/// Python's `dict(…)`: the entries of a dictionary or of pairs, and the named arguments.
fn dict(given: Given) -> Result<Dict> {
    let mut dict = match given.positional.as_slice() {
        [] => Dict::default(),
        [Value::Dict(dict)] => (**dict).clone(),
        [pairs] => {
            let mut dict = Dict::default();
            for (place, pair) in pairs.to_vec()?.iter().enumerate() {
                let parts = pair.to_vec()?;
                let [key, value] = parts.as_slice() else {
                    return fail(format!(
                        "dictionary update sequence element #{place} has length {}; 2 is required",
                        parts.len()
                    ));
                };
                dict.insert(key.clone(), value.clone())?;
            }
            dict
        }
        more => return fail(format!("dict expected at most 1 argument, got {}", more.len())),
    };
    for (name, value) in given.named {
        dict.insert(Value::Text(name), value)?;
    }
    Ok(dict)
}
