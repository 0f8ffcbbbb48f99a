//! Takes code out of the module that is linked but cannot run.

use std::{collections::HashSet, ops::Range};

use anyhow::Context;
use rustc_demangle::demangle;
use wasmparser::{
    KnownCustom, Name, NameSectionReader, Parser, Payload, RelocAddendKind, RelocationEntry, TypeRef,
};

/// Leptos can hydrate a page in two ways, at once or piece by piece as split-off parts of a module arrive. Pages here do
/// the first (`hydrate_body`): their parts are there before. The second is kept alive by the method table of every
/// erased view: a sixth of the module.
const NEVER_CALLED: &str = "hydrate_async";

/// Bodies of fewer bytes stay: the linker may have merged a small function with an equal one that is called, and the
/// name tells of one of them only.
const SMALLEST: usize = 128;

/// Blanks the bodies of what is never called, and forgets what they refer to: the splitter drops what only they need.
/// All else stays where it is, as the linker's notes about it say.
///
/// # Errors
/// The module is not one that the linker has left its notes in.
pub fn prune(module: &mut Vec<u8>) -> anyhow::Result<()> {
    let Found { code, bodies, notes } = find(module)?;
    for body in &bodies {
        let blank = &mut module[body.clone()];
        // No locals; trap; nothing for as long as the body was.
        blank.fill(NOP);
        blank[..2].copy_from_slice(&[0, UNREACHABLE]);
        blank[body.len() - 1] = END;
    }
    let in_blank = |entry: &RelocationEntry| {
        let place = code.start + entry.offset as usize;
        bodies.iter().any(|body| body.contains(&place))
    };
    let kept: Vec<RelocationEntry> = notes.entries.into_iter().filter(|entry| !in_blank(entry)).collect();
    module.splice(notes.section, notes_section(notes.about, &kept));
    Ok(())
}

/// A module without what only tools read: names above all.
///
/// # Errors
/// It is no module.
pub fn strip(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    const HEADER: usize = 8;
    let (mut kept, mut end_of_last) = (module[..HEADER.min(module.len())].to_vec(), HEADER);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Some((kind, range)) = payload.as_section() {
            let section = end_of_last..bytes(&range).end;
            end_of_last = section.end;
            if kind != CUSTOM {
                kept.extend_from_slice(&module[section]);
            }
        }
    }
    Ok(kept)
}

/// The kind of a section that does not bear on what a module does.
const CUSTOM: u8 = 0;

const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

/// What of a module is to be changed, by its bytes.
struct Found {
    /// The code section's content.
    code: Range<usize>,
    /// Bodies that never run.
    bodies: Vec<Range<usize>>,
    notes: Notes,
}

/// The section that says where code refers to what.
struct Notes {
    section: Range<usize>,
    /// Index of the section that it is about.
    about: u32,
    entries: Vec<RelocationEntry>,
}

fn find(module: &[u8]) -> anyhow::Result<Found> {
    let (mut imported, mut code, mut bodies) = (0, 0..0, Vec::new());
    let (mut idle, mut notes) = (HashSet::new(), None);
    let (mut section, mut code_section, mut end_of_last) = (0, None, 8);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(imports) => {
                let imports = imports.clone().into_imports().collect::<Result<Vec<_>, _>>()?;
                imported = imports.iter().filter(|import| matches!(import.ty, TypeRef::Func(_))).count();
            }
            Payload::CodeSectionStart { range, .. } => {
                code = bytes(range);
                code_section = Some(section);
            }
            Payload::CodeSectionEntry(body) => bodies.push(bytes(&body.range())),
            Payload::CustomSection(custom) => match custom.as_known() {
                KnownCustom::Name(names) => idle = idle_functions(names)?,
                KnownCustom::Reloc(reloc) if Some(reloc.section_index()) == code_section => {
                    notes = Some(Notes {
                        section: end_of_last..bytes(&custom.range()).end,
                        about: reloc.section_index(),
                        entries: reloc.entries().into_iter().collect::<Result<_, _>>()?,
                    });
                }
                _ => {}
            },
            _ => {}
        }
        if let Some((_, range)) = payload.as_section() {
            section += 1;
            end_of_last = bytes(&range).end;
        }
    }
    let never =
        |(index, body): &(usize, Range<usize>)| idle.contains(&(imported + index)) && body.len() >= SMALLEST;
    let bodies = bodies.into_iter().enumerate().filter(never).map(|(_, body)| body).collect();
    let notes = notes.context("the module lacks the linker's notes about its code (reloc.CODE)")?;
    Ok(Found { code, bodies, notes })
}

/// A range of the module, which is in memory.
fn bytes(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Indices of the functions that are the body of such a method's future, rather than something generic over it.
fn idle_functions(names: NameSectionReader<'_>) -> anyhow::Result<HashSet<usize>> {
    let mut idle = HashSet::new();
    for part in names {
        let Name::Function(functions) = part? else { continue };
        for function in functions {
            let function = function?;
            if is_body_of_future(function.name) {
                idle.insert(function.index as usize);
            }
        }
    }
    Ok(idle)
}

/// Whether a function is such a method's future itself: functions within it may be merged with equal ones that run.
fn is_body_of_future(symbol: &str) -> bool {
    let name = format!("{:#}", demangle(symbol));
    let Some((before, within)) = name.split_once(NEVER_CALLED) else { return false };
    let mut parts = within.split("::").filter(|part| !part.is_empty()).peekable();
    parts.peek().is_some() && parts.all(|part| part.contains("closure")) && !before.contains("drop_in_place")
}

/// The section with these entries, as the linking convention of WebAssembly's tools lays it out.
fn notes_section(about: u32, entries: &[RelocationEntry]) -> Vec<u8> {
    const NAME: &[u8] = b"reloc.CODE";
    let mut content = Vec::new();
    unsigned(NAME.len() as u64, &mut content);
    content.extend_from_slice(NAME);
    unsigned(about.into(), &mut content);
    unsigned(entries.len() as u64, &mut content);
    for entry in entries {
        content.push(entry.ty as u8);
        unsigned(entry.offset.into(), &mut content);
        unsigned(entry.index.into(), &mut content);
        if entry.ty.addend_kind() != RelocAddendKind::None {
            signed(entry.addend, &mut content);
        }
    }
    let mut section = vec![0];
    unsigned(content.len() as u64, &mut section);
    section.extend(content);
    section
}

/// A number in as many groups of seven bits as it needs (LEB128).
fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn signed(mut number: i64, out: &mut Vec<u8>) {
    loop {
        let (byte, rest) = (number as u8 & 0x7f, number >> 7);
        let is_last = rest == 0 && byte & 0x40 == 0 || rest == -1 && byte & 0x40 != 0;
        out.push(if is_last { byte } else { byte | 0x80 });
        if is_last {
            return;
        }
        number = rest;
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::BinaryReader;

    use super::*;

    #[test]
    fn a_future_is_told_from_what_is_within_it() {
        let future = "_ZN6tachys13hydrate_async28_$u7b$$u7b$closure$u7d$$u7d$17hf5d0be49db5556f3E";
        let within = "_ZN6tachys13hydrate_async28_$u7b$$u7b$closure$u7d$$u7d$7inner_117hf5d0be49db5556f3E";
        let method = "_ZN6tachys13hydrate_async17hf5d0be49db5556f3E";
        assert!(is_body_of_future(future));
        for other in [
            within,
            method,
            "tachys::hydrate",
            "core::ptr::drop_in_place<tachys::hydrate_async::{{closure}}>",
        ] {
            assert!(!is_body_of_future(other), "{other}");
        }
    }

    #[test]
    fn numbers_are_read_back() {
        for number in [0, 1, 63, 64, 127, 128, -1, -64, -65, 1 << 33, i64::MIN] {
            let mut bytes = Vec::new();
            signed(number, &mut bytes);
            assert_eq!(BinaryReader::new(&bytes, 0).read_var_i64().ok(), Some(number));
        }
        for number in [0, 127, 128, u64::from(u32::MAX)] {
            let mut bytes = Vec::new();
            unsigned(number, &mut bytes);
            assert_eq!(BinaryReader::new(&bytes, 0).read_var_u64().ok(), Some(number));
        }
    }
}
