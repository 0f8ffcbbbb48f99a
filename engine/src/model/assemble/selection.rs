//! Which of a model's own weights train.

use crate::families::DecoderSpec;

/// Which of a model's own weights are trained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// None of them.
    #[default]
    Nothing,
    /// All of them.
    All,
    /// Modules that are trained whole beside an adapter, with all that is within them, by the ends of their names.
    Modules(Vec<String>),
    /// Some of the blocks.
    Blocks(BlockSelection),
}

/// What trains of some blocks, and of what is outside of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSelection {
    /// Beginnings of the names of modules that train, each with a dot at its end.
    within: Vec<String>,
    /// Last parts of the names of modules outside of blocks that train.
    beside: Vec<String>,
    /// The beginning of the names of everything in blocks.
    blocks: String,
}

impl Selection {
    pub(super) fn is_all(&self) -> bool {
        *self == Selection::All
    }

    pub(super) fn trains(&self, module: &str) -> bool {
        match self {
            Selection::Blocks(blocks) => blocks.trains(module),
            _ => self.is_all() || self.names(module),
        }
    }

    /// Whether a module, or one that it is within, is named. As in PEFT the end of a name needs no dot before it: `norm`
    /// means `input_layernorm`, too.
    pub fn names(&self, module: &str) -> bool {
        let Selection::Modules(names) = self else { return false };
        let dots = module.match_indices('.').map(|(dot, _)| dot);
        let mut around = dots.chain([module.len()]).map(|end| &module[..end]);
        around.any(|module| names.iter().any(|name| module.ends_with(name.as_str())))
    }
}

impl BlockSelection {
    /// The `modules` of some `layers` (all that is in them, if there are none), and the modules that are called `beside`
    /// outside of layers.
    pub fn new(
        spec: &DecoderSpec,
        layers: impl IntoIterator<Item = usize>,
        modules: &[String],
        beside: &[String],
    ) -> Self {
        let within = layers.into_iter().flat_map(|layer| match modules {
            [] => vec![spec.block.name(layer, "")],
            _ => modules.iter().map(|module| spec.block.name(layer, module) + ".").collect(),
        });
        let blocks = spec.block.prefix.split("{}").next().unwrap_or_default().to_owned();
        BlockSelection { within: within.collect(), beside: beside.to_vec(), blocks }
    }

    fn trains(&self, module: &str) -> bool {
        let with_dot = format!("{module}.");
        let last = module.rsplit('.').next().unwrap_or(module);
        self.within.iter().any(|name| with_dot.starts_with(name.as_str()))
            || !module.starts_with(&self.blocks) && self.beside.iter().any(|name| name == last)
    }
}
