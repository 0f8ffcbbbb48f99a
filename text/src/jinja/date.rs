//! The present, written as Python's `strftime` does.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The local time of the present by the fields of `strftime`; unknown fields stay as they are.
pub(crate) fn now_as(format: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = now.as_secs() as i64;
    Moment::at(seconds + offset(seconds), seconds, now.subsec_micros()).write(format)
}

/// Seconds that the clock on the wall is ahead of UTC.
fn offset(seconds: i64) -> i64 {
    let time = seconds as libc::time_t;
    // SAFETY: a `tm` is plain data, for which zeros are valid; `localtime_r` writes into it and keeps nothing.
    unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&time, &mut local).is_null() { 0 } else { local.tm_gmtoff as i64 }
    }
}

/// A time of a day on the wall.
struct Moment {
    /// Since 1970, in UTC.
    timestamp: i64,
    microsecond: u32,
    year: i64,
    /// From 0.
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From 0, which is Sunday.
    weekday: i64,
    /// From 0.
    day_of_year: i64,
}

impl Moment {
    fn at(seconds: i64, timestamp: i64, microsecond: u32) -> Self {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        Self {
            timestamp,
            microsecond,
            year,
            month: month - 1,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: days - days_from_civil(year),
        }
    }

    fn write(&self, format: &str) -> String {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            // glibc's flags: no padding, blanks or zeros for padding, capitals.
            let behind = chars.as_str();
            let flag = behind.chars().next().filter(|c| "-_0^".contains(*c));
            let mut rest = behind[flag.map_or(0, char::len_utf8)..].chars();
            match rest.next().and_then(|field| self.field(field, flag)) {
                Some(text) => {
                    out.push_str(&text);
                    chars = rest;
                }
                None => out.push('%'),
            }
        }
        out
    }

    fn field(&self, field: char, flag: Option<char>) -> Option<String> {
        let number = |value: i64, width: usize, pad: char| match flag {
            Some('-') => value.to_string(),
            Some('_') => format!("{value:>width$}"),
            Some('0') => format!("{value:0>width$}"),
            _ if pad == '0' => format!("{value:0>width$}"),
            _ => format!("{value:>width$}"),
        };
        let two = |value: i64| number(value, 2, '0');
        let twelve = (self.hour + 11) % 12 + 1;
        let half = if self.hour < 12 { "AM" } else { "PM" };
        let (month, day) = (MONTHS[self.month], DAYS[self.weekday as usize]);
        let text = match field {
            'a' => day[..3].to_owned(),
            'A' => day.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'B' => month.to_owned(),
            'c' => self.write("%a %b %e %H:%M:%S %Y"),
            'C' => two(self.year / 100),
            'd' => two(self.day),
            'D' | 'x' => self.write("%m/%d/%y"),
            'e' => number(self.day, 2, ' '),
            'f' => format!("{:06}", self.microsecond),
            'F' => self.write("%Y-%m-%d"),
            'g' => two(self.iso_week().0 % 100),
            'G' => self.iso_week().0.to_string(),
            'H' => two(self.hour),
            'I' => two(twelve),
            'j' => number(self.day_of_year + 1, 3, '0'),
            'k' => number(self.hour, 2, ' '),
            'l' => number(twelve, 2, ' '),
            'm' => two(self.month as i64 + 1),
            'M' => two(self.minute),
            'n' => "\n".into(),
            'p' => half.into(),
            'P' => half.to_lowercase(),
            'r' => self.write("%I:%M:%S %p"),
            'R' => self.write("%H:%M"),
            's' => self.timestamp.to_string(),
            'S' => two(self.second),
            't' => "\t".into(),
            'T' | 'X' => self.write("%H:%M:%S"),
            'u' => ((self.weekday + 6) % 7 + 1).to_string(),
            'U' => two((self.day_of_year + 7 - self.weekday) / 7),
            'V' => two(self.iso_week().1),
            'w' => self.weekday.to_string(),
            'W' => two((self.day_of_year + 7 - (self.weekday + 6) % 7) / 7),
            'y' => two(self.year.rem_euclid(100)),
            'Y' => self.year.to_string(),
            // Python's `datetime.now()` knows of no zone.
            'z' | 'Z' => String::new(),
            '%' => "%".into(),
            _ => return None,
        };
        Some(if flag == Some('^') { text.to_uppercase() } else { text })
    }

    /// Year and week of ISO 8601: a week belongs to the year of its Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let thursday = self.day_of_year - (self.weekday + 6) % 7 + 3;
        let length = |year: i64| days_from_civil(year + 1) - days_from_civil(year);
        if thursday < 0 {
            (self.year - 1, (thursday + length(self.year - 1)) / 7 + 1)
        } else if thursday >= length(self.year) {
            (self.year + 1, 1)
        } else {
            (self.year, thursday / 7 + 1)
        }
    }
}

/// The day number of 1 January, since 1970-01-01.
fn days_from_civil(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 477
}

/// Year, month and day of a day number since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        let format = |seconds: i64, format: &str| Moment::at(seconds, seconds, 7).write(format);
        assert_eq!(format(0, "%A %d %b %Y %H:%M:%S"), "Thursday 01 Jan 1970 00:00:00");
        assert_eq!(
            format(1_709_210_096, "%d %B %Y, %a, %H:%M %q%% %-I%p %j %e"),
            "29 February 2024, Thu, 12:34 %q% 12PM 060 29"
        );
        // Python: datetime.datetime(2021, 1, 3, 5, 6, 7, 7).strftime(…)
        assert_eq!(
            format(1_609_650_367, "%c|%x|%X|%G-W%V-%u|%U|%W|%w|%-d/%-m/%y|%f|%I %l|%D|%F|%T|%Z%z"),
            "Sun Jan  3 05:06:07 2021|01/03/21|05:06:07|2020-W53-7|01|00|0|3/1/21|000007|05  5|01/03/21|2021-01-03|05:06:07|"
        );
    }
}
