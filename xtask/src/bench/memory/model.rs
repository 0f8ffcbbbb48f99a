//! Models of random weights, and data for every stage.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

/// A llama-like model.
pub struct Shape {
    pub name: &'static str,
    vocab: usize,
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    /// The output matrix is the token table.
    tied: bool,
    /// MiB that a run may count on where it is to run blocks again.
    pub scarce: u32,
}

pub const SHAPES: [Shape; 2] = [
    Shape {
        name: "small",
        vocab: 32_000,
        hidden: 512,
        inner: 1408,
        layers: 10,
        heads: 8,
        kv_heads: 4,
        tied: false,
        scarce: 600,
    },
    // SmolLM2-135M.
    Shape {
        name: "135m",
        vocab: 49_152,
        hidden: 576,
        inner: 1536,
        layers: 30,
        heads: 9,
        kv_heads: 3,
        tied: true,
        scarce: 1400,
    },
];

/// Where the tokenizer is from. Its tokens are fewer than the models have.
const TOKENIZER: &str = "models/wick";

impl Shape {
    /// Writes the model's folder, if it is not there.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let config = folder.join("config.json");
        if config.exists() {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
            fs::copy(Path::new(TOKENIZER).join(file), folder.join(file))?;
        }
        self.write_weights(&folder.join("model.safetensors"))?;
        let values = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "hidden_act": "silu",
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "tie_word_embeddings": self.tied,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "torch_dtype": "float32",
        });
        Ok(fs::write(config, values.to_string())?)
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner) = (self.hidden, self.inner);
        let kv = hidden / self.heads * self.kv_heads;
        let block = [
            ("input_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![hidden, hidden]),
            ("self_attn.k_proj", vec![kv, hidden]),
            ("self_attn.v_proj", vec![kv, hidden]),
            ("self_attn.o_proj", vec![hidden, hidden]),
            ("post_attention_layernorm", vec![hidden]),
            ("mlp.gate_proj", vec![inner, hidden]),
            ("mlp.up_proj", vec![inner, hidden]),
            ("mlp.down_proj", vec![hidden, inner]),
        ];
        let blocks = (0..self.layers).flat_map(|layer| {
            let part = move |(name, dims): &(&str, Vec<usize>)| {
                (format!("model.layers.{layer}.{name}.weight"), dims.clone())
            };
            block.iter().map(part).collect::<Vec<_>>()
        });
        let table = || vec![self.vocab, hidden];
        let mut all = vec![("model.embed_tokens.weight".to_owned(), table())];
        all.extend(blocks);
        all.push(("model.norm.weight".to_owned(), vec![hidden]));
        if !self.tied {
            all.push(("lm_head.weight".to_owned(), table()));
        }
        all
    }

    /// Norms of ones, matrices of even random numbers whose deviation is 0.02.
    fn write_weights(&self, path: &Path) -> anyhow::Result<()> {
        let tensors = self.tensors();
        let (mut header, mut end) = (Map::new(), 0);
        for (name, dims) in &tensors {
            let start = end;
            end += dims.iter().product::<usize>() * size_of::<f32>();
            let about = json!({"dtype": "F32", "shape": dims, "data_offsets": [start, end]});
            header.insert(name.clone(), about);
        }
        let mut text = Value::Object(header).to_string();
        // Numbers begin at a multiple of eight bytes.
        text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&(text.len() as u64).to_le_bytes())?;
        file.write_all(text.as_bytes())?;
        let mut state = 1u64;
        for (_, dims) in &tensors {
            for _ in 0..dims.iter().product() {
                // Knuth's MMIX generator; the upper bits are the good ones.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let even = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
                let value = if dims.len() == 1 { 1.0 } else { even * 0.02 * 12f32.sqrt() };
                file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(file.flush()?)
    }
}

/// A data set of each kind, whose texts are longer than any case reads.
pub fn write_data(folder: &Path) -> anyhow::Result<()> {
    const ROWS: usize = 32;
    const WORDS: usize = 1500;
    let words = ["ship", "harbour", "gull", "lamp", "rope", "captain", "nut", "water"];
    let text = |row: usize, count: usize| -> String {
        (0..count)
            .map(|place| words[(row * 7 + place * 3 + place / 5) % words.len()])
            .collect::<Vec<_>>()
            .join(" ")
    };
    let row = |row: usize| {
        let (short, long, other) = (text(row, 6), text(row, WORDS), text(row + 1, WORDS));
        [
            json!({"text": long}),
            json!({"instruction": short, "output": long}),
            json!({"instruction": short, "chosen": long, "rejected": other}),
            json!({"instruction": short, "output": long, "kto_tag": row.is_multiple_of(2)}),
            json!({"instruction": long, "output": ""}),
        ]
    };
    let kinds = [
        ("text", json!({"columns": {"prompt": "text"}})),
        ("answers", json!({})),
        (
            "pairs",
            json!({"ranking": true, "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}}),
        ),
        ("judged", json!({"columns": {"prompt": "instruction", "response": "output", "kto_tag": "kto_tag"}})),
        ("prompts", json!({})),
    ];
    fs::create_dir_all(folder)?;
    let mut info = Map::new();
    for (place, (name, mut about)) in kinds.into_iter().enumerate() {
        let rows: Vec<Value> = (0..ROWS).map(|number| row(number)[place].clone()).collect();
        let file = format!("{name}.json");
        fs::write(folder.join(&file), Value::Array(rows).to_string())?;
        about["file_name"] = json!(file);
        info.insert(name.to_owned(), about);
    }
    Ok(fs::write(folder.join("dataset_info.json"), Value::Object(info).to_string())?)
}
