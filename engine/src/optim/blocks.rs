//! BAdam (Luo, Yu & Li 2024): a block of parameters trains for some steps, then the next one; the optimiser remembers
//! nothing of a block that it leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use recipe::{BadamMode, BadamSwitch, Recipe};

use crate::autograd::{Active, Param, ParamId};
use crate::rng::Rng;
use crate::{Error, Result};

/// Steps between two switches of what a share of each parameter is, as in BAdam's own code.
const RATIO_INTERVAL: u64 = 100;
/// The stream of draws that the order of blocks comes from.
const ORDER: u64 = 0xbada;

/// Which parameters train in which step. All of it follows from the number of the step, so that a run that goes on finds
/// the block that it was in.
pub(super) struct Blocks {
    blocks: Vec<Block>,
    order: BadamSwitch,
    start: usize,
    /// Steps of a turn; none where nothing ever changes.
    interval: Option<u64>,
    /// The first turn is a step shorter: BAdam counts steps from 0 there, from 1 later.
    is_early: bool,
    seed: u64,
}

struct Block {
    name: String,
    params: Vec<Arc<Param>>,
    ids: Arc<BTreeSet<ParamId>>,
}

/// A stretch of steps with one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Counts from 0.
    pub number: u64,
    /// Its first step; steps count from 1.
    pub first: u64,
}

impl Blocks {
    /// Those of a recipe; none where it does not use BAdam.
    ///
    /// # Errors
    /// If the model has no layers that train, or no block of the number that is to be the first.
    pub(super) fn of(recipe: &Recipe, params: &[Arc<Param>]) -> Result<Option<Blocks>> {
        if !recipe.use_badam {
            return Ok(None);
        }
        let is_layer = recipe.badam_mode == BadamMode::Layer;
        let mut named: BTreeMap<usize, Block> = BTreeMap::new();
        for param in params {
            let (number, name) = match (is_layer, layer_of(&param.name)) {
                (true, Some(layer)) => layer,
                // What has no layer never trains.
                (true, None) => continue,
                (false, _) if is_embedding(param) => continue,
                (false, _) => (0, "every layer".to_owned()),
            };
            let block = named.entry(number).or_insert_with(|| Block {
                name,
                params: Vec::new(),
                ids: Arc::default(),
            });
            block.params.push(param.clone());
        }
        let mut blocks: Vec<Block> = named.into_values().collect();
        for block in &mut blocks {
            block.ids = Arc::new(block.params.iter().map(|param| param.id).collect());
        }
        if blocks.is_empty() {
            return Err(Error::recipe(
                "use_badam",
                "the model has no layers that train, so that there is no block",
            ));
        }
        let count = blocks.len();
        let start = match recipe.badam_start_block.filter(|_| is_layer) {
            Some(start) if start >= count => {
                let message = format!("there is no block {start}; the model has {count}, counted from 0");
                return Err(Error::recipe("badam_start_block", message));
            }
            Some(start) => start,
            None if is_layer && recipe.badam_switch_mode == BadamSwitch::Descending => count - 1,
            None => 0,
        };
        let interval = match is_layer {
            true => u64::try_from(recipe.badam_switch_interval).ok(),
            false => Some(RATIO_INTERVAL),
        };
        let order = if is_layer { recipe.badam_switch_mode } else { BadamSwitch::Fixed };
        Ok(Some(Blocks { blocks, order, start, interval, is_early: is_layer, seed: recipe.seed }))
    }

    /// The turn that a step is in.
    pub(super) fn turn(&self, step: u64) -> Turn {
        let Some(interval) = self.interval else { return Turn { number: 0, first: 1 } };
        let number = match (self.is_early, interval) {
            (true, 2..) => step / interval,
            _ => step.saturating_sub(1) / interval,
        };
        let first = match (self.is_early, interval) {
            (true, 2..) => (number * interval).max(1),
            _ => number * interval + 1,
        };
        Turn { number, first }
    }

    fn block(&self, step: u64) -> &Block {
        let (turn, count) = (self.turn(step).number, self.blocks.len() as u64);
        let start = self.start as u64;
        let index = match self.order {
            BadamSwitch::Fixed => start,
            BadamSwitch::Ascending => (start + turn) % count,
            BadamSwitch::Descending => (start + count - turn % count) % count,
            // All blocks in one random order after the other.
            BadamSwitch::Random => {
                let mut rng = Rng::stream(self.seed ^ ORDER, turn / count);
                rng.permutation(count as usize)[(turn % count) as usize] as u64
            }
        };
        &self.blocks[index as usize]
    }

    /// What trains in a step.
    pub(super) fn active(&self, step: u64) -> Active {
        Some(self.block(step).ids.clone())
    }

    /// What is said of a step that begins a turn: its block, and with `names` its parameters.
    pub(super) fn announcement(&self, step: u64, names: bool) -> String {
        let Block { name, params, .. } = self.block(step);
        let params: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
        let names = if names { format!(": {}", params.join(", ")) } else { String::new() };
        format!("From step {step} on BAdam trains {name}{names}.")
    }
}

/// The number of the layer that a parameter is in, and the layer's name.
fn layer_of(name: &str) -> Option<(usize, String)> {
    let parts: Vec<&str> = name.split('.').collect();
    let (place, number) =
        parts.iter().enumerate().find_map(|(place, part)| Some((place, part.parse().ok()?)))?;
    Some((number, parts[..=place].join(".")))
}

/// The token table and the output matrix, which BAdam leaves as they are.
fn is_embedding(param: &Param) -> bool {
    ["embed", "wte", "lm_head"].iter().any(|part| param.name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::from_vec;

    fn blocks(lines: &str) -> Blocks {
        let names =
            ["model.embed_tokens", "model.layers.0.q", "model.layers.1.q", "model.layers.2.q", "model.norm"];
        let param = |name: &str| {
            Arc::new(
                Param::new(format!("{name}.weight"), from_vec(vec![0.0], (1, 1)).unwrap(), true).unwrap(),
            )
        };
        let params: Vec<_> = names.iter().map(|name| param(name)).collect();
        let recipe = Recipe::parse_yaml(&format!("use_badam: true\n{lines}"), &[]).unwrap();
        Blocks::of(&recipe, &params).unwrap().unwrap()
    }

    fn order(lines: &str) -> Vec<String> {
        let blocks = blocks(lines);
        let names =
            (1..=9).map(|step| blocks.block(step).name.trim_start_matches("model.layers.").to_owned());
        names.collect()
    }

    #[test]
    fn blocks_take_turns() {
        let each = |lines: &str| order(lines).join("");
        assert_eq!(each("badam_switch_interval: 3"), "001112220");
        assert_eq!(each("badam_switch_interval: 1"), "012012012");
        assert_eq!(each("badam_switch_interval: -1"), "000000000");
        assert_eq!(each("badam_switch_interval: 4\nbadam_switch_mode: descending"), "222111100");
        assert_eq!(
            each("badam_switch_interval: 2\nbadam_start_block: 1\nbadam_switch_mode: ascending"),
            "122001122"
        );
        assert_eq!(
            each("badam_switch_interval: 2\nbadam_start_block: 1\nbadam_switch_mode: fixed"),
            "111111111"
        );
        let random = order("badam_switch_interval: 1\nbadam_switch_mode: random");
        for epoch in random.chunks(3) {
            assert_eq!(BTreeSet::from_iter(epoch).len(), 3, "{random:?}");
        }
        assert_eq!(blocks("badam_switch_interval: 3").turn(5), Turn { number: 1, first: 3 });
    }

    #[test]
    fn a_share_is_of_all_layers() {
        let blocks = blocks("badam_mode: ratio");
        assert_eq!(blocks.blocks[0].params.len(), 4);
        assert_eq!(blocks.turn(100), Turn { number: 0, first: 1 });
        assert_eq!(blocks.turn(101), Turn { number: 1, first: 101 });
    }
}
