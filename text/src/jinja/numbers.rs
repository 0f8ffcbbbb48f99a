//! Python's numbers as texts, in both directions.

use super::display::float_text;
use super::value::is_space;

/// `int(text, base)`; nothing if the text is not such a number.
pub(super) fn parse_integer(text: &str, base: u32) -> Option<i128> {
    let text = text.trim_matches(is_space);
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, of)| Some((lower.strip_prefix(prefix)?, of)).filter(|_| base == of || base == 0));
    let (digits, base) = match prefixed {
        Some((digits, of)) => (digits.strip_prefix('_').unwrap_or(digits), of),
        None => (lower.as_str(), if base == 0 { 10 } else { base }),
    };
    let digits = without_underscores(digits)?;
    if !(2..=36).contains(&base) || digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits, base).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

/// `float(text)`; nothing if the text is not such a number.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text).to_lowercase();
    match bare.as_str() {
        "nan" => return Some(f64::NAN),
        "inf" | "infinity" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        _ => {}
    }
    if !bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    without_underscores(text)?.parse().ok()
}

/// Underscores may stand between digits.
fn without_underscores(text: &str) -> Option<String> {
    let wrong = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!wrong).then(|| text.replace('_', ""))
}

/// `round(value, digits)`: half to even, of the number's exact value.
pub(super) fn round(value: f64, digits: i128) -> f64 {
    if !value.is_finite() || digits > 300 {
        return value;
    }
    if digits >= 0 {
        return format!("{value:.*}", digits as usize).parse().unwrap_or(value);
    }
    let scale = 10f64.powi((-digits).min(400) as i32);
    let (quotient, rest) = ((value / scale).trunc(), value % scale);
    let up = rest.abs() * 2.0 > scale || (rest.abs() * 2.0 == scale && quotient % 2.0 != 0.0);
    (quotient + if up { value.signum() } else { 0.0 }) * scale
}

/// A number without its sign, as `printf` writes it with one of `eEfFgG`; `alternate` keeps a point and zeros.
pub(super) fn fixed(value: f64, kind: char, precision: usize, alternate: bool) -> String {
    let value = value.abs();
    let text = if value.is_nan() {
        "nan".into()
    } else if value.is_infinite() {
        "inf".into()
    } else {
        match kind.to_ascii_lowercase() {
            'e' => exponential(value, precision),
            'g' => general(value, precision.max(1), alternate),
            _ => format!("{value:.precision$}"),
        }
    };
    if kind.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn general(value: f64, precision: usize, alternate: bool) -> String {
    let text = exponential(value, precision - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or_default();
    let trimmed = |text: &str| match text.contains('.') && !alternate {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if value != 0.0 && (power < -4 || power >= precision as i32) {
        return format!("{}e{exponent}", trimmed(mantissa));
    }
    let decimals = (precision as i32 - 1 - power).max(0) as usize;
    trimmed(&format!("{value:.decimals$}"))
}

/// The shortest text that reads as the same number, without its sign; for `str.format` without a kind.
pub(super) fn shortest(value: f64) -> String {
    float_text(value.abs())
}

/// A whole number without its sign, in the base that `kind` names.
pub(super) fn radix(value: i128, kind: char) -> String {
    let value = value.unsigned_abs();
    match kind {
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        'o' => format!("{value:o}"),
        'b' => format!("{value:b}"),
        _ => value.to_string(),
    }
}
