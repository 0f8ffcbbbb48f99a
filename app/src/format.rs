//! Numbers and times, as people read them.

use crate::i18n::{Words, fill};

/// A loss or a similar metric: four significant digits, never an exponent where it can be avoided.
pub fn metric(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    match value.abs() {
        0.0 => "0".into(),
        size if !(0.001..100_000.0).contains(&size) => scientific(value),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.4}"),
        _ => format!("{value:.5}"),
    }
}

/// `1.25e-5`: at most three digits and no needless zeros.
pub fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A count with thousands separated by thin spaces: `12 500`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `12 500 rows`.
pub fn rows(count: u64, words: &Words) -> String {
    match count {
        1 => words.new_row_one.to_owned(),
        _ => fill(words.new_rows, &[("n", &self::count(count))]),
    }
}

/// A count of parameters or tokens: `134.5M`.
pub fn large(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v >= 1e9 => format!("{:.2}B", v / 1e9),
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}K", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// A size in bytes, in powers of 1024 as memory and file systems have them: `1.3 MiB`.
pub fn bytes(value: u64) -> String {
    const KIB: f64 = 1024.0;
    const MIB: f64 = 1024.0 * KIB;
    const GIB: f64 = 1024.0 * MIB;
    let short = |size: f64, decimals: usize| match size.fract() {
        0.0 => size.to_string(),
        _ => format!("{size:.decimals$}"),
    };
    let size = value as f64;
    match size {
        v if v >= GIB => format!("{} GiB", short(v / GIB, 2)),
        v if v >= MIB => format!("{} MiB", short(v / MIB, 1)),
        v if v >= KIB => format!("{} KiB", short(v / KIB, 1)),
        _ => format!("{value} B"),
    }
}

/// `3:07`, `1:02:33`, `2d 04:10`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let total = seconds.round() as u64;
    let (days, hours, minutes, seconds) = (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60);
    if days > 0 {
        format!("{days}d {hours:02}:{minutes:02}")
    } else if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// How long ago a time (Unix milliseconds) is.
pub fn ago(time: u64, now: u64, words: &Words) -> String {
    let seconds = now.saturating_sub(time) / 1000;
    let (text, number) = match seconds {
        0..60 => return words.time_just_now.into(),
        60..3600 => (words.time_minutes_ago, seconds / 60),
        3600..86_400 => (words.time_hours_ago, seconds / 3600),
        86_400..2_592_000 => (words.time_days_ago, seconds / 86_400),
        _ => return date(time),
    };
    fill(text, &[("n", &number.to_string())])
}

/// `2026-03-01` (UTC).
pub fn date(time: u64) -> String {
    let (year, month, day) = civil(time / 86_400_000);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-03-01T14:05:09Z`, for `<time datetime>`.
pub fn iso(time: u64) -> String {
    let seconds = time / 1000 % 86_400;
    format!("{}T{:02}:{:02}:{:02}Z", date(time), seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `14:05:09` (UTC).
pub fn clock(time: u64) -> String {
    iso(time)[11..19].to_owned()
}

/// `2026-03-01 14:05 UTC`, for tooltips.
pub fn moment(time: u64) -> String {
    let minutes = time / 60_000 % 1440;
    format!("{} {:02}:{:02} UTC", date(time), minutes / 60, minutes % 60)
}

/// Year, month and day of a number of days since 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// A text with no more than `longest` characters, the last of which stands for what is left out.
pub fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::EN;

    #[test]
    fn metrics_keep_their_digits() {
        let shown: Vec<String> = [0.0, 2.34567, 12.3456, 123.456, 1234.5, 0.01234, 5e-5, 1.25e-4, f64::NAN]
            .into_iter()
            .map(metric)
            .collect();
        assert_eq!(shown, ["0", "2.3457", "12.35", "123.5", "1234", "0.01234", "5e-5", "1.25e-4", "NaN"]);
    }

    #[test]
    fn durations_grow_units_as_needed() {
        let shown: Vec<String> =
            [0.4, 187.0, 3753.0, 187_800.0, f64::NAN].into_iter().map(duration).collect();
        assert_eq!(shown, ["0:00", "3:07", "1:02:33", "2d 04:10", "–"]);
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(moment(1_772_373_909_000), "2026-03-01 14:05 UTC");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(999), "999");
        assert_eq!(count(12_500), "12\u{202f}500");
        assert_eq!(large(134_515_008), "134.5M");
        assert_eq!(
            [999, 1_250, 1_300_000, 1_500_000_000, 16 << 30].map(bytes),
            ["999 B", "1.2 KiB", "1.2 MiB", "1.40 GiB", "16 GiB"]
        );
    }

    #[test]
    fn recent_times_are_relative() {
        assert_eq!(ago(1_000_000, 1_010_000, &EN), EN.time_just_now);
        assert_eq!(ago(0, 7_200_000, &EN), "2 h ago");
    }
}
