//! What follows a value: attributes, items, calls, filters and tests.

use std::sync::Arc;

use super::Parser;
use crate::jinja::ast::{Arguments, Expression, ExpressionKind as Kind};
use crate::jinja::error::Result;
use crate::jinja::lexer::Token;
use crate::jinja::{checks, filters};

impl Parser {
    pub(super) fn postfix(&mut self, mut value: Expression) -> Result<Expression> {
        loop {
            value = match self.peek() {
                Token::Operator(".") => self.attribute(value)?,
                Token::Operator("[") => self.subscript(value)?,
                Token::Operator("(") => self.call(value)?,
                _ => return Ok(value),
            };
            self.link()?;
        }
    }

    fn attribute(&mut self, value: Expression) -> Result<Expression> {
        let line = self.line();
        self.next();
        let kind = match self.peek().clone() {
            Token::Name(name) => Kind::Attribute(Box::new(value), name),
            Token::Integer(integer) => {
                let item = Expression { line, kind: Kind::Integer(integer) };
                Kind::Item(Box::new(value), Box::new(item))
            }
            _ => return self.fail("expected name or number"),
        };
        self.next();
        Ok(Expression { line, kind })
    }

    fn subscript(&mut self, value: Expression) -> Result<Expression> {
        let line = self.line();
        self.next();
        let mut parts = [None, None, None];
        let mut place = 0;
        loop {
            if self.is_operator("]") {
                break;
            }
            if self.skip_operator(":") {
                place += 1;
                if place > 2 {
                    return self.fail("a slice has three parts at most");
                }
            } else if parts[place].is_none() {
                parts[place] = Some(self.expression(true)?);
                if place == 0 && self.is_operator(",") {
                    return self.tuple_subscript(value, parts[0].take());
                }
            } else {
                return self.fail(format!("expected token ',', got '{}'", self.describe()));
            }
        }
        self.expect_operator("]")?;
        let kind = match (place, parts) {
            (0, [Some(item), ..]) => Kind::Item(Box::new(value), Box::new(item)),
            (0, _) => {
                Kind::Item(Box::new(value), Box::new(Expression { line, kind: Kind::Tuple(Vec::new()) }))
            }
            (_, parts) => Kind::Slice(Box::new(value), Box::new(parts)),
        };
        Ok(Expression { line, kind })
    }

    fn tuple_subscript(&mut self, value: Expression, first: Option<Expression>) -> Result<Expression> {
        let line = value.line;
        let mut items: Vec<Expression> = first.into_iter().collect();
        while self.skip_operator(",") {
            items.push(self.expression(true)?);
        }
        self.expect_operator("]")?;
        let item = Expression { line, kind: Kind::Tuple(items) };
        Ok(Expression { line, kind: Kind::Item(Box::new(value), Box::new(item)) })
    }

    pub(super) fn call(&mut self, value: Expression) -> Result<Expression> {
        let line = self.line();
        let arguments = Box::new(self.arguments()?);
        Ok(Expression { line, kind: Kind::Call(Box::new(value), arguments) })
    }

    fn arguments(&mut self) -> Result<Arguments> {
        const WRONG: &str = "invalid syntax for function call expression";
        self.expect_operator("(")?;
        let mut arguments = Arguments::default();
        let mut first = true;
        while !self.is_operator(")") {
            if !first {
                self.expect_operator(",")?;
                if self.is_operator(")") {
                    break;
                }
            }
            first = false;
            let spread = arguments.spread.is_some() || arguments.spread_named.is_some();
            if self.skip_operator("*") {
                if spread {
                    return self.fail(WRONG);
                }
                arguments.spread = Some(self.expression(true)?);
            } else if self.skip_operator("**") {
                if arguments.spread_named.is_some() {
                    return self.fail(WRONG);
                }
                arguments.spread_named = Some(self.expression(true)?);
            } else if let (Token::Name(name), Token::Operator("=")) = (self.peek().clone(), self.peek_next())
            {
                if arguments.spread_named.is_some() {
                    return self.fail(WRONG);
                }
                self.next();
                self.next();
                arguments.named.push((name, self.expression(true)?));
            } else {
                if spread || !arguments.named.is_empty() {
                    return self.fail(WRONG);
                }
                arguments.positional.push(self.expression(true)?);
            }
        }
        self.expect_operator(")")?;
        Ok(arguments)
    }

    fn dotted_name(&mut self) -> Result<Arc<str>> {
        let first = self.expect_name()?;
        if !self.is_operator(".") {
            return Ok(first);
        }
        let mut name = first.to_string();
        while self.skip_operator(".") {
            name.push('.');
            name.push_str(&self.expect_name()?);
        }
        Ok(name.into())
    }

    /// A filter's name and arguments, applied to `value`.
    pub(super) fn filter(&mut self, value: Expression) -> Result<Expression> {
        let line = self.line();
        let name = self.dotted_name()?;
        if !filters::exists(&name) {
            self.note_unknown(format!("No filter named '{name}'."), line);
        }
        let arguments = if self.is_operator("(") { self.arguments()? } else { Arguments::default() };
        Ok(Expression { line, kind: Kind::Filter(Box::new(value), name, Box::new(arguments)) })
    }

    pub(super) fn test(&mut self, value: Expression) -> Result<Expression> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        if !checks::exists(&name) {
            self.note_unknown(format!("No test named '{name}'."), line);
        }
        let mut arguments = Arguments::default();
        match self.peek() {
            Token::Operator("(") => arguments = self.arguments()?,
            Token::Name(word) if matches!(&**word, "else" | "or" | "and") => {}
            Token::Name(word) if &**word == "is" => {
                return self.fail("You cannot chain multiple tests with is");
            }
            Token::Name(_)
            | Token::Text(_)
            | Token::Integer(_)
            | Token::Float(_)
            | Token::Operator("[" | "{") => {
                let argument = self.primary()?;
                arguments.positional.push(self.postfix(argument)?);
            }
            _ => {}
        }
        let mut test = Expression { line, kind: Kind::Test(Box::new(value), name, Box::new(arguments)) };
        if negated {
            test = Expression { line, kind: Kind::Not(Box::new(test)) };
        }
        Ok(test)
    }
}
