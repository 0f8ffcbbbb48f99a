//! Which tensors of a file the tensors of a model are made of.
//!
//! llama.cpp calls tensors by what they are for (`gguf-py/gguf/constants.py`), and so does a [`DecoderSpec`]; the names
//! of Hugging Face come from there. Layouts are those of llama.cpp's converters: maps that a family joins may be apart
//! in the file or joined in another order, experts of a layer are one tensor, and matrices are stored as `[out, in]`.

use std::collections::{HashMap, HashSet};

use super::architectures::Pairs;
use super::file::GgufFile;
use super::stored::{Form, Piece, Stored};
use crate::families::DecoderSpec;
use crate::families::spec::{
    AttentionKind, ExpertsSpec, FeedForwardSpec, HeadOrder, HeadsSpec, InputMaps, LatentSpec, LinearSpec,
    NormSpec,
};
use crate::kernel::activation::GateOrder;

/// Every tensor of a model, by its name there.
pub(super) fn tensors(spec: &DecoderSpec, file: &GgufFile, pairs: Pairs) -> HashMap<String, Stored> {
    let mut names = Names { spec, file, pairs, tensors: HashMap::new() };
    names.linear(spec.embedding.table, LinearSpec::new("", false), |part| {
        Stored::whole(format!("token_embd.{part}"))
    });
    if let Some(table) = spec.embedding.positions {
        names.tensors.insert(format!("{table}.weight"), Stored::whole("position_embd.weight"));
    }
    if let Some(norm) = spec.embedding.norm {
        names.norm(norm.name, norm, "token_embd_norm");
    }
    for layer in 0..spec.layers.len() {
        names.block(layer);
    }
    names.norm(spec.final_norm.name, spec.final_norm, "output_norm");
    let head = &spec.head;
    if !head.tied {
        names.tensors.insert(format!("{}.weight", head.name), Stored::whole("output.weight"));
    }
    if head.bias {
        names.tensors.insert(format!("{}.bias", head.name), Stored::whole("output.bias"));
    }
    names.tensors
}

/// The first tensor of a file, by name, that no tensor of the model is made of. Those of layers behind the last predict
/// further tokens, and are left out.
pub(super) fn first_unread<'a>(
    file: &'a GgufFile,
    tensors: &HashMap<String, Stored>,
    layers: usize,
    known: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let pieces = tensors.values().flat_map(|stored| &stored.pieces);
    let read: HashSet<&str> = pieces.map(|piece| piece.tensor.as_str()).collect();
    let behind = |name: &str| {
        let layer = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        layer.and_then(|(layer, _)| layer.parse::<usize>().ok()).is_some_and(|layer| layer >= layers)
    };
    file.names().filter(|name| !read.contains(name) && !behind(name) && !known(name)).min()
}

struct Names<'a> {
    spec: &'a DecoderSpec,
    file: &'a GgufFile,
    pairs: Pairs,
    tensors: HashMap<String, Stored>,
}

impl Names<'_> {
    /// A module with a weight, and a bias where `map` says so; `stored` gets `weight` or `bias`.
    fn linear(&mut self, module: &str, map: LinearSpec, stored: impl Fn(&str) -> Stored) {
        let weight = Stored { transposed: map.transposed, ..stored("weight") };
        self.tensors.insert(format!("{module}.weight"), weight);
        if map.bias {
            self.tensors.insert(format!("{module}.bias"), stored("bias"));
        }
    }

    fn norm(&mut self, module: &str, norm: NormSpec, stored: &str) {
        for (part, there) in [("weight", norm.weight), ("bias", norm.bias)] {
            if there {
                self.tensors.insert(format!("{module}.{part}"), Stored::whole(format!("{stored}.{part}")));
            }
        }
    }

    fn block(&mut self, layer: usize) {
        let (spec, block) = (self.spec, &self.spec.block);
        // Falcon's attention reads a norm of its own, the second one.
        let own = self.file.has(&format!("blk.{layer}.attn_norm_2.weight"));
        let [first, second] = if own { ["attn_norm_2", "attn_norm"] } else { ["attn_norm", "ffn_norm"] };
        let norms = [
            // Where both have one name, they are the same norm, and the first one's.
            (block.feed_forward_norm, second),
            (block.attention_norm, first),
            (block.attention_post_norm, "post_attention_norm"),
            (block.feed_forward_post_norm, "post_ffw_norm"),
        ];
        for (norm, stored) in norms {
            if let Some(norm) = norm {
                self.norm(&block.name(layer, norm.name), norm, &format!("blk.{layer}.{stored}"));
            }
        }
        match &spec.attention {
            AttentionKind::Heads(heads) => self.heads(layer, heads),
            AttentionKind::Latent(latent) => self.latent(layer, latent),
        }
        match &spec.experts {
            Some(experts) if spec.layers[layer].experts => self.experts(layer, experts),
            _ => self.feed_forward(layer, &block.name(layer, ""), &spec.feed_forward, ""),
        }
    }

    fn heads(&mut self, layer: usize, heads: &HeadsSpec) {
        let (q, kv) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
        let parts = [("q", 0, q), ("k", q, kv), ("v", q + kv, kv)];
        let forms = [Form::Paired { heads: heads.heads }, Form::Paired { heads: heads.kv_heads }, Form::Same];
        // The family's rotation says which dimensions are a pair in the model.
        let halves = self.spec.ropes.first().is_some_and(|rope| !rope.interleaved);
        let repaired = self.pairs == Pairs::Adjacent && halves;
        let piece = |index: usize, part: &str| {
            let (name, start, rows) = parts[index];
            let stored = |name: &str| format!("blk.{layer}.{name}.{part}");
            let piece = self.own_or_joint(stored(&format!("attn_{name}")), stored("attn_qkv"), start, rows);
            piece.in_form(if repaired { forms[index] } else { Form::Same })
        };
        let mut maps: Vec<(LinearSpec, [Stored; 2])> = Vec::new();
        let stored = |indices: &[usize], groups: usize| {
            ["weight", "bias"].map(|part| {
                let pieces = indices.iter().map(|index| piece(*index, part)).collect();
                Stored { groups, ..Stored::of(pieces) }
            })
        };
        match &heads.maps[..] {
            [joint] => {
                let groups = if heads.order == HeadOrder::Grouped { heads.kv_heads } else { 1 };
                maps.push((*joint, stored(&[0, 1, 2], groups)));
            }
            own => maps.extend(own.iter().enumerate().map(|(index, map)| (*map, stored(&[index], 1)))),
        }
        for (map, [weight, bias]) in maps {
            let module = self.spec.block.name(layer, map.name);
            self.linear(&module, map, |part| if part == "bias" { bias.clone() } else { weight.clone() });
        }
        self.block_linear(layer, heads.output, "attn_output");
        if let Some(norms) = heads.norm {
            for (norm, stored) in [(norms.q, "attn_q_norm"), (norms.k, "attn_k_norm")] {
                self.norm(&self.spec.block.name(layer, norm.name), norm, &format!("blk.{layer}.{stored}"));
            }
        }
    }

    /// Latent attention; the names are the model's own. Newer files have the two halves of `kv_b_proj` apart, the
    /// keys' transposed.
    fn latent(&mut self, layer: usize, latent: &LatentSpec) {
        let bias = latent.bias;
        for (name, bias, stored) in [
            ("self_attn.q_proj", false, "attn_q"),
            ("self_attn.q_a_proj", bias, "attn_q_a"),
            ("self_attn.q_b_proj", false, "attn_q_b"),
            ("self_attn.kv_a_proj_with_mqa", bias, "attn_kv_a_mqa"),
            ("self_attn.o_proj", bias, "attn_output"),
        ] {
            let direct = stored == "attn_q";
            if !stored.starts_with("attn_q") || direct == latent.q_rank.is_none() {
                self.block_linear(layer, LinearSpec::new(name, bias), stored);
            }
        }
        let norms =
            [("self_attn.q_a_layernorm", "attn_q_a_norm"), ("self_attn.kv_a_layernorm", "attn_kv_a_norm")];
        for (name, stored) in norms.into_iter().skip(usize::from(latent.q_rank.is_none())) {
            let norm = NormSpec::rms(name, latent.eps);
            self.norm(&self.spec.block.name(layer, name), norm, &format!("blk.{layer}.{stored}"));
        }
        let whole = format!("blk.{layer}.attn_kv_b.weight");
        let expand = if self.file.has(&whole) {
            Stored::whole(whole)
        } else {
            let keys = Piece::whole(format!("blk.{layer}.attn_k_b.weight"));
            let values = Piece::whole(format!("blk.{layer}.attn_v_b.weight"));
            let pieces = vec![keys.in_form(Form::Transposed { heads: latent.heads }), values];
            Stored { groups: latent.heads, ..Stored::of(pieces) }
        };
        let module = self.spec.block.name(layer, "self_attn.kv_b_proj");
        self.tensors.insert(format!("{module}.weight"), expand);
    }

    fn block_linear(&mut self, layer: usize, map: LinearSpec, stored: &str) {
        let module = self.spec.block.name(layer, map.name);
        self.linear(&module, map, |part| Stored::whole(format!("blk.{layer}.{stored}.{part}")));
    }

    /// The tensor `own`, if there is one with so many rows; else the rows from `start` on of `joint`, which holds several.
    fn own_or_joint(&self, own: String, joint: String, start: usize, rows: usize) -> Piece {
        let has_own = self.file.shape(&own).is_some_and(|shape| shape.first() == Some(&rows));
        if has_own || !self.file.has(&joint) {
            return Piece::whole(own);
        }
        Piece { tensor: joint, rows: Some((start, rows)), form: Form::Same }
    }

    /// A network whose modules' names follow `prefix`, and whose tensors' names end with `suffix`.
    fn feed_forward(&mut self, layer: usize, prefix: &str, spec: &FeedForwardSpec, suffix: &str) {
        let width = spec.width;
        // Gate and up of one map are called `ffn_up`, the gate first.
        let piece = |name: &str, part: &str| {
            let start = if name == "gate" { 0 } else { width };
            let stored = |name: &str| format!("blk.{layer}.ffn_{name}{suffix}.{part}");
            self.own_or_joint(stored(name), stored("up"), start, width)
        };
        let stored = |names: &[&str]| {
            let of = |part: &str| Stored::of(names.iter().map(|name| piece(name, part)).collect());
            [of("weight"), of("bias")]
        };
        let maps = match spec.input {
            InputMaps::Plain(up) => vec![(up, stored(&["up"]))],
            InputMaps::Gated(gate, up) => vec![(gate, stored(&["gate"])), (up, stored(&["up"]))],
            InputMaps::Joint(map, GateOrder::GateUp) => vec![(map, stored(&["gate", "up"]))],
            InputMaps::Joint(map, GateOrder::UpGate) => vec![(map, stored(&["up", "gate"]))],
        };
        for (map, [weight, bias]) in maps {
            let module = format!("{prefix}{}", map.name);
            self.linear(&module, map, |part| if part == "bias" { bias.clone() } else { weight.clone() });
        }
        let module = format!("{prefix}{}", spec.down.name);
        self.linear(&module, spec.down, |part| Stored::whole(format!("blk.{layer}.ffn_down{suffix}.{part}")));
    }

    fn experts(&mut self, layer: usize, spec: &ExpertsSpec) {
        let block = &self.spec.block;
        let stored = |name: &str| Stored::whole(format!("blk.{layer}.{name}"));
        let name = |part: &str| block.name(layer, part);
        self.tensors.insert(format!("{}.weight", name(spec.router)), stored("ffn_gate_inp.weight"));
        if let Some(correction) = spec.correction {
            self.tensors.insert(name(correction), stored("exp_probs_b.bias"));
        }
        if let Some(gate) = spec.shared_gate {
            self.tensors.insert(format!("{}.weight", name(gate)), stored("ffn_gate_inp_shexp.weight"));
        }
        if let Some(shared) = &spec.shared {
            self.feed_forward(layer, &name(""), shared, "_shexp");
        }
        for expert in 0..spec.routing.experts {
            let prefix = name(&spec.prefix.replace("{}", &expert.to_string()));
            self.expert(layer, (expert, &prefix), &spec.expert);
        }
    }

    /// An expert's maps: rows of tensors that hold all experts; in old files tensors of its own.
    fn expert(&mut self, layer: usize, (expert, prefix): (usize, &str), spec: &FeedForwardSpec) {
        let InputMaps::Gated(gate, up) = spec.input else { return };
        let (width, hidden) = (spec.width, self.spec.hidden);
        let joint = format!("blk.{layer}.ffn_gate_up_exps.weight");
        for (map, name, rows, behind) in
            [(gate, "gate", width, 0), (up, "up", width, width), (spec.down, "down", hidden, 0)]
        {
            let [all, own] = [format!("{name}_exps"), format!("{name}.{expert}")]
                .map(|name| format!("blk.{layer}.ffn_{name}.weight"));
            let piece = if self.file.has(&own) {
                Piece::whole(own)
            } else if name != "down" && self.file.has(&joint) {
                let start = 2 * width * expert + behind;
                Piece { tensor: joint.clone(), rows: Some((start, rows)), form: Form::Same }
            } else {
                Piece { tensor: all, rows: Some((expert * rows, rows)), form: Form::Same }
            };
            self.tensors.insert(format!("{prefix}.{}.weight", map.name), Stored::of(vec![piece]));
        }
    }
}
