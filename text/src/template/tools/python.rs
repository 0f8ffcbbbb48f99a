//! Calls in Python's notation, as LFM2 writes them: `[f(a="x", b=[1, True]), g()]`.
//!
//! Arguments are what Python's `ast.literal_eval` takes; at the top of one JSON's `true`, `false` and `null` too.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

use super::ToolCall;
use crate::pyjson;

/// Brackets in brackets, at most; Python's own limit.
const DEEPEST: usize = 200;

/// The calls of an expression that is a call or a list of them.
pub(super) fn calls(text: &str) -> Option<Vec<ToolCall>> {
    let mut source = Source { rest: text.trim().chars().peekable(), depth: 0 };
    let expression = source.expression()?;
    source.skip_blanks();
    if source.rest.next().is_some() {
        return None;
    }
    let call = |expression| if let Expression::Call(call) = expression { Some(call) } else { None };
    match expression {
        Expression::List(items) => items.into_iter().map(call).collect(),
        one => Some(vec![call(one)?]),
    }
}

enum Expression {
    Literal(Value),
    Name(String),
    Call(ToolCall),
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
}

impl Expression {
    /// As a literal; names other than Python's constants are none.
    fn value(self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Name(name) => match name.as_str() {
                "True" => Some(true.into()),
                "False" => Some(false.into()),
                "None" => Some(Value::Null),
                _ => None,
            },
            Self::Call(_) => None,
            Self::List(items) | Self::Tuple(items) => items.into_iter().map(Self::value).collect(),
            Self::Dict(entries) => {
                let entry = |(key, value): (Self, Self)| {
                    let key = key.value()?;
                    // As `json.dumps` writes keys.
                    let key = key.as_str().map_or_else(|| pyjson::dumps(&key), str::to_owned);
                    Some((key, value.value()?))
                };
                Some(Value::Object(entries.into_iter().map(entry).collect::<Option<Map<_, _>>>()?))
            }
        }
    }

    /// As the value of an argument.
    fn argument(self) -> Option<Value> {
        match self {
            Self::Name(name) if matches!(name.as_str(), "true" | "false" | "null") => {
                serde_json::from_str(&name).ok()
            }
            other => other.value(),
        }
    }
}

struct Source<'t> {
    rest: Peekable<Chars<'t>>,
    depth: usize,
}

impl Source<'_> {
    fn skip_blanks(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
    }

    /// Takes `c`, if it is next but for blanks.
    fn takes(&mut self, c: char) -> bool {
        self.skip_blanks();
        self.rest.next_if_eq(&c).is_some()
    }

    fn expression(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        self.skip_blanks();
        let expression = match *self.rest.peek()? {
            '[' => Expression::List(self.items(']')?.0),
            '(' => match self.items(')')? {
                (mut one, false) if one.len() == 1 => one.pop()?,
                (items, _) => Expression::Tuple(items),
            },
            '{' => self.dict()?,
            '"' | '\'' => Expression::Literal(self.strings(String::new(), false)?.into()),
            '+' | '-' | '.' | '0'..='9' => Expression::Literal(self.number()?),
            _ => self.named()?,
        };
        self.depth -= 1;
        Some(expression)
    }

    /// The items up to `close`, and whether a comma stands behind the last.
    fn items(&mut self, close: char) -> Option<(Vec<Expression>, bool)> {
        self.rest.next();
        let (mut items, mut comma) = (Vec::new(), false);
        while !self.takes(close) {
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.expression()?);
            comma = self.takes(',');
        }
        Some((items, comma))
    }

    fn dict(&mut self) -> Option<Expression> {
        self.rest.next();
        let (mut entries, mut comma) = (Vec::new(), true);
        while !self.takes('}') {
            if !comma {
                return None;
            }
            let key = self.expression()?;
            if !self.takes(':') {
                return None;
            }
            entries.push((key, self.expression()?));
            comma = self.takes(',');
        }
        Some(Expression::Dict(entries))
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        word
    }

    /// A name, a call, or a string with a letter in front.
    fn named(&mut self) -> Option<Expression> {
        let name = self.word();
        if name.is_empty() {
            return None;
        }
        if matches!(self.rest.peek(), Some('"' | '\'')) {
            let is_raw = prefix(&name)?;
            return Some(Expression::Literal(self.strings(String::new(), is_raw)?.into()));
        }
        if !self.takes('(') {
            return Some(Expression::Name(name));
        }
        if matches!(name.as_str(), "True" | "False" | "None") {
            return None;
        }
        let (mut arguments, mut comma) = (Map::new(), true);
        while !self.takes(')') {
            if !comma {
                return None;
            }
            let argument = self.expression()?;
            if self.takes('=') {
                let Expression::Name(key) = argument else { return None };
                arguments.insert(key, self.expression()?.argument()?);
            } else if !arguments.is_empty() {
                return None;
            }
            comma = self.takes(',');
        }
        Some(Expression::Call(ToolCall { name, arguments: arguments.into() }))
    }

    /// A string, with those that follow it joined on.
    fn strings(&mut self, mut text: String, mut is_raw: bool) -> Option<String> {
        loop {
            self.string(&mut text, is_raw)?;
            self.skip_blanks();
            let word = self.word();
            is_raw = match self.rest.peek() {
                Some('"' | '\'') if word.is_empty() => false,
                Some('"' | '\'') => prefix(&word)?,
                _ => return word.is_empty().then_some(text),
            };
        }
    }

    fn string(&mut self, text: &mut String, is_raw: bool) -> Option<()> {
        let quote = self.rest.next()?;
        let mut quotes = 1;
        if self.rest.next_if_eq(&quote).is_some() {
            if self.rest.next_if_eq(&quote).is_none() {
                return Some(());
            }
            quotes = 3;
        }
        let mut closing = 0;
        loop {
            let c = self.rest.next()?;
            if c == quote {
                closing += 1;
                if closing == quotes {
                    return Some(());
                }
                continue;
            }
            text.extend(std::iter::repeat_n(quote, std::mem::take(&mut closing)));
            match c {
                '\n' if quotes == 1 => return None,
                '\\' if is_raw => text.extend(['\\', self.rest.next()?]),
                '\\' => self.escape(text)?,
                c => text.push(c),
            }
        }
    }

    /// What follows a backslash. One that means nothing stays.
    fn escape(&mut self, text: &mut String) -> Option<()> {
        let c = self.rest.next()?;
        let meant = match c {
            '\n' => return Some(()),
            '\\' | '\'' | '"' => c,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0'..='7' => {
                let mut code = c.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|c| c.is_digit(8)) else { break };
                    code = code * 8 + digit.to_digit(8)?;
                }
                char::from_u32(code)?
            }
            // A character by its name.
            'N' => return None,
            _ => {
                text.push('\\');
                c
            }
        };
        text.push(meant);
        Some(())
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let mut code: u32 = 0;
        for _ in 0..digits {
            code = code.checked_mul(16)? + self.rest.next()?.to_digit(16)?;
        }
        char::from_u32(code)
    }

    fn number(&mut self) -> Option<Value> {
        let is_negative = self.rest.peek() == Some(&'-');
        if self.rest.next_if(|c| matches!(c, '+' | '-')).is_some() {
            self.skip_blanks();
        }
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| {
            c.is_ascii_alphanumeric()
                || matches!(c, '.' | '_')
                || (matches!(c, '+' | '-') && ends_in_e(&text))
        }) {
            text.push(c);
        }
        let value = unsigned(&text)?;
        if !is_negative {
            return Some(value);
        }
        match value.as_u64() {
            Some(whole) => Some(Value::from(0i64.checked_sub_unsigned(whole)?)),
            None => serde_json::Number::from_f64(-value.as_f64()?).map(Value::Number),
        }
    }
}

/// Whether a sign may follow: `1e-3`, but not `0x1e-3`.
fn ends_in_e(text: &str) -> bool {
    text.ends_with(['e', 'E']) && !text.starts_with("0x") && !text.starts_with("0X")
}

/// Whether a string with this prefix is raw; `None` if Python has no text of that prefix.
fn prefix(word: &str) -> Option<bool> {
    match word {
        "r" | "R" => Some(true),
        "u" | "U" => Some(false),
        _ => None,
    }
}

/// A number without a sign: `10`, `1_000`, `0x1f`, `.5`, `5.`, `1e-3`.
fn unsigned(text: &str) -> Option<Value> {
    let digits = text.replace('_', "");
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.to_ascii_lowercase().strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).ok().map(Value::from);
        }
    }
    let is_whole = digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_whole && digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0') {
        return None;
    }
    match digits.parse::<u64>() {
        Ok(whole) => Some(whole.into()),
        // Rust reads words such as `inf` as well.
        Err(_) if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            serde_json::Number::from_f64(digits.parse().ok()?).map(Value::Number)
        }
        Err(_) => None,
    }
}
