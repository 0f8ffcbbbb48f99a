//! Which rows of a data set there are to read: a split's name, and a part of its rows.

/// `train`, or `train[10:500]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The split's name, `train` where nothing is said.
    pub name: String,
    /// The first row, counted from 0, and the one behind the last.
    pub rows: std::ops::Range<usize>,
}

impl Default for Split {
    fn default() -> Self {
        Self { name: "train".into(), rows: 0..usize::MAX }
    }
}

impl Split {
    /// What an entry says; `train` where it says nothing. The error is why it is wrong.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Split::default());
        };
        let wrong = || {
            format!("\"split\" is \"{text}\"; allowed are a name, and a name with rows, as in train[100:500]")
        };
        let (name, rows) = match text.split_once('[') {
            None => (text, 0..usize::MAX),
            Some((name, slice)) => {
                let (from, to) =
                    slice.strip_suffix(']').and_then(|slice| slice.split_once(':')).ok_or_else(wrong)?;
                let number = |text: &str, missing: usize| match text.trim() {
                    "" => Ok(missing),
                    digits => digits.parse().map_err(|_| wrong()),
                };
                (name, number(from, 0)?..number(to, usize::MAX)?)
            }
        };
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
        if !is_name || rows.is_empty() {
            return Err(wrong());
        }
        Ok(Split { name: name.to_owned(), rows })
    }
}
