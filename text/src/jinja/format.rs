//! `'{}'.format(values)` and its little language of format specifications.

use super::arguments::Given;
use super::attributes::{attribute, item};
use super::budget;
use super::display::{display, repr};
use super::error::{JinjaError, Result, fail};
use super::numbers::{fixed, parse_integer, radix, shortest};
use super::value::Value;

/// Widest field and longest fraction.
const LARGEST: usize = 100_000;

/// What numbers the fields: their order or themselves.
#[derive(Clone, Copy, PartialEq)]
enum Numbering {
    Open,
    Automatic(usize),
    Manual,
}

/// `template.format(…)`.
///
/// # Errors
/// In Python's words, if the values do not fit.
pub(super) fn format(template: &str, given: &Given) -> Result<String> {
    expand(template, given, &mut Numbering::Open, 3)
}

fn expand(template: &str, given: &Given, numbering: &mut Numbering, depth: usize) -> Result<String> {
    if depth == 0 {
        return fail("Max string recursion exceeded");
    }
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = behind;
            continue;
        }
        if brace == "}" {
            return fail("Single '}' encountered in format string");
        }
        let end = closing(rest)?;
        let written = field(&rest[..end], given, numbering, depth)?;
        budget::produce(written.len() + end)?;
        out.push_str(&written);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the field that `text` begins with ends.
fn closing(text: &str) -> Result<usize> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(at);
        }
    }
    fail(if text.is_empty() {
        "Single '{' encountered in format string"
    } else {
        "expected '}' before end of string"
    })
}

fn field(field: &str, given: &Given, numbering: &mut Numbering, depth: usize) -> Result<String> {
    let mut brackets = 0i64;
    let end = field.char_indices().find(|(_, c)| {
        match c {
            '[' => brackets += 1,
            ']' => brackets -= 1,
            _ => {}
        }
        matches!(c, '!' | ':') && brackets <= 0
    });
    let (name, mut behind) = field.split_at(end.map_or(field.len(), |(at, _)| at));
    let value = lookup(name, given, numbering)?;
    let value = match behind.strip_prefix('!') {
        None => value,
        Some(converted) => {
            let kind = converted.chars().next();
            behind = &converted[kind.map_or(0, char::len_utf8)..];
            match kind {
                Some('r') => Value::text(repr(&value)?),
                Some('s') => Value::text(display(&value)?),
                Some(other) => {
                    return fail(format!("Unknown conversion specifier {other}"));
                }
                None => return fail("end of string while looking for conversion specifier"),
            }
        }
    };
    let specification = behind.strip_prefix(':').unwrap_or(behind);
    apply(&value, &expand(specification, given, numbering, depth - 1)?)
}

fn lookup(name: &str, given: &Given, numbering: &mut Numbering) -> Result<Value> {
    const MIXED: &str = "cannot switch from manual field specification to automatic field numbering";
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let place = if first.is_empty() {
        let place = match *numbering {
            Numbering::Open => 0,
            Numbering::Automatic(place) => place,
            Numbering::Manual => return fail(MIXED),
        };
        *numbering = Numbering::Automatic(place + 1);
        Some(place)
    } else if let Ok(place) = first.parse::<usize>() {
        if matches!(numbering, Numbering::Automatic(_)) {
            return fail(MIXED);
        }
        *numbering = Numbering::Manual;
        Some(place)
    } else {
        None
    };
    let found = match place {
        Some(place) => given.positional.get(place).cloned().ok_or_else(|| {
            JinjaError::new(format!("Replacement index {place} out of range for positional args tuple"))
        })?,
        None => match given.named.iter().find(|(known, _)| **known == *first) {
            Some((_, value)) => value.clone(),
            None => return fail(format!("'{first}'")),
        },
    };
    let mut value = found;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('.') {
            let end = behind.find(['.', '[']).unwrap_or(behind.len());
            value = attribute(&value, &behind[..end].into())?;
            rest = &behind[end..];
        } else {
            let Some((key, behind)) = rest[1..].split_once(']') else {
                return fail("Missing ']' in format string");
            };
            let key = match key.parse::<i128>() {
                Ok(place) if key.bytes().all(|c| c.is_ascii_digit()) => Value::Integer(place),
                _ => Value::text(key),
            };
            value = item(&value, &key)?;
            rest = behind;
        }
    }
    Ok(value)
}

/// `[[fill]align][sign][#][0][width][grouping][.precision][kind]`
struct Specification {
    fill: char,
    align: Option<char>,
    /// The alignment is the one that a zero before the width asks for.
    zeros: bool,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn parse(text: &str) -> Result<Specification> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.reverse();
    let is_align = |c: Option<&char>| c.is_some_and(|c| "<>=^".contains(*c));
    let (mut fill, mut align) = (None, None);
    if chars.len() > 1 && is_align(chars.get(chars.len() - 2)) {
        fill = chars.pop();
        align = chars.pop();
    } else if is_align(chars.last()) {
        align = chars.pop();
    }
    let mut take = |allowed: &str| chars.pop_if(|c| allowed.contains(*c));
    let sign = take("+- ");
    let alternate = take("#").is_some();
    let zero = take("0").is_some();
    let zeros = zero && align.is_none();
    if zero {
        fill = fill.or(Some('0'));
        align = align.or(Some('='));
    }
    let number = |chars: &mut Vec<char>| {
        let mut digits = String::new();
        while let Some(digit) = chars.pop_if(|c| c.is_ascii_digit()) {
            digits.push(digit);
        }
        parse_integer(&digits, 10).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    };
    let width = number(&mut chars).unwrap_or_default();
    let grouping = chars.pop_if(|c| ",_".contains(*c));
    let precision = match chars.pop_if(|c| *c == '.') {
        None => None,
        Some(_) => match number(&mut chars) {
            None => return fail("Format specifier missing precision"),
            precision => precision,
        },
    };
    let kind = chars.pop();
    if !chars.is_empty() {
        return fail(format!("Invalid format specifier '{text}'"));
    }
    if width > LARGEST || precision.is_some_and(|precision| precision > LARGEST) {
        return fail("a format's width or precision is too large");
    }
    Ok(Specification {
        fill: fill.unwrap_or(' '),
        align,
        zeros,
        sign,
        alternate,
        width,
        grouping,
        precision,
        kind,
    })
}

/// `format(value, specification)`.
fn apply(value: &Value, specification: &str) -> Result<String> {
    if specification.is_empty() {
        return Ok(display(value)?.into_owned());
    }
    let wanted = parse(specification)?;
    let unknown =
        |kind: char| fail(format!("Unknown format code '{kind}' for object of type '{}'", value.kind()));
    if let Some(text) = value.as_text() {
        if let Some(separator) = wanted.grouping {
            return fail(format!("Cannot specify '{separator}' with 's'."));
        }
        if let Some(sign) = wanted.sign {
            let sign = if sign == ' ' { "Space" } else { "Sign" };
            return fail(format!("{sign} not allowed in string format specifier"));
        }
        if wanted.alternate {
            return fail("Alternate form (#) not allowed in string format specifier");
        }
        return match wanted.kind {
            None | Some('s') if wanted.align != Some('=') || wanted.zeros => {
                let text: String = text.chars().take(wanted.precision.unwrap_or(usize::MAX)).collect();
                let align = wanted.align.filter(|_| !wanted.zeros);
                Ok(Specification { align, ..wanted }.padded("", &text, '<'))
            }
            None | Some('s') => fail("'=' alignment not allowed in string format specifier"),
            Some(kind) => unknown(kind),
        };
    }
    match (value, value.as_integer(), wanted.kind) {
        (_, Some(integer), None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b' | 'c')) => {
            if wanted.precision.is_some() {
                return fail("Precision not allowed in integer format specifier");
            }
            if wanted.kind == Some('c') {
                return match u32::try_from(integer).ok().and_then(char::from_u32) {
                    Some(c) => Ok(wanted.padded("", &c.to_string(), '<')),
                    None => fail("%c arg not in range(0x110000)"),
                };
            }
            let kind = wanted.kind.unwrap_or('d');
            let group = if "xXob".contains(kind) { 4 } else { 3 };
            let prefix =
                if wanted.alternate && "xXob".contains(kind) { format!("0{kind}") } else { String::new() };
            let sign = format!("{}{prefix}", wanted.sign(integer < 0));
            Ok(wanted.number(&sign, &radix(integer, kind), "", group))
        }
        (_, _, kind @ (None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%'))) => {
            let Some(float) = value.as_number() else {
                return fail(format!("unsupported format string passed to {}.__format__", value.kind()));
            };
            let sign = wanted.sign(float.is_sign_negative() && !float.is_nan());
            let precision = wanted.precision.unwrap_or(6);
            let text = match kind {
                None if wanted.precision.is_none() => shortest(float),
                None => float_like(float, precision),
                Some('%') => format!("{}%", fixed(float * 100.0, 'f', precision, wanted.alternate)),
                Some('n') => fixed(float, 'g', precision, wanted.alternate),
                Some(kind) => fixed(float, kind, precision, wanted.alternate),
            };
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            Ok(wanted.number(sign, &text[..end], &text[end..], 3))
        }
        (_, Some(_), Some(kind)) | (Value::Float(_), _, Some(kind)) => unknown(kind),
        _ => fail(format!("unsupported format string passed to {}.__format__", value.kind())),
    }
}

/// As `g`, but with one digit behind the point at least.
fn float_like(float: f64, precision: usize) -> String {
    let text = fixed(float, 'g', precision, false);
    if text.bytes().all(|c| c.is_ascii_digit()) { format!("{text}.0") } else { text }
}

impl Specification {
    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.sign) {
            (true, _) => "-",
            (_, Some('+')) => "+",
            (_, Some(' ')) => " ",
            _ => "",
        }
    }

    /// Digits before the point, grouped, and what is behind.
    fn number(&self, sign: &str, digits: &str, rest: &str, group: usize) -> String {
        let Some(separator) = self.grouping else {
            return self.padded(sign, &format!("{digits}{rest}"), '>');
        };
        let mut digits = digits.to_owned();
        if self.fill == '0' && self.align == Some('=') {
            let taken = sign.chars().count() + rest.chars().count();
            let mut length = digits.len();
            while taken + length + (length - 1) / group < self.width {
                length += 1;
            }
            digits = format!("{}{digits}", "0".repeat(length - digits.len()));
        }
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(group) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        self.padded(sign, &format!("{grouped}{rest}"), '>')
    }

    fn padded(&self, sign: &str, text: &str, align: char) -> String {
        let missing = self.width.saturating_sub(sign.chars().count() + text.chars().count());
        let pad = |count: usize| self.fill.to_string().repeat(count);
        match self.align.unwrap_or(align) {
            '<' => format!("{sign}{text}{}", pad(missing)),
            '^' => format!("{}{sign}{text}{}", pad(missing / 2), pad(missing - missing / 2)),
            '=' => format!("{sign}{}{text}", pad(missing)),
            _ => format!("{}{sign}{text}", pad(missing)),
        }
    }
}
