//! Reading, building, streaming and writing tokenizers.

use std::path::{Path, PathBuf};

use super::{GgufTokenizer, Tokenizer};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens/data/base")
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
    write("tokenizer.json", "{\n \"version\": }");
    assert!(refusal().contains("tokenizer.json, line 2"));
    write("tokenizer.json", "{}");
    assert!(refusal().contains("not a tokenizer"));
    std::fs::copy(base().join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("copied");
    write("tokenizer_config.json", "[]");
    assert!(refusal().contains("tokenizer_config.json"));
    for (config, wrong) in [
        (r#"{"eos_token": 3}"#, "tokenizer_config.json: eos_token is 3"),
        (r#"{"additional_special_tokens": ["a", 1]}"#, "additional_special_tokens holds 1"),
        (r#"{"extra_special_tokens": {"image": []}}"#, "tokenizer_config.json: image is []"),
        (r#"{"added_tokens_decoder": {"x": {"content": "a"}}}"#, "added_tokens_decoder has an entry \"x\""),
        (r#"{"added_tokens_decoder": {"7": "a"}}"#, "added_tokens_decoder has an entry \"7\""),
    ] {
        write("tokenizer_config.json", config);
        assert!(refusal().contains(wrong), "{}", refusal());
    }
    write("tokenizer_config.json", "{}");
    write("added_tokens.json", r#"{"a": "7"}"#);
    assert!(refusal().contains("added_tokens.json: the id of \"a\" is \"7\""), "{}", refusal());
    let missing =
        Tokenizer::from_folder(Path::new("no/such/folder")).expect_err("should be refused").to_string();
    assert!(missing.contains("no/such/folder: the folder does not exist"), "{missing}");
}

#[test]
fn vocabularies_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = || Tokenizer::from_folder(folder.path()).expect_err("should be refused").to_string();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect(name);
    write("vocab.txt", "[PAD]\n");
    assert!(refusal().contains("vocab.txt, a WordPiece vocabulary"), "{}", refusal());
    write("vocab.json", r#"{"a": 0, "b": 1, "ab": 2}"#);
    write("merges.txt", "#version: 0.2\na b\n");
    assert!(refusal().contains("tokenizer_class \"\" splits text"), "{}", refusal());
    write("config.json", r#"{"model_type": "gpt2"}"#);
    write("tokenizer_config.json", r#"{"tokenizer_class": "WhisperTokenizer"}"#);
    assert!(
        refusal().contains("\"WhisperTokenizer\"") && refusal().contains("GPT2Tokenizer"),
        "{}",
        refusal()
    );
    write("tokenizer_config.json", "{}");
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    assert_eq!(tokenizer.encode("abba", false).expect("ids"), [2, 1, 0]);
    write("merges.txt", "#version: 0.2\na b\nab\n");
    assert!(refusal().contains("merges.txt, line 3: \"ab\" is not two parts"), "{}", refusal());
    write("merges.txt", "a c\n");
    assert!(refusal().contains("merges.txt: does not go with vocab.json"), "{}", refusal());
    write("vocab.json", r#"{"a": 0, "b": "1"}"#);
    assert!(refusal().contains("vocab.json: the id of \"b\" is \"1\""), "{}", refusal());
}

#[test]
fn byte_level_gguf_metadata_become_a_tokenizer() {
    let source = GgufTokenizer {
        origin: "test.gguf".to_owned(),
        model: "gpt2",
        pre: Some("smollm"),
        tokens: vec!["<|end|>", "a", "b", "Ġ", "ab", "Ġab", "1", "2", "12"],
        token_types: vec![3, 1, 1, 1, 1, 1, 1, 1, 1],
        merges: vec!["a b", "Ġ ab", "1 2"],
        ids: [("eos", 0)].into(),
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
    let outside = GgufTokenizer { ids: [("eos", 99)].into(), ..source };
    assert!(Tokenizer::from_gguf(&outside).is_err());
}

#[test]
fn sentencepiece_gguf_metadata_become_a_tokenizer() {
    let bytes: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    let mut tokens = vec!["<unk>", "<s>", "</s>"];
    tokens.extend(bytes.iter().map(String::as_str));
    tokens.extend(["▁", "h", "i", "hi", "▁h", "▁hi"]);
    let mut scores = vec![0.0; 259];
    scores.extend([-10.0, -11.0, -12.0, -2.0, -1.0, -3.0]);
    let token_types =
        (0..tokens.len()).map(|id| [2, 3, 3].get(id).copied().unwrap_or(if id < 259 { 6 } else { 1 }));
    let source = GgufTokenizer {
        origin: "test.gguf".to_owned(),
        model: "llama",
        token_types: token_types.collect(),
        tokens,
        scores,
        ..GgufTokenizer::default()
    };
    let tokenizer = Tokenizer::from_gguf(&source).expect("a tokenizer");
    let ids = tokenizer.encode("hi hié", false).expect("ids");
    assert_eq!(ids, [264, 264, 3 + 0xC3, 3 + 0xA9]);
    assert_eq!(tokenizer.decode(&ids, true).expect("text"), "hi hié");
    assert_eq!(tokenizer.encode("hi", true).expect("ids"), [1, 264]);
    assert!(tokenizer.adds_bos());
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens/tokenizers").join(name)
}

/// A folder with a fixture's tokenizer and a configuration of its own.
fn folder_with(name: &str, file: &str, config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(fixture(name).join(file), folder.path().join(file)).expect("copied");
    std::fs::write(folder.path().join("tokenizer_config.json"), config).expect("the configuration");
    folder
}

#[test]
fn a_sentencepiece_folder_knows_its_special_tokens() {
    let config = r#"{"tokenizer_class": "LlamaTokenizer", "pad_token": "<pad>", "additional_special_tokens": ["<|new|>"]}"#;
    let folder = folder_with("bpe_bytes", "tokenizer.model", config);
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.unk_id()), (Some(1), Some(2), Some(0)));
    // Tokens that the model lacks follow its pieces.
    assert_eq!((tokenizer.pad_id(), tokenizer.token_to_id("<|new|>")), (Some(1200), Some(1201)));
    let hello = tokenizer.encode("hello", false).expect("ids");
    assert_eq!(tokenizer.encode("hello", true).expect("ids"), [&[1], &hello[..]].concat());
    // Every stretch of text gets the blank that stands before a text.
    let twice = tokenizer.encode("hello<|new|>hello</s>", false).expect("ids");
    assert_eq!(twice, [&hello[..], &[1201], &hello, &[2]].concat());
    assert_eq!(tokenizer.decode(&twice, true).expect("text"), "hello hello");
    let copy = tempfile::tempdir().expect("a temporary folder");
    tokenizer.save(copy.path()).expect("saved");
    let again = Tokenizer::from_folder(copy.path()).expect("read again");
    assert_eq!(again.encode("hello<|new|>hello</s>", true).expect("ids"), [&[1], &twice[..]].concat());
    assert_eq!(again.special_tokens(), tokenizer.special_tokens());
}

#[test]
fn a_piece_goes_by_the_name_that_the_configuration_gives_it() {
    let config = r#"{"added_tokens_decoder": {"1199": {"content": "<|action|>", "special": true}}}"#;
    let folder = folder_with("bpe_bytes", "tokenizer.model", config);
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    assert_eq!(tokenizer.encode("<|action|>", false).expect("ids"), [1199]);
    assert_eq!(tokenizer.decode(&[1199], false).expect("text"), "<|action|>");
    assert_eq!(tokenizer.vocab_size(), 1200);
}

#[test]
fn only_the_start_of_a_text_gets_a_blank_where_the_configuration_says_so() {
    let config = r#"{"tokenizer_class": "LlamaTokenizer", "legacy": false, "add_bos_token": false}"#;
    let folder = folder_with("bpe_bytes", "tokenizer.model", config);
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    let ids = tokenizer.encode("hello</s>hello", true).expect("ids");
    let parts: Vec<String> = ids.iter().filter_map(|id| tokenizer.id_to_token(*id)).collect();
    assert!(parts.concat().starts_with("▁hello</s>h"), "{parts:?}");
    assert_eq!(tokenizer.decode(&ids, false).expect("text"), "hello</s>hello");
}

#[test]
fn chatglm3_has_its_tokens_behind_the_pieces() {
    let folder = folder_with("bpe_bytes", "tokenizer.model", r#"{"tokenizer_class": "ChatGLMTokenizer"}"#);
    let tokenizer = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    let ids = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>", "<|observation|>"]
        .map(|token| tokenizer.token_to_id(token));
    assert_eq!(ids, [1200, 1201, 1202, 1203, 1204, 1205, 1206, 1208].map(Some));
    assert_eq!(tokenizer.encode("[gMASK]sop<|user|>", false).expect("ids"), [1201, 1203, 1206]);
    let text = "philosophy";
    let ids = tokenizer.encode(text, false).expect("ids");
    assert!(!ids.contains(&1203), "sop is no part of a word");
    assert_eq!(tokenizer.decode(&ids, true).expect("text"), text);
    assert_eq!((tokenizer.pad_id(), tokenizer.eos_id()), (Some(0), Some(2)));
}

#[test]
fn tiktoken_files_get_the_special_tokens_of_their_family() {
    let qwen = Tokenizer::from_folder(&fixture("qwen")).expect("the tokenizer");
    assert_eq!(qwen.encode("<|im_start|><|extra_204|>", false).expect("ids"), [1201, 1200 + 207]);
    assert_eq!((qwen.eos_id(), qwen.bos_id()), (Some(1200), None));
    let config = r#"{"added_tokens_decoder": {"1210": {"content": "<|python_tag|>", "special": true}}}"#;
    let folder = folder_with("llama3", "tokenizer.model", config);
    let llama = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    assert_eq!(llama.encode("<|eot_id|><|python_tag|>", true).expect("ids"), [1200, 1209, 1210]);
    assert_eq!(llama.vocab_size(), 1200 + 256);
    let config = r#"{
        "tokenizer_class": "ChatGLM4Tokenizer", "eos_token": "<|endoftext|>", "added_tokens_decoder": {
            "1200": {"content": "<|endoftext|>", "special": true}, "1201": {"content": "<sop>", "special": true}
        }
    }"#;
    let folder = folder_with("llama3", "tokenizer.model", config);
    let glm = Tokenizer::from_folder(folder.path()).expect("the tokenizer");
    assert_eq!(glm.encode("<sop><|endoftext|>", true).expect("ids"), [1201, 1200]);
    assert_eq!((glm.vocab_size(), glm.eos_id(), glm.bos_id()), (1202, Some(1200), None));
    let folder = folder_with("llama3", "tokenizer.model", r#"{"tokenizer_class": "TikTokenTokenizer"}"#);
    let error = Tokenizer::from_folder(folder.path()).expect_err("should be refused").to_string();
    assert!(error.contains("TikTokenTokenizer"), "{error}");
}

#[test]
fn broken_models_are_named_with_the_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = |file: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(file), bytes).expect("written");
        let error = Tokenizer::from_folder(folder.path()).expect_err("should be refused").to_string();
        std::fs::remove_file(folder.path().join(file)).expect("removed");
        assert!(error.contains(file), "{error}");
        error
    };
    let model = std::fs::read(fixture("bpe_bytes").join("tokenizer.model")).expect("the model");
    let message = refusal("tokenizer.model", &model[..model.len() / 2]);
    let place = ["byte ", "ModelProto.pieces", "is the file whole?"];
    assert!(place.iter().all(|words| message.contains(words)), "{message}");
    assert!(refusal("tokenizer.model", b"").contains("no pieces"));
    assert!(
        refusal("tokenizer.model", b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull")
    );
    let ranks = std::fs::read_to_string(fixture("qwen").join("qwen.tiktoken")).expect("the ranks");
    let lines: Vec<&str> = ranks.lines().collect();
    let message = refusal("qwen.tiktoken", lines[..100].join("\n").as_bytes());
    assert!(message.contains("no token for the byte"), "{message}");
    let message =
        refusal("qwen.tiktoken", [&lines[..3], &["oops"], &lines[3..]].concat().join("\n").as_bytes());
    assert!(message.contains("line 4"), "{message}");
    let message = refusal("qwen.tiktoken", [&lines[..], &lines[7..8]].concat().join("\n").as_bytes());
    assert!(message.contains("line 1201: rank 7 is taken by line 8"), "{message}");
    // Wherever a model is cut off, it is refused or read, without a panic.
    for end in (0..600).chain(model.len() - 600..model.len()).step_by(13) {
        std::fs::write(folder.path().join("tokenizer.model"), &model[..end]).expect("written");
        let _ = Tokenizer::from_folder(folder.path());
    }
}
