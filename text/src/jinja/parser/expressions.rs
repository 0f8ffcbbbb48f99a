//! Expressions, by descending binding strength from the bottom of the file to its top.

use super::Parser;
use crate::jinja::ast::{Binary, Comparison, Expression, ExpressionKind as Kind};
use crate::jinja::error::Result;
use crate::jinja::lexer::Token;

/// How deep expressions may be nested; each level takes room on the stack.
const DEEPEST: usize = 60;

/// How many operators, filters and attributes a statement may have in a row, each of which is inside of the next.
const LONGEST: usize = 1000;

impl Parser {
    pub(super) fn link(&mut self) -> Result<()> {
        self.links += 1;
        if self.links > LONGEST {
            return self.fail(format!("a statement has more than {LONGEST} operators"));
        }
        Ok(())
    }

    /// Expressions with commas between them are a tuple.
    pub(super) fn tuple(&mut self, conditional: bool, parenthesised: bool) -> Result<Expression> {
        let line = self.line();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if matches!(self.peek(), Token::VariableEnd | Token::BlockEnd | Token::Operator(")"))
                || self.is_name("recursive")
            {
                break;
            }
            items.push(self.expression(conditional)?);
            if !self.is_operator(",") {
                break;
            }
            is_tuple = true;
        }
        match items.pop() {
            Some(only) if !is_tuple => Ok(only),
            None if !parenthesised => self.fail(format!("Expected an expression, got '{}'", self.describe())),
            last => {
                items.extend(last);
                Ok(Expression { line, kind: Kind::Tuple(items) })
            }
        }
    }

    pub(super) fn expression(&mut self, conditional: bool) -> Result<Expression> {
        self.deeper(|parser| parser.conditional(conditional))
    }

    /// A level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail(format!("expressions are nested more than {DEEPEST} levels deep"));
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn conditional(&mut self, conditional: bool) -> Result<Expression> {
        let known = self.unknown.len();
        let mut value = self.or()?;
        while conditional && self.skip_name("if") {
            self.link()?;
            let line = value.line;
            let condition = Box::new(self.or()?);
            let otherwise =
                if self.skip_name("else") { Some(Box::new(self.expression(true)?)) } else { None };
            value = Expression { line, kind: Kind::Conditional(condition, Box::new(value), otherwise) };
            self.unknown.truncate(known);
        }
        Ok(value)
    }

    fn or(&mut self) -> Result<Expression> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            self.link()?;
            let (line, right) = (left.line, self.and()?);
            left = Expression { line, kind: Kind::Or(Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            self.link()?;
            let (line, right) = (left.line, self.not()?);
            left = Expression { line, kind: Kind::And(Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression> {
        let line = self.line();
        let mut negations = 0;
        while self.skip_name("not") {
            self.link()?;
            negations += 1;
        }
        let mut value = self.compare()?;
        for _ in 0..negations {
            value = Expression { line, kind: Kind::Not(Box::new(value)) };
        }
        Ok(value)
    }

    fn compare(&mut self) -> Result<Expression> {
        let first = self.sum()?;
        let mut others = Vec::new();
        loop {
            let comparison = match self.peek() {
                Token::Operator("==") => Comparison::Equal,
                Token::Operator("!=") => Comparison::NotEqual,
                Token::Operator("<") => Comparison::Less,
                Token::Operator("<=") => Comparison::LessOrEqual,
                Token::Operator(">") => Comparison::Greater,
                Token::Operator(">=") => Comparison::GreaterOrEqual,
                Token::Name(name) if &**name == "in" => Comparison::In,
                Token::Name(name) if &**name == "not" && self.next_is_name("in") => {
                    self.next();
                    Comparison::NotIn
                }
                _ => break,
            };
            self.next();
            others.push((comparison, self.sum()?));
        }
        if others.is_empty() {
            return Ok(first);
        }
        Ok(Expression { line: first.line, kind: Kind::Compare(Box::new(first), others) })
    }

    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.concat()?;
        loop {
            let operator = match self.peek() {
                Token::Operator("+") => Binary::Add,
                Token::Operator("-") => Binary::Subtract,
                _ => return Ok(left),
            };
            self.next();
            self.link()?;
            let (line, right) = (left.line, self.concat()?);
            left = Expression { line, kind: Kind::Binary(operator, Box::new(left), Box::new(right)) };
        }
    }

    fn concat(&mut self) -> Result<Expression> {
        let first = self.product()?;
        if !self.is_operator("~") {
            return Ok(first);
        }
        let line = first.line;
        let mut parts = vec![first];
        while self.skip_operator("~") {
            parts.push(self.product()?);
        }
        Ok(Expression { line, kind: Kind::Concat(parts) })
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.power()?;
        loop {
            let operator = match self.peek() {
                Token::Operator("*") => Binary::Multiply,
                Token::Operator("/") => Binary::Divide,
                Token::Operator("//") => Binary::FloorDivide,
                Token::Operator("%") => Binary::Modulo,
                _ => return Ok(left),
            };
            self.next();
            self.link()?;
            let (line, right) = (left.line, self.power()?);
            left = Expression { line, kind: Kind::Binary(operator, Box::new(left), Box::new(right)) };
        }
    }

    /// From left to right, unlike Python's.
    fn power(&mut self) -> Result<Expression> {
        let mut left = self.unary(true)?;
        while self.skip_operator("**") {
            self.link()?;
            let (line, right) = (left.line, self.unary(true)?);
            left = Expression { line, kind: Kind::Binary(Binary::Power, Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn unary(&mut self, filters: bool) -> Result<Expression> {
        let line = self.line();
        let value = if self.is_operator("-") || self.is_operator("+") {
            let negative = self.is_operator("-");
            self.next();
            let value = Box::new(self.deeper(|parser| parser.unary(false))?);
            Expression { line, kind: if negative { Kind::Negative(value) } else { Kind::Positive(value) } }
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if filters { self.filters(value) } else { Ok(value) }
    }

    fn filters(&mut self, mut value: Expression) -> Result<Expression> {
        loop {
            value = match self.peek() {
                Token::Operator("|") => {
                    self.next();
                    self.filter(value)?
                }
                Token::Name(name) if &**name == "is" => self.test(value)?,
                Token::Operator("(") => self.call(value)?,
                _ => return Ok(value),
            };
            self.link()?;
        }
    }

    pub(super) fn primary(&mut self) -> Result<Expression> {
        let line = self.line();
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                match &*name {
                    "true" | "True" => Kind::Bool(true),
                    "false" | "False" => Kind::Bool(false),
                    "none" | "None" => Kind::None,
                    _ => Kind::Name(name),
                }
            }
            Token::Text(mut text) => {
                self.next();
                while let Token::Text(more) = self.peek() {
                    text.push_str(more);
                    self.next();
                }
                Kind::Text(text.into())
            }
            Token::Integer(integer) => {
                self.next();
                Kind::Integer(integer)
            }
            Token::Float(float) => {
                self.next();
                Kind::Float(float)
            }
            Token::Operator("(") => {
                self.next();
                let inside = self.tuple(true, true)?;
                self.expect_operator(")")?;
                return Ok(inside);
            }
            Token::Operator("[") => {
                self.next();
                Kind::List(self.items("]", |parser| parser.expression(true))?)
            }
            Token::Operator("{") => {
                self.next();
                let entry = |parser: &mut Self| {
                    let key = parser.expression(true)?;
                    parser.expect_operator(":")?;
                    Ok((key, parser.expression(true)?))
                };
                Kind::Dict(self.items("}", entry)?)
            }
            _ => return self.fail(format!("unexpected '{}'", self.describe())),
        };
        Ok(Expression { line, kind })
    }

    /// What stands between commas, the last of which may be followed by nothing.
    fn items<T>(&mut self, close: &'static str, one: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.is_operator(close) {
            if !items.is_empty() {
                self.expect_operator(",")?;
                if self.is_operator(close) {
                    break;
                }
            }
            items.push(one(self)?);
        }
        self.expect_operator(close)?;
        Ok(items)
    }
}
