//! Sound files under entries that do not fit them, and names that are not read.

use super::*;

const GOOD: &str = r#"[{"instruction": "Q", "output": "A"}]"#;

pub fn inputs() -> Vec<Input> {
    let entry = |entry, expect| with(entry, "d.json", GOOD, expect);
    let named = |file, expect| alpaca(file, GOOD, expect);
    vec![
        entry("", Loads(1)),
        entry(r#""formatting": "alpaca", "ranking": false, "columns": null, "tags": null"#, Loads(1)),
        entry(
            r#""formatting": "chatty""#,
            Refuses(&["\"formatting\" is \"chatty\"", "alpaca, sharegpt, openai"]),
        ),
        entry(r#""formatting": 1"#, Refuses(&["\"formatting\" should be a text"])),
        entry(r#""formatting": "sharegpt""#, Refuses(&["row 1, key \"conversations\""])),
        entry(r#""ranking": "yes""#, Refuses(&["\"ranking\" should be true or false"])),
        entry(r#""ranking": true"#, Refuses(&["no row can be used"])),
        entry(r#""num_samples": 0"#, Refuses(&["\"num_samples\" should be a number above 0"])),
        entry(r#""num_samples": -1"#, Refuses(&["\"num_samples\""])),
        entry(r#""num_samples": "10""#, Refuses(&["\"num_samples\""])),
        entry(r#""num_samples": 3"#, Loads(3)),
        entry(r#""columns": []"#, Refuses(&["\"columns\" should be an object"])),
        entry(r#""columns": {}"#, Refuses(&["\"columns\" does not name \"prompt\""])),
        entry(
            r#""columns": {"promt": "instruction"}"#,
            Refuses(&["\"columns\" does not name \"prompt\"; key \"promt\" of \"columns\" is unknown"]),
        ),
        entry(r#""columns": {"prompt": "instruction", "response": "output", "backtrack": ["x"]}"#, Loads(1)),
        entry(
            r#""columns": {"prompt": "instruction", "query": "inptu", "response": "output"}"#,
            Refuses(&["no row has the column \"inptu\" (query); the first row has instruction, output"]),
        ),
        entry(r#""columns": {"prompt": "instruction", "query": "input", "response": "output"}"#, Loads(1)),
        entry(
            r#""columns": {"prompt": "instruction", "response": "output", "history": "hist"}"#,
            Refuses(&["no row has the column \"hist\" (history)"]),
        ),
        entry(r#""columns": {"prompt": "Instruction", "response": "output"}"#, Refuses(&["\"Instruction\""])),
        entry(r#""file_name": "e.json""#, Refuses(&["has the key \"file_name\" twice", "line 1"])),
        entry(
            r#""columns": {"prompt": "instruction", "prompt": "output"}"#,
            Refuses(&["has the key \"prompt\" twice"]),
        ),
        entry(r#""columns": {"prompt": 1}"#, Refuses(&["\"columns\".\"prompt\" should be a text"])),
        entry(
            r#""columns": {"prompt": "question", "response": "output"}"#,
            Refuses(&["no row has the column \"question\" (prompt)"]),
        ),
        entry(r#""columns": {"prompt": "instruction"}"#, Refuses(&["no row can be used"])),
        entry(r#""tags": []"#, Refuses(&["\"tags\" should be an object"])),
        entry(r#""tags": {"role": "x"}"#, Loads(1)),
        entry(
            r#""formatting": "sharegpt", "tags": {"role": "x"}"#,
            Refuses(&["\"tags\" does not name \"role_tag\"; key \"role\" of \"tags\" is unknown"]),
        ),
        entry(r#""split": "test""#, Refuses(&["\"split\" is \"test\""])),
        entry(r#""split": "train[:1]""#, Loads(1)),
        entry(r#""split": "train[1:]""#, Refuses(&["no row"])),
        entry(r#""split": "train[5:2]""#, Refuses(&["\"split\" is \"train[5:2]\""])),
        entry(r#""split": "train[:10%]""#, Refuses(&["\"split\" is \"train[:10%]\""])),
        entry(r#""subset": "a", "folder": "b""#, Loads(1)),
        entry(r#""file_sha1": "0000""#, Loads(1)),
        entry(r#""file_sha1": 5"#, Refuses(&["\"file_sha1\" should be a text"])),
        entry(r#""unknown": 1"#, Loads(1)),
        entry(r#""script_url": "x""#, Refuses(&["Python script"])),
        entry(r#""cloud_file_name": "s3://x/y.json""#, Refuses(&["cloud store"])),
        entry(r#""om_hub_url": "a/b""#, Refuses(&["Modelers"])),
        entry(r#""hf_hub_url": "../x""#, Refuses(&["not a name like owner/name"])),
        entry(r#""hf_hub_url": 3"#, Refuses(&["\"hf_hub_url\" should be a text"])),
        named("d.xlsx", Refuses(&["files ending in \".xlsx\" are not read"])),
        named("d", Refuses(&["names have no ending"])),
        named("d.json.zst", Refuses(&["files ending in \".zst\" are not read"])),
        named("d.json.bz2", Refuses(&["files ending in \".bz2\" are not read"])),
        named("d.yaml", Refuses(&["files ending in \".yaml\" are not read"])),
    ]
}
