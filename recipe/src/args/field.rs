//! How a field of the recipe is read from what was typed, and shown again.

use super::kind::Kind;
use crate::raw::Raw;
use crate::scalar::{real_number, show_real, whole_number};

/// The given value is not of the field's type. The reader makes the sentence, from the argument's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongType;

/// A value as it is shown and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Unset.
    Nothing,
    /// A number or a truth value: written as it is.
    Plain(String),
    /// Text: written with quotes where YAML would read it as something else.
    Text(String),
    /// Names: written with commas between them.
    List(Vec<String>),
}

impl Shown {
    /// The text without quotes; empty when unset.
    pub fn into_text(self) -> String {
        match self {
            Shown::Nothing => String::new(),
            Shown::Plain(text) | Shown::Text(text) => text,
            Shown::List(items) => items.join(","),
        }
    }
}

/// A field's kind, from its type.
pub(crate) trait Typed {
    const KIND: Kind;
    /// Whether it may be left unset (`null`).
    const OPTIONAL: bool = false;
    /// Values that LLaMA-Factory knows and Chandler does not support yet.
    const REFUSED: &'static [&'static str] = &[];
}

/// A field, whatever its type.
pub(crate) trait Field {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType>;
    fn show(&self) -> Shown;
    /// The value as a number, to be held against the argument's range.
    fn number(&self) -> Option<f64> {
        None
    }
}

/// A count of steps, or a share of all steps: LLaMA-Factory's `save_steps`, `warmup_steps`, … take a
/// number below 1 as a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    /// So many steps.
    Count(u64),
    /// Between 0 and 1, both excluded.
    Share(f64),
}

impl Steps {
    /// The number of steps, of `total` in the run; a share is rounded up.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Steps::Count(count) => count,
            Steps::Share(share) => (share * total as f64).ceil() as u64,
        }
    }
}

impl Typed for String {
    const KIND: Kind = Kind::Text;
}

impl Field for String {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        *self = raw.scalar().ok_or(WrongType)?.to_owned();
        Ok(())
    }

    fn show(&self) -> Shown {
        if self.is_empty() { Shown::Nothing } else { Shown::Text(self.clone()) }
    }
}

impl Typed for bool {
    const KIND: Kind = Kind::Bool;
}

impl Field for bool {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        *self = match raw.scalar().ok_or(WrongType)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => true,
            "false" | "no" | "off" | "n" | "f" | "0" => false,
            _ => return Err(WrongType),
        };
        Ok(())
    }

    fn show(&self) -> Shown {
        Shown::Plain(self.to_string())
    }
}

macro_rules! whole_number_fields {
    ($($type:ty),+) => {$(
        impl Typed for $type {
            const KIND: Kind = Kind::Integer;
        }

        impl Field for $type {
            fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
                let text = raw.scalar().ok_or(WrongType)?;
                // A seed may use all 64 bits.
                if let Ok(number) = text.parse() {
                    if !text.starts_with('0') || text == "0" {
                        *self = number;
                        return Ok(());
                    }
                }
                *self = whole_number(text).ok_or(WrongType)?.try_into().map_err(|_| WrongType)?;
                Ok(())
            }

            fn show(&self) -> Shown {
                Shown::Plain(self.to_string())
            }

            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )+};
}

whole_number_fields!(usize, u64, i64);

impl Typed for f64 {
    const KIND: Kind = Kind::Real;
}

impl Field for f64 {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        *self = real_number(raw.scalar().ok_or(WrongType)?).ok_or(WrongType)?;
        Ok(())
    }

    fn show(&self) -> Shown {
        Shown::Plain(show_real(*self))
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Typed for Steps {
    const KIND: Kind = Kind::Steps;
}

impl Field for Steps {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        let text = raw.scalar().ok_or(WrongType)?;
        *self = match (whole_number(text), real_number(text)) {
            (Some(count), _) => Steps::Count(u64::try_from(count).map_err(|_| WrongType)?),
            (None, Some(share)) if share > 0.0 && share < 1.0 => Steps::Share(share),
            _ => return Err(WrongType),
        };
        Ok(())
    }

    fn show(&self) -> Shown {
        Shown::Plain(match self {
            Steps::Count(count) => count.to_string(),
            Steps::Share(share) => show_real(*share),
        })
    }

    fn number(&self) -> Option<f64> {
        Some(match self {
            Steps::Count(count) => *count as f64,
            Steps::Share(share) => *share,
        })
    }
}

impl Typed for Vec<String> {
    const KIND: Kind = Kind::List;
    const OPTIONAL: bool = true;
}

/// A YAML list, or LLaMA-Factory's commas: `identity, alpaca_en_demo`.
impl Field for Vec<String> {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        let trimmed = |items: &mut dyn Iterator<Item = &str>| {
            items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        *self = match raw {
            Raw::Null => Vec::new(),
            Raw::Scalar(text) => trimmed(&mut text.split(',')),
            Raw::List(items) => trimmed(&mut items.iter().map(String::as_str)),
            Raw::Mapping(_) | Raw::Mappings(_) | Raw::Nested => return Err(WrongType),
        };
        Ok(())
    }

    fn show(&self) -> Shown {
        if self.is_empty() { Shown::Nothing } else { Shown::List(self.clone()) }
    }
}

impl<T: Typed> Typed for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
    const REFUSED: &'static [&'static str] = T::REFUSED;
}

impl<T: Field + Initial> Field for Option<T> {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        *self = match raw {
            Raw::Null => None,
            raw => {
                let mut value = T::initial();
                value.read(raw)?;
                Some(value)
            }
        };
        Ok(())
    }

    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Nothing, Field::show)
    }

    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(Field::number)
    }
}

/// A value to read into.
pub(crate) trait Initial {
    fn initial() -> Self;
}

macro_rules! initial {
    ($($type:ty = $value:expr),+ $(,)?) => {$(
        impl Initial for $type {
            fn initial() -> $type {
                $value
            }
        }
    )+};
}

initial! {
    String = String::new(),
    bool = false,
    usize = 0,
    u64 = 0,
    f64 = 0.0,
    Steps = Steps::Count(0),
}
