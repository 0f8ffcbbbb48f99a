//! From tokens to statements. As Jinja2 3.1's `parser.py`, with the loop controls and transformers' `generation`.

mod expressions;
mod postfix;
mod statements;

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Arguments, Body, Statement, StatementKind as Kind};
use super::error::{JinjaError, Result};
use super::lexer::{Placed, Token, tokens};

/// How deep statements may be nested; each level takes room on the stack.
const DEEPEST: usize = 60;

/// A template's statements, and those of its blocks by name.
pub(super) struct Parsed {
    pub body: Body,
    pub blocks: HashMap<Arc<str>, Body>,
    /// There is a `generation` statement.
    pub marks_generation: bool,
}

/// # Errors
/// If `source` is not valid Jinja.
pub(super) fn parse(source: &str) -> Result<Parsed> {
    let mut parser = Parser {
        tokens: tokens(source)?,
        place: 0,
        depth: 0,
        statements: 0,
        loops: 0,
        uses: Vec::new(),
        blocks: HashMap::new(),
        ends: Vec::new(),
        marks_generation: false,
        links: 0,
        optional: 0,
        unknown: Vec::new(),
    };
    let body = parser.body(&[])?;
    Ok(Parsed { body, blocks: parser.blocks, marks_generation: parser.marks_generation })
}

/// Which of the special names a macro's body reads.
#[derive(Clone, Copy, Default)]
struct Uses {
    caller: bool,
    varargs: bool,
    kwargs: bool,
}

struct Parser {
    tokens: Vec<Placed>,
    place: usize,
    /// Levels of nested expressions.
    depth: usize,
    /// Levels of nested statements.
    statements: usize,
    /// Loops around, which `break` could end.
    loops: usize,
    /// Of each macro around, the innermost last.
    uses: Vec<Uses>,
    blocks: HashMap<Arc<str>, Body>,
    /// What could end each of the statements around.
    ends: Vec<&'static [&'static str]>,
    marks_generation: bool,
    /// Operators and the like in this statement.
    links: usize,
    /// Branches around, in which an unknown filter fails only where it is reached.
    optional: usize,
    /// Unknown filters and tests of the statement that is being read.
    unknown: Vec<JinjaError>,
}

impl Parser {
    fn note_unknown(&mut self, message: String, line: usize) {
        if self.optional == 0 {
            self.unknown.push(JinjaError::new(message).at(line));
        }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.place.min(self.tokens.len() - 1)].0
    }

    fn peek_next(&self) -> Token {
        self.tokens.get(self.place + 1).map_or(Token::End, |placed| placed.0.clone())
    }

    fn line(&self) -> usize {
        self.tokens[self.place.min(self.tokens.len() - 1)].1
    }

    fn next(&mut self) {
        // The special names are noted wherever they occur.
        if let (Token::Name(name), Some(uses)) = (&self.tokens[self.place].0, self.uses.last_mut()) {
            match &**name {
                "caller" => uses.caller = true,
                "varargs" => uses.varargs = true,
                "kwargs" => uses.kwargs = true,
                _ => {}
            }
        }
        self.place = (self.place + 1).min(self.tokens.len() - 1);
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(JinjaError::new(message).at(self.line()))
    }

    /// The next token in words.
    fn describe(&self) -> String {
        match self.peek() {
            Token::Data(_) => "template data / text".into(),
            Token::BlockBegin => "begin of statement block".into(),
            Token::BlockEnd => "end of statement block".into(),
            Token::VariableBegin => "begin of print statement".into(),
            Token::VariableEnd => "end of print statement".into(),
            Token::Name(name) => name.to_string(),
            Token::Text(_) => "string".into(),
            Token::Integer(_) => "integer".into(),
            Token::Float(_) => "float".into(),
            Token::Operator(operator) => (*operator).into(),
            Token::End => "end of template".into(),
        }
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        match self.peek() {
            Token::End => self.fail(format!("unexpected end of template, expected '{what}'.")),
            _ => self.fail(format!("expected token '{what}', got '{}'", self.describe())),
        }
    }

    fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Token::Operator(found) if *found == operator)
    }

    fn skip_operator(&mut self, operator: &str) -> bool {
        let found = self.is_operator(operator);
        if found {
            self.next();
        }
        found
    }

    fn expect_operator(&mut self, operator: &str) -> Result<()> {
        if self.skip_operator(operator) { Ok(()) } else { self.expected(operator) }
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if &**found == name)
    }

    fn next_is_name(&self, name: &str) -> bool {
        matches!(self.peek_next(), Token::Name(found) if &*found == name)
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    fn expect_name(&mut self) -> Result<Arc<str>> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                Ok(name)
            }
            _ => self.expected("name"),
        }
    }

    fn expect_keyword(&mut self, name: &str) -> Result<()> {
        if self.skip_name(name) { Ok(()) } else { self.expected(name) }
    }

    fn block_end(&mut self) -> Result<()> {
        if *self.peek() != Token::BlockEnd {
            return self.expected("end of statement block");
        }
        self.next();
        Ok(())
    }

    /// Statements up to one of the tags `ends`, whose name is left as the next token; all of them if there are none.
    fn body(&mut self, ends: &'static [&'static str]) -> Result<Body> {
        self.statements += 1;
        if self.statements > DEEPEST {
            return self.fail(format!("statements are nested more than {DEEPEST} levels deep"));
        }
        if !ends.is_empty() {
            self.ends.push(ends);
        }
        let mut body = Vec::new();
        loop {
            let line = self.line();
            self.links = 0;
            match self.peek().clone() {
                Token::Data(text) => {
                    self.next();
                    body.push(Statement { line, kind: Kind::Text(text) });
                }
                Token::VariableBegin => {
                    self.next();
                    let value = self.tuple(true, false)?;
                    if *self.peek() != Token::VariableEnd {
                        return self.expected("end of print statement");
                    }
                    self.next();
                    body.push(Statement { line, kind: Kind::Output(value) });
                }
                Token::BlockBegin => {
                    self.next();
                    if ends.iter().any(|end| self.is_name(end)) {
                        break;
                    }
                    self.statement(&mut body)?;
                    self.block_end()?;
                }
                Token::End if ends.is_empty() => break,
                Token::End => {
                    let known = self.looking_for();
                    return self.fail(format!(
                        "Unexpected end of template. Jinja was looking for the following tags: {known}"
                    ));
                }
                _ => return self.fail(format!("unexpected '{}'", self.describe())),
            }
            if let Some(error) = self.unknown.pop() {
                return Err(error);
            }
        }
        if !ends.is_empty() {
            self.ends.pop();
        }
        self.statements -= 1;
        Ok(body)
    }

    /// What could come where the statement around goes on, and which one that is.
    fn looking_for(&self) -> String {
        let Some(ends) = self.ends.last() else { return String::new() };
        let quoted: Vec<String> = ends.iter().map(|end| format!("'{end}'")).collect();
        let innermost = ends.iter().find_map(|end| end.strip_prefix("end")).unwrap_or_default();
        format!("{}. The innermost block that needs to be closed is '{innermost}'.", quoted.join(" or "))
    }

    fn unknown_tag<T>(&self, tag: &str, line: usize) -> Result<T> {
        let known = self.looking_for();
        let mut message = format!("Encountered unknown tag '{tag}'.");
        if self.ends.iter().any(|ends| ends.contains(&tag)) {
            message.push_str(" You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for ");
            message.push_str(&known);
        } else if !known.is_empty() {
            message.push_str(" Jinja was looking for the following tags: ");
            message.push_str(&known);
        }
        Err(JinjaError::new(message).at(line))
    }

    /// The body of a statement whose head has been read, and its last tag.
    fn rest(&mut self, ends: &'static [&'static str]) -> Result<Body> {
        self.skip_operator(":");
        self.block_end()?;
        self.body(ends)
    }

    fn body_until(&mut self, end: &'static [&'static str]) -> Result<Body> {
        let optional = std::mem::take(&mut self.optional);
        let body = self.rest(end)?;
        self.optional = optional;
        self.next();
        Ok(body)
    }
}

impl Arguments {
    /// As many values, none by name.
    pub(super) fn is_empty(&self) -> bool {
        self.positional.is_empty()
            && self.named.is_empty()
            && self.spread.is_none()
            && self.spread_named.is_none()
    }
}
