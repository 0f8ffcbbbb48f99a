//! The arguments of a call, and which parameter gets which.

use std::sync::Arc;

use super::error::{Result, fail};
use super::value::Value;

/// What a call hands over.
#[derive(Clone, Default)]
pub(super) struct Given {
    pub positional: Vec<Value>,
    pub named: Vec<(Arc<str>, Value)>,
}

impl Given {
    /// One value for each of `parameters`, nothing where none was given.
    ///
    /// # Errors
    /// If there are more values, or one of another name.
    pub(super) fn bind<const N: usize>(
        self,
        function: &str,
        parameters: [&str; N],
    ) -> Result<[Option<Value>; N]> {
        let mut bound = [const { None }; N];
        let count = self.positional.len();
        if count > N {
            return fail(format!("{function}() takes at most {N} arguments ({count} given)"));
        }
        for (place, value) in self.positional.into_iter().enumerate() {
            bound[place] = Some(value);
        }
        for (name, value) in self.named {
            match parameters.iter().position(|parameter| **parameter == *name) {
                Some(place) if bound[place].is_none() => bound[place] = Some(value),
                Some(_) => return fail(format!("{function}() got multiple values for argument '{name}'")),
                None => return fail(format!("{function}() got an unexpected keyword argument '{name}'")),
            }
        }
        Ok(bound)
    }

    /// # Errors
    /// If there is an argument.
    pub(super) fn none(self, function: &str) -> Result<()> {
        self.bind(function, []).map(|_| ())
    }
}

/// An argument that must be given.
///
/// # Errors
/// If it was not.
pub(super) fn required(value: Option<Value>, function: &str, name: &str) -> Result<Value> {
    match value {
        Some(value) => Ok(value),
        None => fail(format!("{function}() missing 1 required positional argument: '{name}'")),
    }
}

/// A whole number, where one was given and is not `None`.
///
/// # Errors
/// If the argument is something else.
pub(super) fn integer(value: Option<Value>) -> Result<Option<i128>> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => {
            value.check_defined()?;
            match value.as_integer() {
                Some(integer) => Ok(Some(integer)),
                None => fail(format!("'{}' object cannot be interpreted as an integer", value.kind())),
            }
        }
    }
}
