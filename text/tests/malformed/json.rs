//! JSON and JSON lines.

use super::*;

const A: &str = r#"{"instruction": "Q", "output": "A"}"#;

pub fn inputs() -> Vec<Input> {
    let mut inputs = lists();
    inputs.extend(lines());
    inputs.extend(encodings());
    inputs.extend(bytes_and_escapes());
    inputs.extend(values());
    inputs.extend(keys());
    inputs.extend(sizes());
    inputs
}

fn lists() -> Vec<Input> {
    let json = |content: String, expect| alpaca("d.json", content, expect);
    vec![
        json(String::new(), Refuses(&["is empty"])),
        json(" \n\t ".into(), Refuses(&["is empty"])),
        json("[]".into(), Refuses(&["is empty"])),
        json(" [ \n ] ".into(), Refuses(&["is empty"])),
        json(format!("[{A}]"), Loads(1)),
        json(format!("[{A},{A}]"), Loads(2)),
        json(format!("  [\n{A} ,\n\n {A}\n]\n\n"), Loads(2)),
        json(format!("[{A},]"), Refuses(&["line 1, column 38: row 2: not valid JSON: trailing comma"])),
        json(format!("[{A},\n]"), Refuses(&["trailing comma", "line 2, column 1: row 2"])),
        json(format!("[,{A}]"), Refuses(&["line 1, column 2", "not valid JSON"])),
        json(format!("[{A} {A}]"), Refuses(&["expected `,` or `]`"])),
        json(format!("[{A},,{A}]"), Refuses(&["line 1, column 38", "not valid JSON"])),
        json(format!("[{A}"), Refuses(&["line 1: row 2: the file ends inside its list; it was cut off"])),
        json(format!("[{A},"), Refuses(&["cut off"])),
        json("[".into(), Refuses(&["cut off"])),
        json(format!("[{A}, {{\"instruction\": \"Q\""), Refuses(&["cut off"])),
        json(format!("[{A}, {{\"instruction\": \"Q"), Refuses(&["cut off"])),
        json(format!("[{A}]]"), Refuses(&["more follows behind the list"])),
        json(format!("[{A}] {A}"), Refuses(&["more follows behind the list"])),
        json(format!("[{A}}}"), Refuses(&["expected `,` or `]`"])),
        json("[1]".into(), Refuses(&["row 1 should be an object, not a number: 1"])),
        json("[null]".into(), Refuses(&["row 1 should be an object, not null"])),
        json("[true]".into(), Refuses(&["row 1 should be an object, not true or false"])),
        json("[\"a\"]".into(), Refuses(&["row 1 should be an object, not a text"])),
        json(format!("[[{A}]]"), Refuses(&["row 1 should be an object, not a list"])),
        json(format!("[{A}, 7]"), Refuses(&["row 2 should be an object, not a number: 7"])),
        json("\"text\"".into(), Refuses(&["row 1 should be an object, not a text"])),
        json("42".into(), Refuses(&["row 1 should be an object, not a number"])),
        json("null".into(), Refuses(&["row 1 should be an object, not null"])),
        json("hello".into(), Refuses(&["row 1 is not valid JSON"])),
        json("<html></html>".into(), Refuses(&["row 1 is not valid JSON"])),
        json("{".into(), Refuses(&["row 1 is not valid JSON"])),
        json("}".into(), Refuses(&["row 1 is not valid JSON"])),
        json("]".into(), Refuses(&["row 1 is not valid JSON"])),
        json(A.into(), Loads(1)),
        json(A.replace(", ", ",\n"), Loads(1)),
        json(format!("{}\n{}", A.replace(", ", ",\n"), A.replace(", ", ",\n")), Loads(2)),
        json(format!("{{\"data\": [{A}]}}"), Refuses(&["no row has the column \"instruction\"", "data"])),
        json("[{}]".into(), Refuses(&["no row has the column \"instruction\""])),
        json(format!("[{A}, {{}}]"), LeavesOut(1, &["row 2"])),
        json(format!("[{A}]\n[{A}]"), Refuses(&["line 2: row 2", "more follows behind the list"])),
        json(format!("[{A}]\x1a"), Refuses(&["more follows behind the list"])),
        json(format!("[{A}\0, {A}]"), Refuses(&["row 2: not valid JSON: expected `,`"])),
        json(format!("{A}\n[{A}]"), Refuses(&["row 2 should be an object, not a list"])),
        json(format!("\n[{A}]"), Loads(1)),
        json(format!("\u{a0}[{A}]"), Refuses(&["row 1 is not valid JSON"])),
        json(
            format!("{{\"1\": {A}, \"2\": {A}}}"),
            Refuses(&["no row has the column", "the first row has 1, 2"]),
        ),
        json(
            format!("{{\n\"instruction\": \"Q\",\n\"output\": \"A\"\n}},\n{A}"),
            Refuses(&["line 4", "row 2"]),
        ),
        json(format!("// rows\n[{A}]"), Refuses(&["not valid JSON"])),
        json("[{'instruction': 'Q', 'output': 'A'}]".into(), Refuses(&["row 1 is not valid JSON"])),
        json("[{instruction: \"Q\", output: \"A\"}]".into(), Refuses(&["row 1 is not valid JSON"])),
        json("[{\"instruction\": \"Q\" \"output\": \"A\"}]".into(), Refuses(&["row 1 is not valid JSON"])),
        json("[{\"instruction\" \"Q\"}]".into(), Refuses(&["row 1 is not valid JSON"])),
        json("[{\"instruction\": \"Q\", \"output\": \"A\",}]".into(), Refuses(&["row 1", "trailing comma"])),
    ]
}

fn lines() -> Vec<Input> {
    let jsonl = |content: String, expect| alpaca("d.jsonl", content, expect);
    vec![
        jsonl(String::new(), Refuses(&["is empty"])),
        jsonl("\n\n\r\n".into(), Refuses(&["is empty"])),
        jsonl(A.into(), Loads(1)),
        jsonl(format!("{A}\n{A}\n"), Loads(2)),
        jsonl(format!("{A}\r\n{A}\r\n"), Loads(2)),
        jsonl(format!("\n\n{A}\n\n  \n{A}"), Loads(2)),
        jsonl(format!("[{A},\n{A}]"), Loads(2)),
        jsonl(format!("{A},\n{A}"), Refuses(&["line 1", "row 1 is not valid JSON: trailing characters"])),
        jsonl(format!("{A}{A}"), Refuses(&["line 1", "trailing characters"])),
        jsonl(format!("{A}\n{A}{A}"), Refuses(&["line 2", "row 2", "trailing characters"])),
        jsonl(format!("{A}\n{{\"instruction\": \"Q\""), Refuses(&["line 2", "row 2 is not valid JSON"])),
        jsonl(format!("{A}\n{{\"instruction\": \"Q\"\n{A}"), Refuses(&["line 2", "row 2 is not valid JSON"])),
        jsonl(format!("{A}\nnull"), Refuses(&["line 2", "row 2 should be an object, not null"])),
        jsonl(format!("{A}\n[1]"), Refuses(&["line 2", "row 2 should be an object, not a list"])),
        jsonl(
            format!("{A}\nNaN"),
            Refuses(&[
                "line 2",
                "row 2 should be an object, not null: null (NaN and Infinity are read as null)",
            ]),
        ),
        jsonl(format!("{A}\n{}", A.replace("\"Q\"", "NaN")), Loads(2)),
        jsonl(
            format!("{A}\n{{\"instruction\": NaN, \"x\": [Infinity,-Infinity], 'Q'}}"),
            Refuses(&["line 2, column 49"]),
        ),
        jsonl(format!("{A}\n# end"), Refuses(&["line 2", "row 2 is not valid JSON"])),
        jsonl(format!("{A}\n\n\n{{\"instruction\": 'Q'}}"), Refuses(&["line 4, column 17", "row 2"])),
        jsonl(format!("{A}\0\n{A}"), Refuses(&["line 1", "row 1 is not valid JSON"])),
        jsonl(format!("{A}\n{A}]"), Refuses(&["line 2", "row 2 is not valid JSON: trailing characters"])),
        jsonl(format!("{A}\n{A},\n"), Refuses(&["line 2", "row 2 is not valid JSON: trailing characters"])),
        jsonl(
            format!("{A}\n{{\n\"instruction\": \"Q\"}}\n"),
            Refuses(&["line 2", "row 2 is not valid JSON"]),
        ),
        jsonl("{\"instruction\": \"Q\", \"output\": \"A\"".into(), Refuses(&["row 1 is not valid JSON"])),
        jsonl(format!("{A}\r{A}"), Refuses(&["line 1", "trailing characters"])),
        jsonl(format!("{A}\u{2028}{A}"), Refuses(&["line 1", "trailing characters"])),
        alpaca("d.JSONL", format!("{A}\n"), Loads(1)),
    ]
}

fn encodings() -> Vec<Input> {
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(format!("[{A}]").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let utf16_be: Vec<u8> =
        [0xfe, 0xff].into_iter().chain(format!("[{A}]").encode_utf16().flat_map(u16::to_be_bytes)).collect();
    vec![
        alpaca("d.json", format!("\u{feff}[{A}]"), Loads(1)),
        alpaca("d.json", format!("\u{feff}\u{feff}[{A}]"), Refuses(&["row 1 is not valid JSON"])),
        alpaca("d.json", format!("[{A}, \u{feff}{A}]"), Refuses(&["row 2 is not valid JSON"])),
        alpaca(
            "d.json",
            r#"[{"instruction": "\ude00\ud83d", "output": "A"}]"#,
            Refuses(&["row 1 is not valid JSON", "half of a surrogate pair"]),
        ),
        alpaca("d.json", "\u{feff}", Refuses(&["is empty"])),
        alpaca("d.json", "\u{feff}[]", Refuses(&["is empty"])),
        alpaca("d.jsonl", format!("\u{feff}{A}\r\n\r\n{A}\r\n"), Loads(2)),
        alpaca("d.jsonl", format!("{A}\n\u{feff}{A}"), Refuses(&["line 2", "row 2"])),
        alpaca("d.json", utf16, Refuses(&["UTF-16", "save it as UTF-8"])),
        alpaca("d.json", utf16_be, Refuses(&["UTF-16", "save it as UTF-8"])),
    ]
}

fn bytes_and_escapes() -> Vec<Input> {
    let bytes = |parts: &[&[u8]]| parts.concat();
    vec![
        alpaca(
            "d.json",
            bytes(&[b"[{\"instruction\":\n \"\xff\"}]"]),
            Refuses(&["line 2", "row 1 is not UTF-8"]),
        ),
        alpaca(
            "d.jsonl",
            bytes(&[A.as_bytes(), b"\n{\"instruction\": \"\xe9\"}"]),
            Refuses(&["line 2", "row 2 is not UTF-8"]),
        ),
        alpaca(
            "d.json",
            bytes(&[b"[{\"instruction\": \"\xed\xa0\x80\", \"output\": \"A\"}]"]),
            Refuses(&["row 1 is not UTF-8"]),
        ),
        alpaca(
            "d.json",
            bytes(&[b"[{\"instruction\": \"\xc0\xaf\", \"output\": \"A\"}]"]),
            Refuses(&["row 1 is not UTF-8"]),
        ),
        alpaca(
            "d.json",
            bytes(&[b"[{\"instruction\": \"\xf0\x9f\x98\"}]"]),
            Refuses(&["row 1 is not UTF-8"]),
        ),
        alpaca("d.json", r#"[{"instruction": "\ud83d\ude00", "output": "A"}]"#, Loads(1)),
        alpaca(
            "d.json",
            r#"[{"instruction": "\ud83d", "output": "A"}]"#,
            Refuses(&["row 1 is not valid JSON", "half of a surrogate pair"]),
        ),
        alpaca(
            "d.json",
            r#"[{"instruction": "\uZZZZ", "output": "A"}]"#,
            Refuses(&["row 1 is not valid JSON"]),
        ),
        alpaca(
            "d.json",
            r#"[{"instruction": "\x41", "output": "A"}]"#,
            Refuses(&["row 1 is not valid JSON"]),
        ),
        alpaca(
            "d.json",
            "[{\"instruction\": \"a\nb\", \"output\": \"A\"}]",
            Refuses(&["row 1 is not valid JSON"]),
        ),
        alpaca(
            "d.json",
            "[{\"instruction\": \"a\tb\", \"output\": \"A\"}]",
            Refuses(&["row 1 is not valid JSON"]),
        ),
        alpaca("d.json", "[{\"instruction\": \"\\u0000\", \"output\": \"A\"}]", Loads(1)),
        alpaca(
            "d.json",
            "[{\"instruction\": \"\0\", \"output\": \"A\"}]",
            Refuses(&["row 1 is not valid JSON"]),
        ),
        alpaca("d.json", vec![0u8; 4096], Refuses(&["row 1 is not valid JSON"])),
        alpaca("d.json", r#"[{"instruction": "a \"quoted\" ]}[{ \\", "output": "A"}]"#, Loads(1)),
        alpaca("d.json", r#"[{"instruction": "名字 🦜", "output": "نعم"}]"#, Loads(1)),
    ]
}

/// A row behind a good one.
fn row(content: &str, expect: Expect) -> Input {
    alpaca("d.json", format!("[{A}, {content}]"), expect)
}

fn values() -> Vec<Input> {
    vec![
        row(
            r#"{"instruction": 3, "output": "A"}"#,
            Refuses(&["row 2, key \"instruction\": should be a text, not a number: 3"]),
        ),
        row(r#"{"instruction": null, "output": "A"}"#, Loads(2)),
        row(
            r#"{"instruction": true, "output": "A"}"#,
            Refuses(&["row 2, key \"instruction\"", "true or false"]),
        ),
        row(r#"{"instruction": ["Q"], "output": "A"}"#, Refuses(&["row 2, key \"instruction\"", "a list"])),
        row(
            r#"{"instruction": {"q": 1}, "output": "A"}"#,
            Refuses(&["row 2, key \"instruction\"", "an object"]),
        ),
        row(r#"{"instruction": "Q", "input": 1, "output": "A"}"#, Refuses(&["row 2, key \"input\""])),
        row(r#"{"instruction": "Q", "input": null, "output": "A"}"#, Loads(2)),
        row(r#"{"instruction": "Q", "input": "", "output": "A"}"#, Loads(2)),
        row(
            r#"{"instruction": "Q", "output": 5}"#,
            Refuses(&["row 2, key \"output\": should be a text, not a number: 5"]),
        ),
        row(r#"{"instruction": "Q", "output": ["A", "B"]}"#, Refuses(&["row 2, key \"output\"", "a list"])),
        row(r#"{"instruction": "Q", "output": {"a": 1}}"#, Refuses(&["row 2, key \"output\"", "an object"])),
        row(r#"{"instruction": "Q", "output": null}"#, LeavesOut(1, &["row 2, key \"output\""])),
        row(r#"{"instruction": "Q"}"#, LeavesOut(1, &["row 2, key \"output\""])),
        row(r#"{"instruction": "Q", "output": ""}"#, Loads(2)),
        row(r#"{"instruction": "", "output": ""}"#, Loads(2)),
        row(r#"{"output": "A"}"#, LeavesOut(1, &["row 2, key \"instruction\": is missing"])),
        row(r#"{"input": "Q", "output": "A"}"#, Loads(2)),
        row(r#"{"instruction": "Q", "output": 1e999}"#, Refuses(&["row 2", "number out of range"])),
        row(
            r#"{"instruction": "Q", "output": NaN}"#,
            LeavesOut(
                1,
                &["row 2, key \"output\": has 0 answers, but needs one (NaN and Infinity are read as null)"],
            ),
        ),
        row(
            r#"{"instruction": "Q", "input": NaN, "output": "A", "x": {"y": [NaN, -Infinity ,Infinity]}}"#,
            Loads(2),
        ),
        row(r#"{"instruction": "NaN, NaN", "output": ": NaN,"}"#, Loads(2)),
        row(r#"{"instruction": "Q", "output": "A", "x": nan}"#, Refuses(&["row 2 is not valid JSON"])),
        row(r#"{"instruction": "Q", "output": "A", "x": NaNs}"#, Refuses(&["row 2 is not valid JSON"])),
        row(r#"{"instruction": "Q", "output": "A", "x": +Infinity}"#, Refuses(&["row 2 is not valid JSON"])),
        row(r#"{"instruction": "Q", "output": "A", NaN: 1}"#, Refuses(&["row 2 is not valid JSON"])),
        row(
            r#"{"instruction": "Q", "output": None}"#,
            Refuses(&["row 2", "None are written true, false and null"]),
        ),
        row(r#"{"instruction": "Q", 'output': "A"}"#, Refuses(&["row 2", "stand in \"double quotes\""])),
        row(r#"{"instruction": "Q", // a note"#, Refuses(&["the file ends inside its list"])),
        row(
            r#"{"instruction": "Q", "output": "A", "score": 1e999}"#,
            Refuses(&["row 2", "number out of range"]),
        ),
        row(r#"{"instruction": "Q", "output": "A", "id": 123456789012345678901234567890}"#, Loads(2)),
    ]
}

fn keys() -> Vec<Input> {
    vec![
        row(
            r#"{"instruction": "Q", "instruction": "R", "output": "A"}"#,
            Refuses(&["row 2 has the key \"instruction\" twice"]),
        ),
        row(
            r#"{"instruction": "Q", "output": "A", "output": "A"}"#,
            Refuses(&["row 2 has the key \"output\" twice"]),
        ),
        row(
            r#"{"instruction": "Q", "output": "A", "x": {"a": 1, "a": 2}}"#,
            Refuses(&["row 2 has the key \"a\" twice"]),
        ),
        row(r#"{"instruction": "Q", "output": "A", "": 1}"#, Loads(2)),
        row(r#"{"instruction": "Q", "output": "A", "more": {"deep": [1, {"er": null}]}}"#, Loads(2)),
        row(
            r#"{"Instruction": "Q", "output": "A"}"#,
            LeavesOut(1, &["row 2, key \"instruction\": is missing, so there is no question"]),
        ),
        row(
            r#"{"instruction": "Q", "output": "A", "\u006futput": "B"}"#,
            Refuses(&["row 2 has the key \"output\" twice"]),
        ),
        row(r#"{"instruction": "12", "output": "0.50"}"#, Loads(2)),
        row(r#"{"instruction": "Q", "output": -0}"#, Refuses(&["row 2, key \"output\"", "a number"])),
        row(r#"{"instruction": "Q", "output": false}"#, Refuses(&["row 2, key \"output\"", "true or false"])),
        row(r#"{"instruction": "Q", "output": []}"#, Refuses(&["row 2, key \"output\"", "a list"])),
        row(r#"{"instruction": "Q", "output": 01}"#, Refuses(&["row 2 is not valid JSON"])),
        row(r#"{"instruction": "Q", "output": "A"; "x": 1}"#, Refuses(&["row 2 is not valid JSON"])),
        row(r#"{"instruction": undefined, "output": "A"}"#, Refuses(&["row 2 is not valid JSON"])),
        row(r#"{"instruction": "Q", "output": "A"} {}"#, Refuses(&["row 3: not valid JSON: expected `,`"])),
        row(r#"{"instruction": "Q", "output": "A"}, {}"#, LeavesOut(2, &["row 3, key \"instruction\""])),
    ]
}

fn sizes() -> Vec<Input> {
    let text = |length: usize| "x".repeat(length);
    let deep = |open: &str, close: &str, depth: usize| {
        format!(
            "[{{\"instruction\": \"Q\", \"output\": \"A\", \"x\": {}{}}}]",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let many: Vec<String> =
        (0..2500).map(|n| format!(r#"{{"instruction": "Q{n}", "output": "A"}}"#)).collect();
    vec![
        alpaca("d.jsonl", format!(r#"{{"instruction": "{}", "output": "A"}}"#, text(5 << 20)), Loads(1)),
        alpaca(
            "d.jsonl",
            format!("{A}\n{{\"instruction\": \"{}\"}}\n{A}", text(100 << 20)),
            Refuses(&["line 2: row 2: the row is longer than 64 MiB"]),
        ),
        alpaca(
            "d.json",
            format!("[{A}, {{\"instruction\": \"{}\"}}]", text(100 << 20)),
            Refuses(&["row 2: the row is longer than 64 MiB"]),
        ),
        alpaca("d.json", text(100 << 20), Refuses(&["longer than 64 MiB"])),
        alpaca("d.json", "[".repeat(100_000), Refuses(&["cut off"])),
        alpaca("d.json", "{\"a\":".repeat(100_000), Refuses(&["row 1", "recursion limit"])),
        alpaca("d.json", deep("[", "]", 100_000), Refuses(&["row 1", "recursion limit"])),
        alpaca("d.json", deep("[", "]", 100), Loads(1)),
        alpaca("d.json", format!("[{}]", many.join(",")), Loads(2500)),
        alpaca("d.jsonl", many.join("\n"), Loads(2500)),
        alpaca("d.json", format!("[{}]", many.join(" , \n")), Loads(2500)),
    ]
}
