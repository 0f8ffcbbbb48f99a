//! The present, written as Python's `strftime` does.

use jiff::ZonedDateTime;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};

/// glibc's fields that are written as jiff writes them.
const FIELDS: &str = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyY%";

/// The local time of the present by the fields of `strftime`; unknown fields stay as they are.
pub(crate) fn now_as(format: &str) -> String {
    write(&ZonedDateTime::now(), format)
}

/// A moment by the fields of `strftime`. Those that only jiff knows are kept from it: glibc leaves them as they are.
fn write(moment: &ZonedDateTime, format: &str) -> String {
    let mut known = String::new();
    let mut rest = format;
    while let Some((text, field)) = rest.split_once('%') {
        known.push_str(text);
        // glibc's flags: no padding, blanks or zeros for padding, capitals.
        let bare = field.strip_prefix(['-', '_', '0', '^']).unwrap_or(field);
        let length = field.len() - bare.len() + bare.chars().next().map_or(0, char::len_utf8);
        match bare.chars().next() {
            // Python's `datetime.now()` knows of no zone.
            Some('z' | 'Z') => {}
            Some('f') => known.push_str("%6f"),
            Some(name) if FIELDS.contains(name) => {
                known.push('%');
                known.push_str(&field[..length]);
            }
            _ => {
                known.push_str("%%");
                rest = field;
                continue;
            }
        }
        rest = &field[length..];
    }
    known.push_str(rest);
    let config = Config::new().custom(PosixCustom::new()).lenient(true);
    BrokenDownTime::from(moment).to_string_with_config(&config, &known).unwrap_or(known)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn seconds_become_dates() {
        let format = |seconds: i64, format: &str| {
            let moment = Timestamp::new(seconds, 7_000).unwrap().to_zoned_datetime(TimeZone::UTC);
            write(&moment, format)
        };
        assert_eq!(format(0, "%A %d %b %Y %H:%M:%S"), "Thursday 01 Jan 1970 00:00:00");
        assert_eq!(
            format(1_709_210_096, "%d %B %Y, %a, %H:%M %q%% %-I%p %j %e %^a %_d %"),
            "29 February 2024, Thu, 12:34 %q% 12PM 060 29 THU 29 %"
        );
        // Python: datetime.datetime(2021, 1, 3, 5, 6, 7, 7).strftime(…)
        assert_eq!(
            format(1_609_650_367, "%c|%x|%X|%G-W%V-%u|%U|%W|%w|%-d/%-m/%y|%f|%I %l|%D|%F|%T|%Z%z"),
            "Sun Jan  3 05:06:07 2021|01/03/21|05:06:07|2020-W53-7|01|00|0|3/1/21|000007|05  5|01/03/21|2021-01-03|05:06:07|"
        );
        assert_eq!(
            format(1_609_650_367, "%C %h %k %P %r %R %s %g %n%t|%-H|%0e|%^p|%日"),
            "20 Jan  5 am 05:06:07 AM 05:06 1609650367 20 \n\t|5|03|AM|%日"
        );
    }
}
