//! Messages, tools, history, preference pairs and judged answers.

use super::*;

const GOOD: &str = r#"{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}"#;
const OPENAI: &str = r#""formatting": "openai", "columns": {"messages": "messages", "tools": "tools"}, "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "observation_tag": "tool", "system_tag": "system"}"#;
const HISTORY: &str = r#""columns": {"prompt": "q", "response": "a", "history": "h", "system": "s", "tools": "t", "images": "i", "videos": "v", "audios": "u"}"#;
const PAIRS: &str = r#""ranking": true, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}"#;
/// The layout of LLaMA-Factory 0.7.
const LISTED: &str = r#""ranking": true, "columns": {"prompt": "q", "response": "a"}"#;
const CHAT_PAIRS: &str = r#""ranking": true, "formatting": "sharegpt", "columns": {"messages": "m", "chosen": "c", "rejected": "r"}"#;
const JUDGED: &str = r#""columns": {"prompt": "q", "response": "a", "kto_tag": "k"}"#;
const CHAT_JUDGED: &str = r#""formatting": "sharegpt", "columns": {"messages": "m", "kto_tag": "k"}"#;

pub fn inputs() -> Vec<Input> {
    let mut inputs = roles();
    inputs.extend(fields());
    inputs.extend(tools());
    inputs.extend(tool_calls());
    inputs.extend(history());
    inputs.extend(preferences());
    inputs.extend(judgements());
    inputs
}

/// A conversation of these roles behind a good one.
fn turns(roles: &[&str], expect: Expect) -> Input {
    let messages: Vec<String> =
        roles.iter().map(|role| format!(r#"{{"from": "{role}", "value": "x"}}"#)).collect();
    chat(format!("[{GOOD}, {{\"conversations\": [{}]}}]", messages.join(", ")), expect)
}

fn roles() -> Vec<Input> {
    vec![
        turns(&["human", "gpt"], Loads(2)),
        turns(&["system", "human", "gpt"], Loads(2)),
        turns(&["human", "function_call", "observation", "gpt"], Loads(2)),
        turns(&["human", "gpt", "human", "gpt"], Loads(2)),
        turns(&["observation", "gpt"], Loads(2)),
        turns(&[], LeavesOut(1, &["row 2, key \"conversations\""])),
        turns(&["system"], LeavesOut(1, &["row 2, key \"conversations\""])),
        turns(&["human"], LeavesOut(1, &["the last question has no answer"])),
        turns(&["human", "gpt", "human"], LeavesOut(1, &["the last question has no answer"])),
        turns(&["gpt"], LeavesOut(1, &["turn 1 should be a question"])),
        turns(&["gpt", "human"], LeavesOut(1, &["turn 1 should be a question"])),
        turns(&["human", "human"], LeavesOut(1, &["turn 2 should be an answer"])),
        turns(&["human", "gpt", "gpt", "human"], LeavesOut(1, &["turn 3 should be a question"])),
        turns(&["human", "observation"], LeavesOut(1, &["turn 2 should be an answer"])),
        turns(&["human", "gpt", "system", "gpt"], LeavesOut(1, &["message 3 is a system text"])),
        turns(&["system", "system", "human", "gpt"], LeavesOut(1, &["message 2 is a system text"])),
        turns(&["robot", "gpt"], LeavesOut(1, &["unknown role \"robot\""])),
        turns(&["Human", "gpt"], LeavesOut(1, &["unknown role \"Human\""])),
        turns(&["", "gpt"], LeavesOut(1, &["unknown role \"\""])),
        turns(&["user", "assistant"], Loads(2)),
        turns(&["human", "chatgpt", "user", "bing", "human", "bard", "human", "model"], Loads(2)),
        turns(&["user", "function_call", "tool", "gpt"], Loads(2)),
        turns(&["human", "function"], LeavesOut(1, &["unknown role \"function\""])),
    ]
}

fn fields() -> Vec<Input> {
    let row = |row: &str, expect| chat(format!("[{GOOD}, {row}]"), expect);
    let turns = |turns: &str, expect| row(&format!(r#"{{"conversations": [{turns}]}}"#), expect);
    let key = |parts: &'static [&'static str]| Refuses(parts);
    vec![
        row("{}", key(&["row 2, key \"conversations\": should be a list of messages, not null"])),
        row(r#"{"conversations": null}"#, key(&["row 2, key \"conversations\"", "not null"])),
        row(r#"{"conversations": "hello"}"#, key(&["row 2, key \"conversations\"", "not a text"])),
        row(r#"{"conversations": {}}"#, key(&["row 2, key \"conversations\"", "not an object"])),
        row(r#"{"conversations": 1}"#, key(&["row 2, key \"conversations\"", "not a number"])),
        turns(r#""hello""#, key(&["row 2", "message 1 should be an object, not a text"])),
        turns(r#"null"#, key(&["row 2", "message 1 should be an object, not null"])),
        turns(r#"[]"#, key(&["row 2", "message 1 should be an object, not a list"])),
        turns(r#"{}"#, key(&["row 2", "message 1: \"from\" is missing"])),
        turns(r#"{"from": "human"}"#, key(&["row 2", "message 1: \"value\" is missing"])),
        turns(r#"{"value": "Q"}"#, key(&["row 2", "message 1: \"from\" is missing"])),
        turns(
            r#"{"from": 1, "value": "Q"}"#,
            key(&["row 2", "message 1: \"from\" should be a text, not a number"]),
        ),
        turns(r#"{"from": "human", "value": null}"#, key(&["row 2", "\"value\" should be a text, not null"])),
        turns(
            r#"{"from": "human", "value": ["Q"]}"#,
            key(&["row 2", "\"value\" should be a text, not a list"]),
        ),
        turns(
            r#"{"from": "human", "value": "Q"}, {"from": "gpt", "value": 4}"#,
            key(&["row 2", "message 2: \"value\" should be a text"]),
        ),
        turns(r#"{"from": "system", "value": 4}"#, key(&["row 2", "message 1: \"value\" should be a text"])),
        turns(r#"{"role": "user", "content": "Q"}"#, key(&["row 2", "message 1: \"from\" is missing"])),
        turns(r#"{"from": "human", "value": ""}, {"from": "gpt", "value": ""}"#, Loads(2)),
        turns(
            r#"{"from": "human", "from": "gpt", "value": "Q"}"#,
            key(&["row 2 has the key \"from\" twice"]),
        ),
        chat(r#"[{"messages": []}]"#, Refuses(&["row 1, key \"conversations\""])),
        turns(
            r#"[{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]"#,
            key(&["row 2", "message 1 should be an object, not a list"]),
        ),
        turns(
            r#"{"from": "human", "value": "Q", "\u0066rom": "gpt"}"#,
            key(&["row 2 has the key \"from\" twice"]),
        ),
        turns(r#"{"FROM": "human", "VALUE": "Q"}"#, key(&["row 2", "message 1: \"from\" is missing"])),
        turns(r#"{"from": "human", "value": "Q"}, null"#, key(&["row 2", "message 2 should be an object"])),
        turns(
            r#"{"from": "human", "value": {"text": "Q"}}"#,
            key(&["row 2", "\"value\" should be a text, not an object"]),
        ),
        turns(r#"{"from": null, "value": "Q"}"#, key(&["row 2", "\"from\" should be a text, not null"])),
        row(
            r#"{"conversations": "[{\"from\": \"human\", \"value\": \"Q\"}, {\"from\": \"gpt\", \"value\": \"A\"}]"}"#,
            Loads(2),
        ),
        row(
            r#"{"conversations": "[{\"from\": \"human\", \"value\": \"Q\"}"}"#,
            key(&["row 2, key \"conversations\": should be a list of messages", "not a text"]),
        ),
        row(r#"{"Conversations": []}"#, key(&["row 2, key \"conversations\"", "not null"])),
        with(
            r#""formatting": "sharegpt", "tags": {"user_tag": "human"}"#,
            "d.json",
            format!("[{GOOD}]"),
            Refuses(&["\"tags\" does not name \"role_tag\""]),
        ),
        with(
            r#""formatting": "sharegpt", "tags": {"role_tag": "from", "content_tag": "value"}"#,
            "d.json",
            format!("[{GOOD}]"),
            Loads(1),
        ),
        chat(r#"[{"conversations": []}]"#, Refuses(&["no row can be used", "row 1"])),
    ]
}

const USER: &str = r#"{"role": "user", "content": "Q"}"#;
const ANSWER: &str = r#"{"role": "assistant", "content": "A"}"#;
const CALL: &str = r#"[{"type": "function", "function": {"name": "f", "arguments": {}}}]"#;

fn openai(messages: &str, tools: &str, expect: Expect) -> Input {
    with(OPENAI, "d.json", format!(r#"[{{"messages": [{messages}], "tools": {tools}}}]"#), expect)
}

/// A question, and an answer that calls tools.
fn call(calls: &str) -> String {
    format!(r#"{USER}, {{"role": "assistant", "content": "", "tool_calls": {calls}}}"#)
}

fn tools() -> Vec<Input> {
    let row = openai;
    vec![
        row(&format!("{USER}, {ANSWER}"), "[]", Loads(1)),
        row(&format!("{USER}, {ANSWER}"), "null", Loads(1)),
        row(&format!("{USER}, {ANSWER}"), r#"[{"name": "f"}]"#, Loads(1)),
        row(
            &format!("{USER}, {ANSWER}"),
            "7",
            Refuses(&["row 1, key \"tools\": should be a text, not a number"]),
        ),
        row(&format!("{USER}, {ANSWER}"), "true", Refuses(&["row 1, key \"tools\""])),
        row(&call(CALL), "[]", Loads(1)),
        row(&call("[]"), "[]", Loads(1)),
        row(&call("null"), "[]", Loads(1)),
        row(
            &call(r#"[{"type": "function"}]"#),
            "[]",
            Refuses(&["row 1", "message 2: a tool call has no \"function\""]),
        ),
        row(&call("[3]"), "[]", Refuses(&["row 1", "message 2: a tool call has no \"function\""])),
        row(
            &format!(
                "{}, {{\"role\": \"tool\", \"content\": \"1\"}}, {{\"role\": \"tool\", \"content\": \"2\"}}, {ANSWER}",
                call(CALL)
            ),
            "[]",
            Loads(1),
        ),
        row(
            &format!("{}, {{\"role\": \"tool\", \"content\": null}}, {ANSWER}", call(CALL)),
            "[]",
            Refuses(&["row 1", "message 3: \"content\" should be a text"]),
        ),
        row(
            &format!("{USER}, {{\"role\": \"assistant\", \"content\": null}}"),
            "[]",
            Refuses(&["row 1", "message 2: \"content\" should be a text, not null"]),
        ),
        row(
            &format!(
                "{USER}, {{\"role\": \"assistant\", \"content\": [{{\"type\": \"text\", \"text\": \"A\"}}]}}"
            ),
            "[]",
            Loads(1),
        ),
    ]
}

fn tool_calls() -> Vec<Input> {
    let row = openai;
    vec![
        row(
            r#"{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}"#,
            "[]",
            Refuses(&[
                "row 1",
                "message 1: \"content\" has a part \"image_url\"; only text can be trained on",
            ]),
        ),
        row(&format!("{USER}, {ANSWER}"), r#""null""#, Loads(1)),
        row(&call(r#""[{\"name\": \"f\", \"arguments\": {}}]""#), "[]", Loads(1)),
        row(
            &call(r#""soon""#),
            "[]",
            Refuses(&["row 1", "\"tool_calls\" should be a list of calls, not a text"]),
        ),
        row(
            &call("{}"),
            "[]",
            Refuses(&["row 1", "\"tool_calls\" should be a list of calls, not an object"]),
        ),
        row(
            &call(r#"[{"function": {"name": "f", "arguments": "{\"x\": "}}]"#),
            "[]",
            Refuses(&[
                "row 1, key \"messages\": message 2: the arguments of \"f\" should be an object, or JSON of one, not a text",
            ]),
        ),
        row(
            &call(r#"[{"function": {"name": "f", "arguments": [1]}}]"#),
            "[]",
            Refuses(&["row 1", "the arguments of \"f\"", "not a list: [1]"]),
        ),
        row(
            &format!(r#"{USER}, {{"role": "assistant", "content": "A", "weight": 0.5}}"#),
            "[]",
            Refuses(&["row 1", "message 2: \"weight\" should be 0 (not learnt) or 1, not a number: 0.5"]),
        ),
        row(
            &format!(r#"{USER}, {{"role": "assistant", "content": "A", "weight": 0}}"#),
            "[]",
            Refuses(&["no row can be used", "row 1", "has a \"weight\" of 0 at every answer"]),
        ),
    ]
}

fn history() -> Vec<Input> {
    let all = r#"{"q": "Q", "a": "A", "h": [], "s": "", "t": "", "i": [], "v": [], "u": []}"#;
    let row = |more: &str, expect| {
        with(HISTORY, "d.json", format!(r#"[{all}, {{"q": "Q", "a": "A", {more}}}]"#), expect)
    };
    let lacking = |column: &str, refusal| {
        with(
            HISTORY,
            "d.json",
            format!("[{}]", all.replace(&format!("\"{column}\""), "\"x\"")),
            Refuses(refusal),
        )
    };
    let pairs = "should be a list of [question, answer] pairs";
    let refuses = move || Refuses(&["row 2, key \"h\": should be a list of [question, answer] pairs"]);
    assert!(matches!(refuses(), Refuses([part]) if part.contains(pairs)));
    vec![
        row(r#""h": []"#, Loads(2)),
        row(r#""h": null"#, Loads(2)),
        row(r#""h": [["a", "b"], ["c", "d"]]"#, Loads(2)),
        row(r#""h": [["only"]]"#, refuses()),
        row(r#""h": [["a", "b", "c"]]"#, refuses()),
        row(r#""h": [["a", null]]"#, refuses()),
        row(r#""h": ["a", "b"]"#, refuses()),
        row(r#""h": "a""#, refuses()),
        row(r#""h": {"a": "b"}"#, refuses()),
        row(r#""h": 0"#, refuses()),
        row(r#""s": 5"#, Refuses(&["row 2, key \"s\": should be a text"])),
        row(r#""s": null"#, Loads(2)),
        row(r#""s": "S""#, Loads(2)),
        row(r#""i": ["1.jpg"]"#, Refuses(&["row 2, key \"i\": has media; only text can be trained on"])),
        row(r#""i": "1.jpg""#, Refuses(&["row 2, key \"i\": has media"])),
        row(r#""v": ["1.mp4"]"#, Refuses(&["row 2, key \"v\": has media"])),
        row(r#""u": ["1.wav"]"#, Refuses(&["row 2, key \"u\": has media"])),
        row(r#""i": [], "v": null"#, Loads(2)),
        lacking("h", &["no row has the column \"h\" (history); the first row has q, a, x"]),
        lacking("s", &["no row has the column \"s\" (system)"]),
        lacking("t", &["no row has the column \"t\" (tools)"]),
        lacking("i", &["no row has the column \"i\" (images)"]),
        lacking("u", &["no row has the column \"u\" (audios)"]),
    ]
}

fn preferences() -> Vec<Input> {
    let pair = |row: &str, expect| {
        with(PAIRS, "d.json", format!(r#"[{{"q": "Q", "c": "A", "r": "B"}}, {row}]"#), expect)
    };
    let chat_pair = |row: &str, expect| {
        let good = r#"{"m": [{"from": "human", "value": "Q"}], "c": {"from": "gpt", "value": "A"}, "r": {"from": "gpt", "value": "B"}}"#;
        with(CHAT_PAIRS, "d.json", format!("[{good}, {row}]"), expect)
    };
    let listed =
        |answers: &str, expect| with(LISTED, "d.json", format!(r#"[{{"q": "Q", "a": {answers}}}]"#), expect);
    vec![
        pair(r#"{"q": "Q", "c": "A", "r": "B"}"#, Loads(2)),
        pair(r#"{"q": "Q", "c": "A"}"#, LeavesOut(1, &["needs a chosen and a rejected answer"])),
        pair(r#"{"q": "Q", "c": "A", "r": null}"#, LeavesOut(1, &["needs a chosen and a rejected answer"])),
        pair(r#"{"q": "Q", "c": "", "r": ""}"#, Loads(2)),
        listed(r#"["A", "B"]"#, Loads(1)),
        listed(r#"["A", "B", "C"]"#, Loads(1)),
        listed(r#"["A"]"#, Refuses(&["no row can be used", "needs a chosen and a rejected answer"])),
        listed(r#"["A", null]"#, Refuses(&["no row can be used", "needs a chosen and a rejected answer"])),
        listed(r#""A""#, Refuses(&["no row can be used", "needs a chosen and a rejected answer"])),
        with(LISTED, "d.json", r#"[{"q": "Q"}]"#, Refuses(&["no row has the column \"a\" (response)"])),
        pair(r#"{"q": "Q", "c": 1, "r": "B"}"#, Refuses(&["row 2, key \"c\": should be a text"])),
        pair(r#"{"q": "Q", "c": "A", "r": ["B"]}"#, Refuses(&["row 2, key \"r\": should be a text"])),
        with(
            PAIRS,
            "d.json",
            r#"[{"q": "Q", "c": "A"}]"#,
            Refuses(&["no row has the column \"r\" (rejected)"]),
        ),
        chat_pair(
            r#"{"m": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "c": {"from": "gpt", "value": "A"}, "r": {"from": "gpt", "value": "B"}}"#,
            LeavesOut(1, &["must end with a question"]),
        ),
        chat_pair(
            r#"{"m": [{"from": "human", "value": "Q"}], "c": {"from": "human", "value": "A"}, "r": {"from": "gpt", "value": "B"}}"#,
            LeavesOut(1, &["key \"c\": should be an answer"]),
        ),
        chat_pair(
            r#"{"m": [{"from": "human", "value": "Q"}], "c": {"from": "gpt"}, "r": {"from": "gpt", "value": "B"}}"#,
            Refuses(&["row 2, key \"c\"", "\"value\" is missing"]),
        ),
        chat_pair(
            r#"{"m": [{"from": "human", "value": "Q"}], "c": [{"from": "gpt", "value": "A"}], "r": []}"#,
            Refuses(&["row 2, key \"c\": should be an object with role and content, not a list"]),
        ),
        chat_pair(
            r#"{"m": [{"from": "human", "value": "Q"}], "c": null, "r": null}"#,
            LeavesOut(1, &["row 2, key \"m\""]),
        ),
        chat_pair(
            r#"{"m": [{"from": "human", "value": "Q"}], "c": "A", "r": "B"}"#,
            Refuses(&["row 2, key \"c\": should be an object"]),
        ),
    ]
}

fn judgements() -> Vec<Input> {
    let judged = |row: &str, expect| {
        with(JUDGED, "d.json", format!(r#"[{{"q": "Q", "a": "A", "k": true}}, {row}]"#), expect)
    };
    vec![
        judged(r#"{"q": "Q", "a": "A", "k": false}"#, Loads(2)),
        judged(r#"{"q": "Q", "a": "A", "k": "False"}"#, Loads(2)),
        judged(r#"{"q": "Q", "a": "A", "k": 1}"#, Loads(2)),
        judged(
            r#"{"q": "Q", "a": "A", "k": "maybe"}"#,
            Refuses(&["row 2, key \"k\": should be true or false, not a text: \"maybe\""]),
        ),
        judged(r#"{"q": "Q", "a": "A", "k": 2}"#, Refuses(&["row 2, key \"k\": should be true or false"])),
        judged(r#"{"q": "Q", "a": "A", "k": []}"#, Refuses(&["row 2, key \"k\": should be true or false"])),
        judged(r#"{"q": "Q", "a": "A"}"#, LeavesOut(1, &["needs an answer and whether it is desirable"])),
        judged(r#"{"q": "Q", "a": 1, "k": true}"#, Refuses(&["row 2, key \"a\": should be a text"])),
        with(
            JUDGED,
            "d.json",
            r#"[{"q": "Q", "a": "A"}]"#,
            Refuses(&["no row has the column \"k\" (kto_tag)"]),
        ),
        with(
            CHAT_JUDGED,
            "d.json",
            r#"[{"m": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "k": false}]"#,
            Loads(1),
        ),
    ]
}
