//! Reading, building, streaming and writing tokenizers.

use std::path::{Path, PathBuf};

use super::{GgufTokenizer, Tokenizer};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/data/base")
}

const TEXTS: [&str; 5] =
    ["Hello <|user|> world", "  two  blanks\n\n\ttab", "中文 🎉 café", "<s>x</s>", "12345 don't"];

#[test]
fn decoding_gives_the_text_back() {
    let tokenizer = Tokenizer::from_folder(&base()).expect("the base tokenizer");
    for text in TEXTS {
        let ids = tokenizer.encode(text, false).expect("ids");
        assert_eq!(tokenizer.decode(&ids, false).expect("text"), text);
    }
    let ids = tokenizer.encode("<s>x</s>", false).expect("ids");
    assert_eq!(tokenizer.decode(&ids, true).expect("text"), "x");
}

#[test]
fn a_stream_never_breaks_a_character() {
    let tokenizer = Tokenizer::from_folder(&base()).expect("the base tokenizer");
    let text = "红色的小船 🎉👩‍👩‍👧 naïve ".repeat(9);
    let ids = tokenizer.encode(&text, false).expect("ids");
    let mut stream = tokenizer.stream(true);
    let mut parts = Vec::new();
    for id in &ids {
        parts.push(stream.push(*id).expect("a part"));
    }
    parts.push(stream.finish().expect("the rest"));
    assert!(parts.iter().all(|part| !part.contains(char::REPLACEMENT_CHARACTER)));
    assert!(parts.iter().filter(|part| part.is_empty()).count() > 3, "some ids hold parts of characters");
    assert_eq!(parts.concat(), text);
}

#[test]
fn what_is_cut_inside_a_character_comes_out_at_the_end() {
    let tokenizer = Tokenizer::from_folder(&base()).expect("the base tokenizer");
    let ids = tokenizer.encode("a🎉", false).expect("ids");
    let mut stream = tokenizer.stream(true);
    let text: String = ids[..ids.len() - 1].iter().map(|id| stream.push(*id).expect("a part")).collect();
    assert_eq!(text, "a");
    assert!(stream.finish().expect("the rest").contains(char::REPLACEMENT_CHARACTER));
}

#[test]
fn a_saved_tokenizer_reads_back_the_same() {
    let mut tokenizer = Tokenizer::from_folder(&base()).expect("the base tokenizer");
    let added = tokenizer.add_special_tokens(&["<|new|>".into(), "<|user|>".into()]).expect("added");
    assert_eq!(added, ["<|new|>"]);
    tokenizer.set_eos("<|im_end|>").expect("set");
    tokenizer.set_chat_template("{{ messages }}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    tokenizer.save(folder.path()).expect("saved");
    let again = Tokenizer::from_folder(folder.path()).expect("read again");
    assert_eq!(again.special_tokens(), tokenizer.special_tokens());
    assert_eq!(again.added_tokens(), tokenizer.added_tokens());
    assert_eq!(again.chat_template(), Some("{{ messages }}"));
    for text in TEXTS.into_iter().chain(["a<|new|>b"]) {
        assert_eq!(again.encode(text, false).expect("ids"), tokenizer.encode(text, false).expect("ids"));
    }
}

#[test]
fn broken_folders_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = || Tokenizer::from_folder(folder.path()).expect_err("should be refused").to_string();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect(name);
    assert!(refusal().contains("has no tokenizer.json"));
    write("tokenizer.model", "");
    assert!(refusal().contains("tokenizer.model but no tokenizer.json"));
    write("tokenizer.json", "{\n \"version\": }");
    assert!(refusal().contains("tokenizer.json, line 2"));
    write("tokenizer.json", "{}");
    assert!(refusal().contains("not a tokenizer"));
    std::fs::copy(base().join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("copied");
    write("tokenizer_config.json", "[]");
    assert!(refusal().contains("tokenizer_config.json"));
    write("tokenizer_config.json", r#"{"eos_token": "<|nowhere|>"}"#);
    assert!(refusal().contains("eos_token is \"<|nowhere|>\""));
    let missing =
        Tokenizer::from_folder(Path::new("no/such/folder")).expect_err("should be refused").to_string();
    assert!(missing.contains("no/such/folder: the folder does not exist"), "{missing}");
}

#[test]
fn tokens_of_the_configuration_are_added_under_their_ids() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(base().join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("copied");
    let write = |id: u32| {
        let config = format!(
            r#"{{"eos_token": {{"content": "<|x|>"}}, "added_tokens_decoder": {{"{id}": {{"content": "<|x|>", "special": true}}}}}}"#
        );
        std::fs::write(folder.path().join("tokenizer_config.json"), config).expect("the configuration");
    };
    write(600);
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    assert_eq!(tokenizer.eos_id(), Some(600));
    write(700);
    let message = Tokenizer::from_folder(folder.path()).expect_err("should be refused").to_string();
    assert!(message.contains("should have id 700 but would get 600"), "{message}");
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

#[test]
fn byte_level_gguf_metadata_become_a_tokenizer() {
    let source = GgufTokenizer {
        origin: "test.gguf",
        model: "gpt2",
        pre: Some("smollm"),
        tokens: strings(["<|end|>", "a", "b", "Ġ", "ab", "Ġab", "1", "2", "12"]),
        token_types: vec![3, 1, 1, 1, 1, 1, 1, 1, 1],
        merges: strings(["a b", "Ġ ab", "1 2"]),
        eos: Some(0),
        ..GgufTokenizer::default()
    };
    let tokenizer = Tokenizer::from_gguf(&source).expect("a tokenizer");
    // Digits stand alone, so "12" is never joined.
    assert_eq!(tokenizer.encode("ab ab12<|end|>", false).expect("ids"), [4, 5, 6, 7, 0]);
    assert_eq!(tokenizer.decode(&[4, 5, 6, 0], true).expect("text"), "ab ab1");
    assert_eq!(tokenizer.eos_id(), Some(0));
    assert!(!tokenizer.adds_bos());
    let unknown = GgufTokenizer { pre: Some("other"), ..source.clone() };
    let message = Tokenizer::from_gguf(&unknown).expect_err("should be refused").to_string();
    assert!(message.contains("tokenizer.ggml.pre is \"other\""), "{message}");
    let short = GgufTokenizer { token_types: vec![1], ..source.clone() };
    let message = Tokenizer::from_gguf(&short).expect_err("should be refused").to_string();
    assert!(message.contains("token_type has 1 entries for 9 tokens"), "{message}");
    let outside = GgufTokenizer { eos: Some(99), ..source };
    assert!(Tokenizer::from_gguf(&outside).is_err());
}

#[test]
fn sentencepiece_gguf_metadata_become_a_tokenizer() {
    let mut tokens = strings(["<unk>", "<s>", "</s>"]);
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(strings(["▁", "h", "i", "hi", "▁h", "▁hi"]));
    let mut scores = vec![0.0; 259];
    scores.extend([-10.0, -11.0, -12.0, -2.0, -1.0, -3.0]);
    let token_types =
        (0..tokens.len()).map(|id| [2, 3, 3].get(id).copied().unwrap_or(if id < 259 { 6 } else { 1 }));
    let source = GgufTokenizer {
        origin: "test.gguf",
        model: "llama",
        token_types: token_types.collect(),
        tokens,
        scores,
        bos: Some(1),
        eos: Some(2),
        unk: Some(0),
        ..GgufTokenizer::default()
    };
    let tokenizer = Tokenizer::from_gguf(&source).expect("a tokenizer");
    let ids = tokenizer.encode("hi hié", false).expect("ids");
    assert_eq!(ids, [264, 264, 3 + 0xC3, 3 + 0xA9]);
    assert_eq!(tokenizer.decode(&ids, true).expect("text"), "hi hié");
    assert_eq!(tokenizer.encode("hi", true).expect("ids"), [1, 264]);
    assert!(tokenizer.adds_bos());
}
