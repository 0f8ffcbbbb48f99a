//! Tokens of hubs: what a recipe may hold that nobody else may see.
//!
//! They are used and never shown: no message names their value, and [`Recipe::to_yaml`] leaves them out. Who passes a
//! recipe on to the process that needs them writes them beside it, with [`HubTokens::to_yaml`].
//!
//! [`Recipe::to_yaml`]: crate::Recipe::to_yaml

use std::fmt;

use crate::raw::Raw;
use crate::scalar::yaml_text;

/// The keys, and the hub each is for. The trainer's own `hub_token` is the Hugging Face hub's.
const KEYS: &[(&str, Hub)] = &[
    ("hf_hub_token", Hub::HuggingFace),
    ("hub_token", Hub::HuggingFace),
    ("push_to_hub_token", Hub::HuggingFace),
    ("ms_hub_token", Hub::ModelScope),
];

#[derive(Clone, Copy)]
enum Hub {
    HuggingFace,
    ModelScope,
}

/// Who asks the hubs; where there is none, the environment says who.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HubTokens {
    /// The token for Hugging Face's hub.
    pub hugging_face: Option<String>,
    /// The token for ModelScope's hub.
    pub model_scope: Option<String>,
}

/// Whether they are set, and no more.
impl fmt::Debug for HubTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |token: &Option<String>| token.as_ref().map(|_| "set");
        f.debug_struct("HubTokens")
            .field("hugging_face", &shown(&self.hugging_face))
            .field("model_scope", &shown(&self.model_scope))
            .finish()
    }
}

/// The names of all keys that hold a token.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

/// Whether a key holds a token.
pub fn is_token(key: &str) -> bool {
    keys().any(|known| known == key)
}

impl HubTokens {
    /// Whether no token is given.
    pub fn is_empty(&self) -> bool {
        self.hugging_face.is_none() && self.model_scope.is_none()
    }

    /// Takes the value of a key that holds a token; false if the key holds none.
    pub(crate) fn take(&mut self, key: &str, value: &Raw) -> bool {
        let Some((_, hub)) = KEYS.iter().find(|(known, _)| *known == key) else { return false };
        let token = value.scalar().map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned);
        let place = match hub {
            Hub::HuggingFace => &mut self.hugging_face,
            Hub::ModelScope => &mut self.model_scope,
        };
        if token.is_some() {
            *place = token;
        }
        true
    }

    /// The lines that say the same in a recipe.
    pub fn to_yaml(&self) -> String {
        let line = |key: &str, token: &Option<String>| {
            token.as_ref().map(|token| format!("{key}: {}\n", yaml_text(token))).unwrap_or_default()
        };
        line("hf_hub_token", &self.hugging_face) + &line("ms_hub_token", &self.model_scope)
    }
}
