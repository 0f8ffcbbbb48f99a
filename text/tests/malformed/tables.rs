//! CSV and plain text.

use super::*;

const GOOD_JSON: &str = "[{\"instruction\": \"Q\", \"output\": \"A\"}]\n";
const TEXT: &str = r#""columns": {"prompt": "text"}"#;

pub fn inputs() -> Vec<Input> {
    let mut inputs = rows_and_cells();
    inputs.extend(quotes_and_columns());
    inputs.extend(plain_text());
    inputs
}

fn csv(content: &str, expect: Expect) -> Input {
    alpaca("d.csv", content.as_bytes(), expect)
}

fn rows_and_cells() -> Vec<Input> {
    vec![
        csv("", Refuses(&["is empty"])),
        csv("instruction,output\n", Refuses(&["is empty"])),
        csv("instruction,output\nQ,A\n", Loads(1)),
        csv("instruction,output\r\nQ,A\r\n", Loads(1)),
        csv("\u{feff}instruction,output\nQ,A", Loads(1)),
        csv("instruction,input,output\nQ,,A\n", Loads(1)),
        csv("instruction,output\nQ,\n", Refuses(&["no row can be used", "row 1, key \"output\""])),
        csv("instruction,output\nQ,A\nQ,\n", LeavesOut(1, &["row 2, key \"output\""])),
        csv("instruction,output\nQ\n", Refuses(&["line 2", "the row has 1 cells, but the header has 2"])),
        csv(
            "instruction,output\nQ,A\nQ,A,B\n",
            Refuses(&["line 3: row 2: the row has 3 cells, but the header has 2"]),
        ),
        csv("instruction,output\rQ,A\rR,B\r", Refuses(&["line 1", "a carriage return alone"])),
        csv("instruction,output\nQ,A\rR,B\n", Refuses(&["line 2: row 1", "a carriage return alone"])),
        csv("instruction,output\n\"Q\rR\",A\n", Loads(1)),
        csv("instruction, output\nQ,A\n", Refuses(&["no row has the column \"output\" (response)"])),
        csv("Instruction,Output\nQ,A\n", Refuses(&["no row has the column \"instruction\""])),
        csv("instruction,output\nQ,A\n,\n", LeavesOut(1, &["row 2, key \"output\""])),
        csv("instruction,output\nQ,A\n,B\n", Loads(2)),
        csv("instruction,output\n\"\",\"\"\n", Refuses(&["no row can be used", "row 1, key \"output\""])),
        csv("instruction,output\nQ,A,\n", Refuses(&["line 2: row 1: the row has 3 cells"])),
        csv("instruction,output,\nQ,A,\n", Loads(1)),
        csv("\n\ninstruction,output\nQ,A\n", Loads(1)),
        csv("\"instruction\",\"output\"\n\"Q\",\"A\"", Loads(1)),
        csv("instruction,output\nQ\0,A\n", Loads(1)),
        csv(GOOD_JSON, Refuses(&["is empty", "d.csv"])),
        alpaca(
            "d.csv",
            format!("instruction,output\nQ,{}\nR,B\n", "x".repeat(70 << 20)),
            Refuses(&["line 2: row 1: the row is longer than 64 MiB"]),
        ),
        csv("instruction,output\n\nQ,A\n\n\n", Loads(1)),
    ]
}

fn quotes_and_columns() -> Vec<Input> {
    vec![
        csv("instruction,output\n\"Q, with \"\"quotes\"\"\nand a line\",A\n", Loads(1)),
        csv("instruction,output\n\"Q,A\n", Refuses(&["line 2", "never closed"])),
        csv("instruction,output\nQ,\"A\nB\n", Refuses(&["line 2", "never closed"])),
        csv("instruction,output\n5\" disk,A\n", Loads(1)),
        csv("instruction,output\n\"Q\" and,A\n", Loads(1)),
        csv("instruction;output\nQ;A\n", Refuses(&["no row has the column \"instruction\""])),
        csv("instruction\toutput\nQ\tA\n", Refuses(&["no row has the column \"instruction\""])),
        csv(
            "question,answer\nQ,A\n",
            Refuses(&["no row has the column \"instruction\"", "question, answer"]),
        ),
        csv("instruction,instruction,output\nQ,R,A\n", Refuses(&["line 1", "\"instruction\" twice"])),
        csv(",instruction,output\n0,Q,A\n", Loads(1)),
        csv("instruction,output\n1,2\n", Loads(1)),
        alpaca("d.csv", b"instruction,output\nQ,A\nQ,\xff\n".as_slice(), Refuses(&["line 3", "not UTF-8"])),
        alpaca("d.csv", b"instruction,\xff\nQ,A\n".as_slice(), Refuses(&["line 1", "not UTF-8"])),
        with(
            r#""columns": {"prompt": "q", "response": "a", "kto_tag": "k"}"#,
            "d.csv",
            "q,a,k\nQ,A,True\nQ,B,false\n",
            Loads(2),
        ),
        with(
            r#""columns": {"prompt": "q", "response": "a", "kto_tag": "k"}"#,
            "d.csv",
            "q,a,k\nQ,A,yes\n",
            Refuses(&["row 1, key \"k\""]),
        ),
        with(
            r#""formatting": "sharegpt""#,
            "d.csv",
            "conversations\nhello\n",
            Refuses(&["row 1, key \"conversations\": should be a list of messages, not a text"]),
        ),
        with(
            r#""formatting": "openai""#,
            "d.csv",
            "messages\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"Q\"\"}, {\"\"role\"\": \"\"assistant\"\", \"\"content\"\": \"\"A\"\"}]\"\n",
            Loads(1),
        ),
    ]
}

fn plain_text() -> Vec<Input> {
    let txt = |content: &[u8], expect| with(TEXT, "d.txt", content, expect);
    vec![
        txt(b"", Refuses(&["is empty"])),
        txt(b"one", Loads(1)),
        txt(b"one\r\n\r\ntwo\r\n", Loads(3)),
        txt("\u{feff}one\n".as_bytes(), Loads(1)),
        txt(b"\n", Loads(1)),
        txt(b"one\n\xff\n", Refuses(&["line 2: row 2", "not UTF-8"])),
        txt(b"\xff\xfeo\0n\0e\0", Refuses(&["UTF-16"])),
        txt(b"one\n\n\n", Loads(3)),
        txt(b"one\0two\n", Loads(1)),
        txt(&vec![b'x'; 100 << 20], Refuses(&["line 1", "longer than 64 MiB"])),
        alpaca("d.txt", "Q\n", Refuses(&["no row has the column \"instruction\"", "text"])),
    ]
}
