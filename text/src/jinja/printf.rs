//! `'%s' % values`.

use super::budget;
use super::display::{display, repr};
use super::error::{JinjaError, Result, fail};
use super::numbers::{fixed, radix};
use super::value::Value;

/// Widest field and longest fraction.
const LARGEST: usize = 100_000;

/// One `%…` of a format.
#[derive(Default)]
struct Field {
    left: bool,
    plus: bool,
    blank: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// What is left of the values.
struct Values<'a> {
    all: Vec<Value>,
    next: usize,
    whole: &'a Value,
}

impl Values<'_> {
    fn take(&mut self) -> Result<Value> {
        let value = self.all.get(self.next).cloned();
        self.next += 1;
        value.ok_or_else(|| JinjaError::new("not enough arguments for format string"))
    }
}

/// `format % values`, where values are a tuple, a dictionary or one value.
///
/// # Errors
/// In Python's words, if they do not fit the format.
pub(super) fn format(format: &str, values: &Value) -> Result<String> {
    let all = match values {
        Value::Tuple(items) | Value::Group(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut values = Values { all, next: 0, whole: values };
    let mut named = false;
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut picked = None;
        if chars.next_if_eq(&'(').is_some() {
            picked = Some(by_name(&mut chars, values.whole)?);
            named = true;
        }
        let mut field = Field::default();
        while let Some(flag) = chars.next_if(|c| "-+ 0#".contains(*c)) {
            match flag {
                '-' => field.left = true,
                '+' => field.plus = true,
                ' ' => field.blank = true,
                '0' => field.zero = true,
                _ => field.alternate = true,
            }
        }
        let width = size(&mut chars, &mut values)?;
        field.left |= width.is_some_and(|width| width < 0);
        field.width = width.unwrap_or_default().unsigned_abs() as usize;
        if chars.next_if_eq(&'.').is_some() {
            field.precision = Some(size(&mut chars, &mut values)?.unwrap_or_default().max(0) as usize);
        }
        if field.width > LARGEST || field.precision.is_some_and(|precision| precision > LARGEST) {
            return fail("a format's width or precision is too large");
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else { return fail("incomplete format") };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match picked {
            Some(value) => value,
            None => values.take()?,
        };
        let written = field.write(kind, &value)?;
        budget::produce(written.len())?;
        // It is written character by character.
        budget::spend(written.len())?;
        out.push_str(&written);
    }
    let unused = values.next < values.all.len();
    // What can be asked for items is no single argument, so Python does not miss its use.
    let has_items =
        matches!(values.whole, Value::Dict(_) | Value::List(_) | Value::Range(_) | Value::Undefined(_));
    if unused && !named && !has_items {
        return fail("not all arguments converted during string formatting");
    }
    Ok(out)
}

fn by_name(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, values: &Value) -> Result<Value> {
    let (mut name, mut depth) = (String::new(), 1);
    for c in chars {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let Value::Dict(dict) = values else { return fail("format requires a mapping") };
            return match dict.get_text(&name) {
                Some(value) => Ok(value.clone()),
                None => fail(format!("'{name}'")),
            };
        }
        name.push(c);
    }
    fail("incomplete format key")
}

fn size(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, values: &mut Values) -> Result<Option<i64>> {
    if chars.next_if_eq(&'*').is_some() {
        return match values.take()?.as_integer() {
            Some(size) => Ok(Some(i64::try_from(size).unwrap_or(i64::MAX))),
            None => fail("* wants int"),
        };
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    Ok(if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(i64::MAX)) })
}

impl Field {
    fn write(&self, kind: char, value: &Value) -> Result<String> {
        match kind {
            's' | 'r' | 'a' => {
                let text = if kind == 's' { display(value)?.into_owned() } else { repr(value)? };
                if kind == 'a' && !text.is_ascii() {
                    return fail("%a of text beyond ASCII is not supported");
                }
                let text: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
                Ok(self.padded("", &text, false))
            }
            'c' => match (value.as_text(), value.as_integer()) {
                (Some(text), _) if text.chars().count() == 1 => Ok(self.padded("", text, false)),
                (None, Some(code)) => match u32::try_from(code).ok().and_then(char::from_u32) {
                    Some(c) => Ok(self.padded("", &c.to_string(), false)),
                    None => fail("%c arg not in range(0x110000)"),
                },
                _ => fail("%c requires int or char"),
            },
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                value.check_defined()?;
                let integer = match value {
                    Value::Float(float) if !"xXo".contains(kind) && float.is_finite() => {
                        float.trunc() as i128
                    }
                    other => match other.as_integer() {
                        Some(integer) => integer,
                        None if "xXo".contains(kind) => {
                            return fail(format!(
                                "%{kind} format: an integer is required, not {}",
                                value.kind()
                            ));
                        }
                        None => {
                            return fail(format!(
                                "%{kind} format: a real number is required, not {}",
                                value.kind()
                            ));
                        }
                    },
                };
                let digits = format!("{:0>1$}", radix(integer, kind), self.precision.unwrap_or_default());
                let prefix = match kind {
                    'x' | 'X' | 'o' if self.alternate => format!("{}0{kind}", self.sign(integer < 0)),
                    _ => self.sign(integer < 0).to_owned(),
                };
                Ok(self.padded(&prefix, &digits, true))
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                value.check_defined()?;
                let Some(float) = value.as_number() else {
                    return fail(format!("must be real number, not {}", value.kind()));
                };
                let digits = fixed(float, kind, self.precision.unwrap_or(6), self.alternate);
                Ok(self.padded(self.sign(float.is_sign_negative() && !float.is_nan()), &digits, true))
            }
            _ => fail(format!("unsupported format character '{kind}' ({:#x})", kind as u32)),
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn padded(&self, sign: &str, text: &str, number: bool) -> String {
        let length = sign.chars().count() + text.chars().count();
        let missing = self.width.saturating_sub(length);
        if self.left {
            format!("{sign}{text}{}", " ".repeat(missing))
        } else if self.zero && number {
            format!("{sign}{}{text}", "0".repeat(missing))
        } else {
            format!("{}{sign}{text}", " ".repeat(missing))
        }
    }
}
