//! From a template's source to tokens, with Jinja2's rules about the blanks around tags.
//!
//! transformers sets `trim_blocks` (the line break behind a statement or comment goes) and `lstrip_blocks` (blanks in
//! front of a statement or comment that starts its line go). As Jinja2 3.1's `lexer.py`.

use std::sync::Arc;

use super::error::{JinjaError, Result};
use super::value::is_space;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text outside of tags.
    Data(Arc<str>),
    BlockBegin,
    BlockEnd,
    VariableBegin,
    VariableEnd,
    Name(Arc<str>),
    Text(String),
    Integer(i128),
    Float(f64),
    Operator(&'static str),
    End,
}

/// A token and its line.
pub(super) type Placed = (Token, usize);

/// Longer ones first.
const OPERATORS: [&str; 26] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";",
];

/// All tokens of `source`, the end included.
///
/// # Errors
/// If a tag, comment or text is not closed, or a character has no meaning.
pub(super) fn tokens(source: &str) -> Result<Vec<Placed>> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer =
        Lexer { source: &source, place: 0, line: 1, counted: 0, line_starting: true, out: Vec::new() };
    lexer.template()?;
    let line = lexer.line_at(source.len());
    lexer.out.push((Token::End, line));
    Ok(lexer.out)
}

struct Lexer<'a> {
    source: &'a str,
    place: usize,
    /// The line of byte `counted`.
    line: usize,
    counted: usize,
    /// What was last read ended with a line break.
    line_starting: bool,
    out: Vec<Placed>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.place..]
    }

    fn line_at(&mut self, place: usize) -> usize {
        if place > self.counted {
            self.line += self.source[self.counted..place].matches('\n').count();
            self.counted = place;
        }
        self.line
    }

    fn fail<T>(&mut self, message: impl Into<String>) -> Result<T> {
        let line = self.line_at(self.place);
        Err(JinjaError::new(message).at(line))
    }

    fn push(&mut self, token: Token, place: usize) {
        let line = self.line_at(place);
        self.out.push((token, line));
    }

    /// Goes on behind `length` bytes.
    fn advance(&mut self, length: usize) {
        let end = self.place + length;
        self.line_starting = self.source[..end].ends_with('\n') && length > 0;
        self.place = end;
    }

    fn blanks(&self, from: usize) -> usize {
        let rest = &self.source[from..];
        rest.len() - rest.trim_start_matches(is_space).len()
    }

    fn template(&mut self) -> Result<()> {
        while self.place < self.source.len() {
            let Some((offset, kind)) = first_tag(self.rest()) else {
                let text = self.rest().to_owned();
                self.push(Token::Data(text.into()), self.place);
                return Ok(());
            };
            let tag = self.place + offset;
            let raw = (kind == '%').then(|| raw_begin(&self.source[tag..])).flatten();
            let sign = self.source[tag + 2..].chars().next().filter(|c| "+-".contains(*c));
            self.data(offset, sign, kind != '{');
            match (kind, raw) {
                (_, Some((length, strips))) => {
                    let blanks = if strips { self.blanks(tag + length) } else { 0 };
                    self.place = tag;
                    self.advance(length + blanks);
                    self.raw()?;
                }
                ('#', _) => {
                    self.place = tag;
                    self.advance(2 + usize::from(sign.is_some()));
                    self.comment()?;
                }
                _ => {
                    self.place = tag;
                    self.push(if kind == '%' { Token::BlockBegin } else { Token::VariableBegin }, tag);
                    self.advance(2 + usize::from(sign.is_some()));
                    self.tag(kind == '%')?;
                }
            }
        }
        Ok(())
    }

    /// The text of `length` bytes in front of a tag with that sign.
    fn data(&mut self, length: usize, sign: Option<char>, may_strip: bool) {
        let place = self.place;
        let mut text = &self.source[place..place + length];
        if sign == Some('-') {
            text = text.trim_end_matches(is_space);
        } else if sign.is_none() && may_strip {
            let start = text.rfind('\n').map_or(0, |at| at + 1);
            let blank = start < text.len() && text[start..].chars().all(is_space);
            if blank && (start > 0 || self.line_starting) {
                text = &text[..start];
            }
        }
        if !text.is_empty() {
            let text = text.into();
            self.push(Token::Data(text), place);
        }
    }

    /// What an end tag takes with it: its sign and delimiter, and blanks or a line break behind.
    fn end_tag(&self, from: usize, delimiter: &str, trims: bool) -> Option<usize> {
        let rest = &self.source[from..];
        let signed = |sign| rest.strip_prefix(sign).is_some_and(|rest: &str| rest.starts_with(delimiter));
        if signed('+') && trims {
            Some(1 + delimiter.len())
        } else if signed('-') {
            let length = 1 + delimiter.len();
            Some(length + self.blanks(from + length))
        } else {
            let behind = rest.strip_prefix(delimiter)?;
            Some(delimiter.len() + usize::from(trims && behind.starts_with('\n')))
        }
    }

    fn comment(&mut self) -> Result<()> {
        let Some(offset) = self.rest().find("#}") else { return self.fail("Missing end of comment tag") };
        let signed = self.rest()[..offset].ends_with(['+', '-']);
        let end = self.place + offset - usize::from(signed);
        let length = self.end_tag(end, "#}", true).unwrap_or_default();
        self.advance(end + length - self.place);
        Ok(())
    }

    fn raw(&mut self) -> Result<()> {
        let mut from = self.place;
        while let Some(offset) = self.source[from..].find("{%") {
            let tag = from + offset;
            let sign = self.source[tag + 2..].chars().next().filter(|c| "+-".contains(*c));
            let mut end = tag + 2 + usize::from(sign.is_some());
            end += self.blanks(end);
            if self.source[end..].starts_with("endraw") {
                end += "endraw".len();
                end += self.blanks(end);
                if let Some(length) = self.end_tag(end, "%}", true) {
                    self.data(tag - self.place, sign, true);
                    self.advance(end + length - self.place);
                    return Ok(());
                }
            }
            from = tag + 2;
        }
        self.fail("Missing end of raw directive")
    }

    /// The inside of a statement or an expression, up to its end.
    fn tag(&mut self, block: bool) -> Result<()> {
        let (delimiter, end) = if block { ("%}", Token::BlockEnd) } else { ("}}", Token::VariableEnd) };
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            if open.is_empty()
                && let Some(length) = self.end_tag(self.place, delimiter, block)
            {
                self.push(end, self.place);
                self.advance(length);
                return Ok(());
            }
            let Some(c) = self.rest().chars().next() else {
                // The parser says what is missing.
                return Ok(());
            };
            let place = self.place;
            let (token, length) = if is_space(c) {
                self.advance(self.blanks(place));
                continue;
            } else if c.is_ascii_digit() {
                self.number()?
            } else if c == '_' || c.is_alphanumeric() {
                let name = self.rest();
                let length = name.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(name.len());
                (Token::Name(name[..length].into()), length)
            } else if c == '\'' || c == '"' {
                self.text(c)?
            } else if let Some(operator) =
                OPERATORS.iter().find(|operator| self.rest().starts_with(**operator))
            {
                self.balance(operator, &mut open)?;
                (Token::Operator(operator), operator.len())
            } else {
                return self.fail(format!("unexpected char {c:?} at {place}"));
            };
            self.push(token, place);
            self.advance(length);
        }
    }

    fn balance(&mut self, operator: &'static str, open: &mut Vec<&'static str>) -> Result<()> {
        match operator {
            "{" => open.push("}"),
            "(" => open.push(")"),
            "[" => open.push("]"),
            "}" | ")" | "]" => match open.pop() {
                None => return self.fail(format!("unexpected '{operator}'")),
                Some(expected) if expected != operator => {
                    return self.fail(format!("unexpected '{operator}', expected '{expected}'"));
                }
                Some(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(Token, usize)> {
        let rest = self.rest();
        let digits = |from: usize, is_digit: fn(&char) -> bool| -> usize {
            let mut length = 0;
            let mut chars = rest[from..].chars().peekable();
            while let Some(c) = chars.next() {
                let joined = c == '_' && length > 0 && chars.peek().is_some_and(is_digit);
                if !is_digit(&c) && !joined {
                    break;
                }
                length += 1;
            }
            length
        };
        let decimal: fn(&char) -> bool = char::is_ascii_digit;
        let whole = digits(0, decimal);
        let mut length = whole;
        if !self.source[..self.place].ends_with('.') {
            if rest[length..].starts_with('.') && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit())
            {
                length += 1 + digits(length + 1, decimal);
            }
            if rest[length..].starts_with(['e', 'E']) {
                let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
                let exponent = digits(length + 1 + sign, decimal);
                if exponent > 0 {
                    length += 1 + sign + exponent;
                }
            }
        }
        if length > whole {
            return match rest[..length].replace('_', "").parse() {
                Ok(float) => Ok((Token::Float(float), length)),
                Err(_) => self.fail("this number is not one"),
            };
        }
        let (radix, is_digit): (u32, fn(&char) -> bool) =
            match rest.as_bytes().get(1).map(u8::to_ascii_lowercase) {
                Some(b'x') => (16, char::is_ascii_hexdigit),
                Some(b'o') => (8, |c| ('0'..='7').contains(c)),
                Some(b'b') => (2, |c| matches!(c, '0' | '1')),
                _ => (10, decimal),
            };
        let (start, length) = match digits(2.min(rest.len()), is_digit) {
            more if radix != 10 && rest.starts_with('0') && more > 0 => (2, 2 + more),
            _ => (0, whole),
        };
        let radix = if start == 0 { 10 } else { radix };
        match i128::from_str_radix(&rest[start..length].replace('_', ""), radix) {
            Ok(integer) => Ok((Token::Integer(integer), length)),
            Err(_) => self.fail(format!("the integer {} is too large", &rest[..length].to_owned())),
        }
    }

    /// A quoted text, with the escapes of Python's `unicode-escape`.
    fn text(&mut self, quote: char) -> Result<(Token, usize)> {
        let inside = &self.rest()[1..];
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                return Ok((Token::Text(text), at + 2));
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let Some((at, escaped)) = chars.next() else { break };
            let (code, length) = match escaped {
                'x' => (hexadecimal(inside, at + 1, 2), 2),
                'u' => (hexadecimal(inside, at + 1, 4), 4),
                'U' => (hexadecimal(inside, at + 1, 8), 8),
                'N' => (None, 0),
                '0'..='7' => {
                    let octal = |c: char| c.is_digit(8);
                    let length = 1 + inside[at + 1..].chars().take(2).take_while(|c| octal(*c)).count();
                    (
                        u32::from_str_radix(&inside[at..at + length], 8).ok().and_then(char::from_u32),
                        length - 1,
                    )
                }
                other => {
                    match other {
                        '\n' => {}
                        '\\' | '\'' | '"' => text.push(other),
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        'a' => text.push('\x07'),
                        'b' => text.push('\x08'),
                        'f' => text.push('\x0c'),
                        'v' => text.push('\x0b'),
                        other => text.extend(['\\', other]),
                    }
                    continue;
                }
            };
            match code {
                Some(c) => text.push(c),
                None => return self.fail(format!("the escape \\{escaped} in a text names no character")),
            }
            for _ in 0..length {
                chars.next();
            }
        }
        self.fail(format!("unexpected char {quote:?} at {}", self.place))
    }
}

fn hexadecimal(text: &str, from: usize, length: usize) -> Option<char> {
    u32::from_str_radix(text.get(from..from + length)?, 16).ok().and_then(char::from_u32)
}

/// Where the next tag begins, and its second character.
fn first_tag(text: &str) -> Option<(usize, char)> {
    text.match_indices('{').find_map(|(at, _)| match text[at + 1..].chars().next()? {
        kind @ ('{' | '%' | '#') => Some((at, kind)),
        _ => None,
    })
}

/// The length of the `{% raw %}` that `text` starts with, and whether it strips what follows.
fn raw_begin(text: &str) -> Option<(usize, bool)> {
    let rest = text[2..].trim_start_matches(['+', '-']);
    let rest = if text[2..].len() - rest.len() > 1 { &text[3..] } else { rest };
    let rest = rest.trim_start_matches(is_space).strip_prefix("raw")?.trim_start_matches(is_space);
    let strips = rest.starts_with('-');
    let rest = rest.strip_prefix('-').unwrap_or(rest).strip_prefix("%}")?;
    Some((text.len() - rest.len(), strips))
}
