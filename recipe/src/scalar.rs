//! Numbers and texts as plain values of YAML: how they are read, and how they are written.

/// Reads a whole number: `500`, `1_000`, `+3`, `1e3`, `10.0`.
pub(crate) fn whole_number(text: &str) -> Option<i64> {
    let digits = text.replace('_', "");
    let unsigned = digits.trim_start_matches(['+', '-']);
    // `010` is eight to YAML 1.1 and ten to everyone else.
    if unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().or_else(|| {
        let number = real_number(&digits)?;
        // Beyond 2^53 a float no longer holds every whole number.
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    })
}

/// Reads a finite number: `0.1`, `1e-4` (text to YAML 1.1), `1.0e-4`, `.5`, `1_000.0`.
pub(crate) fn real_number(text: &str) -> Option<f64> {
    let number: f64 = text.replace('_', "").parse().ok()?;
    number.is_finite().then_some(number)
}

/// A number as YAML 1.1 reads it too: small ones as `1.0e-4`, where `1e-4` would be text.
pub(crate) fn show_real(number: f64) -> String {
    if number != 0.0 && (number.abs() < 1e-3 || number.abs() >= 1e16) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, power)) if !digits.contains('.') => format!("{digits}.0e{power}"),
            _ => text,
        }
    } else {
        format!("{number:?}")
    }
}

/// Text as a YAML scalar, in quotes where it needs them.
pub(crate) fn yaml_text(text: &str) -> String {
    if is_misread(text) || is_other_type(text) { quoted(text) } else { text.to_owned() }
}

/// Whether a plain scalar with this text would end early or be no scalar.
pub(crate) fn is_misread(text: &str) -> bool {
    text.is_empty()
        || text.trim() != text
        || text.starts_with(|c| "-?:,[]{}#&*!|>'\"%@`=<".contains(c))
        || text.ends_with(':')
        || text.contains(": ")
        || text.contains(" #")
        || text.contains(char::is_control)
}

/// Whether YAML 1.1 or 1.2 would read the text as a number, truth value, date or null.
fn is_other_type(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let reserved =
        ["null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "+.inf"];
    let numeric = |c: char| c.is_ascii_hexdigit() || "_.:+-xo".contains(c);
    reserved.contains(&word.as_str())
        || real_number(text).is_some()
        || (word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(numeric))
}

/// Single quotes, or double ones with escapes where there are control characters.
pub(crate) fn quoted(text: &str) -> String {
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut escaped = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped += "\\n",
            '\t' => escaped += "\\t",
            '\r' => escaped += "\\r",
            c if c.is_control() => escaped += &format!("\\u{:04X}", c as u32),
            c => escaped.push(c),
        }
    }
    escaped.push('"');
    escaped
}
