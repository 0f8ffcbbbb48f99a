//! YAML (and with it JSON) as a flat list of keys and values with line numbers.
//!
//! Built on the parser's events instead of a tree, to see every key twice given, every line, and the
//! text of numbers as it was typed.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::problem::Problem;
use crate::raw::Raw;
use crate::text::{Sentence, Text};

/// One line of the recipe.
pub(crate) struct Entry {
    pub key: String,
    pub value: Raw,
    pub line: Option<usize>,
}

/// Bytes of the longest recipe.
const LONGEST: usize = 4 << 20;
/// Anchors (`&name`) in a recipe, at most. None has a use here, and the parser takes longer over each one than over
/// the one before.
const ANCHORS: usize = 64;

/// The keys and values of a document that is one flat mapping.
///
/// # Errors
/// With the line that is not YAML, or not of such a mapping.
pub(crate) fn entries(text: &str) -> Result<Vec<Entry>, Problem> {
    if text.len() > LONGEST {
        let (most, bytes) = (LONGEST >> 20, text.len());
        return Err(Problem::general(sentence! {
            en: "a recipe has at most {most} MiB, and this has {bytes} bytes",
            zh: "配方最大为 {most} MiB，此处有 {bytes} 字节",
        }));
    }
    let text = join_surrogates(text);
    let mut events = Events::of(&text);
    let mut entries = Vec::new();
    if !events.open_mapping()? {
        return Ok(entries);
    }
    loop {
        match events.next()? {
            (Event::MappingEnd, _) => break,
            (Event::Scalar(key, ..), line) => {
                let (key, line) = (key.into_owned(), Some(line));
                entries.push(Entry { key, value: events.value()?, line });
            }
            (_, line) => return Err(not_a_mapping(line)),
        }
    }
    events.end()?;
    Ok(entries)
}

/// Replaces the pairs of escapes that JSON has for characters beyond U+FFFF (RFC 8259, section 7), the one thing in
/// it that is not YAML.
fn join_surrogates(text: &str) -> Cow<'_, str> {
    let mut joined = String::new();
    let mut taken = 0;
    for (start, _) in text.match_indices("\\u") {
        let before = text[..start].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if start >= taken
            && before % 2 == 0
            && let Some(c) = surrogates(&text[start..])
        {
            joined.push_str(&text[taken..start]);
            joined.push(c);
            taken = start + 12;
        }
    }
    if taken == 0 {
        return Cow::Borrowed(text);
    }
    joined.push_str(&text[taken..]);
    Cow::Owned(joined)
}

/// The character of a text that starts with `\uD83D\uDE00` and the like.
fn surrogates(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let pair = [unit(0)?, unit(6)?];
    let [Ok(c)] = char::decode_utf16(pair).collect::<Vec<_>>()[..] else { return None };
    Some(c)
}

/// A value given on a command line: read as YAML, or taken as text where it is none.
pub(crate) fn value(text: &str) -> Raw {
    let mut events = Events::of(text);
    let read = loop {
        match events.next() {
            Ok((Event::StreamStart | Event::DocumentStart(_), _)) => {}
            Ok((event, line)) => break events.value_from(event, line),
            Err(problem) => break Err(problem),
        }
    };
    match read {
        Ok(Raw::Mapping(_) | Raw::Mappings(_) | Raw::Nested) | Err(_) => Raw::Scalar(text.to_owned()),
        Ok(value) => value,
    }
}

/// The mappings of a text such as `[{type: length, max: 20}]`; none if it is something else.
pub(crate) fn mappings(text: &str) -> Option<Vec<Vec<(String, String)>>> {
    let mut events = Events::of(text);
    loop {
        match events.next().ok()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (event, line) => {
                return match events.value_from(event, line).ok()? {
                    Raw::Mappings(mappings) => Some(mappings),
                    Raw::Mapping(entries) => Some(vec![entries]),
                    _ => None,
                };
            }
        }
    }
}

struct Events<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
}

impl<'t> Events<'t> {
    fn of(text: &'t str) -> Events<'t> {
        Events { parser: Parser::new_from_str(text.trim_start_matches('\u{feff}')) }
    }

    /// The next event and the line it starts on.
    fn next(&mut self) -> Result<(Event<'t>, usize), Problem> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, 0)),
            Some(Ok((event, Span { start, .. }))) => {
                let line = start.line();
                if let Event::Scalar(_, _, anchors, _)
                | Event::SequenceStart(anchors, _)
                | Event::MappingStart(anchors, _) = event
                    && anchors > ANCHORS
                {
                    let words = sentence! {
                        en: "there are more than {ANCHORS} anchors (`&name`); a recipe needs none",
                        zh: "锚点（`&name`）超过 {ANCHORS} 个；配方不需要锚点",
                    };
                    return Err(Problem::general(words).at(Some(line)));
                }
                Ok((event, line))
            }
            Some(Err(error)) => Err(syntax(&error)),
        }
    }

    /// Goes on to the first key. False if the document is empty.
    fn open_mapping(&mut self) -> Result<bool, Problem> {
        loop {
            match self.next()? {
                (Event::MappingStart(..), _) => return Ok(true),
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(false),
                // Nothing but comments.
                (Event::Scalar(text, ..), _) if text.is_empty() || text == "~" => return Ok(false),
                (Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(..), line) => {
                    return Err(not_a_mapping(line));
                }
                _ => {}
            }
        }
    }

    /// Goes on to the end of the text, where no second document may start.
    fn end(&mut self) -> Result<(), Problem> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), line) => {
                    let words = words! {
                        en: "a second document starts here; a recipe is one document, so remove the `---`",
                        zh: "此处开始了第二个文档；配方只能是一个文档，请删除 `---`",
                    };
                    return Err(Problem::general(words).at(Some(line)));
                }
                _ => {}
            }
        }
    }

    fn value(&mut self) -> Result<Raw, Problem> {
        let (event, line) = self.next()?;
        self.value_from(event, line)
    }

    fn value_from(&mut self, event: Event<'t>, line: usize) -> Result<Raw, Problem> {
        match event {
            Event::Scalar(text, style, ..) => Ok(scalar(&text, style)),
            Event::SequenceStart(..) => self.list(),
            Event::MappingStart(..) => self.mapping(),
            Event::Alias(_) => {
                let words = words! {
                    en: "aliases (`*name`) are not understood here; write the value out",
                    zh: "此处不支持别名（`*name`）；请直接写出取值",
                };
                Err(Problem::general(words).at(Some(line)))
            }
            _ => Ok(Raw::Null),
        }
    }

    /// The items of a list that has been opened.
    fn list(&mut self) -> Result<Raw, Problem> {
        let (mut items, mut mappings) = (Vec::new(), Vec::new());
        let mut nested = false;
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (Event::SequenceStart(..), _) => {
                    self.skip_nested()?;
                    nested = true;
                }
                (event, line) => match self.value_from(event, line)? {
                    Raw::Scalar(text) => items.push(text),
                    Raw::Mapping(entries) => mappings.push(entries),
                    Raw::Mappings(_) | Raw::Nested => nested = true,
                    Raw::Null | Raw::List(_) => {}
                },
            }
        }
        Ok(match (nested, mappings.is_empty(), items.is_empty()) {
            (false, true, _) => Raw::List(items),
            (false, false, true) => Raw::Mappings(mappings),
            _ => Raw::Nested,
        })
    }

    /// The entries of a mapping that has been opened.
    fn mapping(&mut self) -> Result<Raw, Problem> {
        let mut entries = Vec::new();
        let mut nested = false;
        let mut name = None;
        loop {
            match (self.next()?.0, name.take()) {
                (Event::MappingEnd | Event::StreamEnd, _) => break,
                (Event::MappingStart(..) | Event::SequenceStart(..), _) => {
                    self.skip_nested()?;
                    nested = true;
                }
                (Event::Scalar(text, ..), None) if !nested => name = Some(text.into_owned()),
                (Event::Scalar(text, ..), Some(name)) => entries.push((name, text.into_owned())),
                _ => nested = true,
            }
        }
        Ok(if nested { Raw::Nested } else { Raw::Mapping(entries) })
    }

    /// Skips to the end of a list or mapping that has been opened. Counts instead of recursing, so
    /// that no depth of nesting exhausts the stack.
    fn skip_nested(&mut self) -> Result<(), Problem> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()?.0 {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                Event::StreamEnd => break,
                _ => {}
            }
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Raw {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        Raw::Null
    } else {
        Raw::Scalar(text.to_owned())
    }
}

fn not_a_mapping(line: usize) -> Problem {
    let words = words! {
        en: "a recipe is a list of `key: value` lines, and this is something else",
        zh: "配方由若干行 `key: value` 组成，此处不是",
    };
    Problem::general(words).at(Some(line))
}

/// What the parser says of the commonest slips, and what to do about them.
const SLIPS: &[(&str, Text)] = &[
    (
        "simple key expect",
        words! { en: "a key, here or just above, has no `: ` after it", zh: "此处或上一行的键后缺少 `: `" },
    ),
    (
        "found a tab",
        words! {
            en: "there is a tab; indent with blanks, or not at all",
            zh: "出现了制表符；请用空格缩进或不缩进",
        },
    ),
    (
        "mapping values are not allowed",
        words! {
            en: "there is a second `: ` in the line; put the value in quotes",
            zh: "一行中出现了第二个 `: `；请给取值加引号",
        },
    ),
];

fn syntax(error: &ScanError) -> Problem {
    let slip = SLIPS.iter().find(|(said, _)| error.info().contains(said));
    let why = slip.map_or_else(|| Sentence::english(error.info().to_owned()), |(_, words)| (*words).into());
    let words = sentence! { [why] en: "this is not valid YAML: {why}", zh: "YAML 语法错误：{why}" };
    Problem::general(words).at(Some(error.marker().line()))
}
