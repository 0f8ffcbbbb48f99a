//! Tokens that a folder's configuration names beside the vocabulary, read as transformers reads them.
//!
//! There are tokens with an id (`added_tokens_decoder`, or `added_tokens.json`, which came before it), tokens with a role
//! (`eos_token` and its like, in the configuration or in `special_tokens_map.json`), and more special tokens, in a list
//! or by name. What the vocabulary lacks of them follows it in this order; an id only says which comes first. The rules
//! are those of `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__` in transformers 5.6.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::SpecialTokens;
use super::classes::ROLES;
use super::files::{ADDED, CONFIG, SPECIAL_MAP};

const BY_ID: &str = "added_tokens_decoder";
const ADDITIONAL: &str = "additional_special_tokens";
const EXTRA: &str = "extra_special_tokens";
/// Marks an object as a token.
const KIND: &str = "__type";
const KIND_TOKEN: &str = "AddedToken";

/// A token as it is written: whether it is looked for in normalized text may be left open, and is then decided by
/// whether it ends up special.
#[derive(Clone, Debug)]
struct Token {
    token: AddedToken,
    normalized: Option<bool>,
}

impl Token {
    fn special(content: &str) -> Self {
        Self { token: AddedToken::from(content, true), normalized: None }
    }

    /// A token is its text, or an object with its text and flags.
    fn read(value: &Value, special: bool) -> Option<Self> {
        let object = match value {
            Value::String(content) => return Some(Self::special(content)),
            object => object,
        };
        let flag = |name: &str| object.get(name).and_then(Value::as_bool);
        let special = flag("special").unwrap_or(special && object.get(KIND).is_none());
        let token = AddedToken::from(object.get("content")?.as_str()?, special)
            .lstrip(flag("lstrip").unwrap_or_default())
            .rstrip(flag("rstrip").unwrap_or_default())
            .single_word(flag("single_word").unwrap_or_default());
        Some(Self { token, normalized: flag("normalized") })
    }

    fn finished(self) -> AddedToken {
        let normalized = self.normalized.unwrap_or(!self.token.special);
        self.token.normalized(normalized)
    }
}

/// What a folder names.
#[derive(Debug, Default)]
pub(super) struct Named {
    by_id: BTreeMap<u64, Token>,
    /// Whether `added_tokens_decoder` is there: then it stands for everything that was read before there was one.
    decided: bool,
    /// Values of the keys of [`ROLES`] that are given; some are given as none.
    roles: HashMap<&'static str, Option<Token>>,
    /// Roles that only this model has, by name.
    own_roles: Vec<(String, Token)>,
    extra: Vec<Token>,
}

impl Named {
    /// Reads `config`, which takes over what `map` (of `special_tokens_map.json`) says, and `added` (of
    /// `added_tokens.json`).
    ///
    /// # Errors
    /// Says which entry of which file is no token.
    pub(super) fn read(
        config: &mut Map<String, Value>,
        map: Map<String, Value>,
        added: &Map<String, Value>,
    ) -> Result<Self, String> {
        let mut named = Self { decided: config.contains_key(BY_ID), ..Self::default() };
        let by_name = config.get(EXTRA).filter(|more| more.is_object()).cloned();
        let in_map = map.get(EXTRA).filter(|more| more.is_object() && !named.decided);
        if in_map.is_some() {
            config.remove(EXTRA);
        }
        if by_name.is_some() || in_map.is_some() {
            // The older name does not count beside the newer.
            config.remove(ADDITIONAL);
        }
        let own_list = config.contains_key(ADDITIONAL);
        let of_map: HashSet<String> = map.keys().cloned().collect();
        if !named.decided {
            take_over(config, map)?;
        }
        for role in ROLES {
            if let Some(value) = config.get(role) {
                named.roles.insert(role, one(CONFIG, role, value)?);
            }
        }
        named.read_own_roles(config, by_name.as_ref())?;
        let list = [EXTRA, ADDITIONAL]
            .into_iter()
            .find_map(|key| Some((key, config.get(key)?)).filter(|(_, more)| !more.is_object()));
        if let Some((key, list)) = list {
            named.extra = several(CONFIG, key, list)?;
        }
        match config.get(BY_ID) {
            Some(value) => named.by_id = by_id(value)?,
            None => {
                // Objects of the configuration do not count here, and neither does a list of the older name that only
                // `special_tokens_map.json` has.
                let text =
                    |role: &str| of_map.contains(role) || config.get(role).is_some_and(Value::is_string);
                let roles = ROLES.into_iter().filter(|role| text(role)).filter_map(|role| named.role(role));
                let listed = own_list || config.get(EXTRA).is_some_and(Value::is_array);
                let list = named.extra.iter().filter(|token| listed && token.token.special);
                let special = roles.chain(list.map(|token| token.token.content.as_str())).collect();
                named.by_id = with_ids(added, &special)?;
            }
        }
        Ok(named)
    }

    /// Objects come before texts and these before what is called by name, as they do in transformers; the last token of
    /// a name counts.
    fn read_own_roles(&mut self, config: &Map<String, Value>, by_name: Option<&Value>) -> Result<(), String> {
        let own = config.iter().filter(|(key, _)| is_own_role(key));
        let (objects, others): (Vec<_>, Vec<_>) = own.partition(|(_, value)| value.get(KIND).is_some());
        let texts = others.into_iter().filter(|(_, value)| value.is_string());
        let named = [by_name, config.get(EXTRA)].into_iter().flatten().filter_map(Value::as_object).flatten();
        for (key, value) in objects.into_iter().chain(texts).chain(named) {
            let Some(token) = one(CONFIG, key, value)? else { continue };
            match self.own_roles.iter_mut().find(|(name, _)| name == key) {
                Some((_, known)) => *known = token,
                None => self.own_roles.push((key.clone(), token)),
            }
        }
        Ok(())
    }

    /// The tokens' names by id.
    pub(super) fn names(&self) -> HashMap<u32, String> {
        let small =
            |(id, token): (&u64, &Token)| Some((u32::try_from(*id).ok()?, token.token.content.clone()));
        self.by_id.iter().filter_map(small).collect()
    }

    /// Gives the roles that are not in the files to the tokens that the class or the model has for them.
    pub(super) fn fill_roles(&mut self, default: impl Fn(&'static str) -> Option<String>) {
        for role in ROLES {
            self.roles.entry(role).or_insert_with(|| default(role).map(|token| Token::special(&token)));
        }
    }

    /// The token with the role of a key of [`ROLES`].
    pub(super) fn role(&self, role: &str) -> Option<&str> {
        Some(self.roles.get(role)?.as_ref()?.token.content.as_str())
    }

    pub(super) fn special_tokens(&self) -> SpecialTokens {
        let text = |role: &str| self.role(role).map(str::to_owned);
        SpecialTokens {
            bos: text("bos_token"),
            eos: text("eos_token"),
            pad: text("pad_token"),
            unk: text("unk_token"),
        }
    }

    /// What is to be added to a vocabulary with these added tokens, which are given with the ids that they are written
    /// with, in order; they come again where their flags may change. With `insist`, whatever has a role or is listed is special, and has no other flag.
    pub(super) fn tokens(&self, known: &BTreeMap<u64, AddedToken>, insist: bool) -> Vec<AddedToken> {
        let mut by_id = self.by_id.clone();
        if !self.decided {
            by_id.extend(known.iter().map(|(id, token)| {
                (*id, Token { token: token.clone(), normalized: Some(token.normalized) })
            }));
        }
        let in_order = ROLES.iter().filter_map(|role| self.roles.get(role)?.as_ref());
        let roles: Vec<&Token> = in_order.chain(self.own_roles.iter().map(|(_, token)| token)).collect();
        let with_role: HashSet<&str> = roles.iter().map(|token| token.token.content.as_str()).collect();
        let there = known.values().chain(by_id.values().map(|token| &token.token));
        let there: HashSet<String> = there.map(|token| token.content.clone()).collect();
        let new =
            roles.iter().copied().chain(&self.extra).filter(|token| !there.contains(&token.token.content));
        let mut tokens: Vec<Token> = by_id.into_values().chain(new.cloned()).collect();
        if insist {
            let special = roles.iter().copied().chain(&self.extra);
            tokens.extend(special.map(|token| Token::special(&token.token.content)));
        }
        let finish = |mut token: Token| {
            token.token.special |= with_role.contains(token.token.content.as_str());
            token.finished()
        };
        as_before(tokens.into_iter().map(finish).collect(), known)
    }
}

/// Tokens such that adding them does what it does in version 0.22 of the library, which transformers uses: what is there
/// or has been there as it is stays as it became, and a special token stays special and is looked for where it was first.
fn as_before(mut tokens: Vec<AddedToken>, known: &BTreeMap<u64, AddedToken>) -> Vec<AddedToken> {
    let mut there: HashSet<AddedToken> = known.values().cloned().collect();
    tokens.retain(|token| there.insert(token.clone()));
    let known: HashMap<&str, &AddedToken> =
        known.values().map(|token| (token.content.as_str(), token)).collect();
    let mut normalized: HashMap<String, bool> = HashMap::new();
    let (special, others): (Vec<_>, Vec<_>) = tokens.iter().partition(|token| token.special);
    for token in special.into_iter().chain(others) {
        let first = match known.get(token.content.as_str()) {
            Some(known) if known.special => known.normalized,
            Some(known) => known.normalized && token.normalized,
            None => token.normalized,
        };
        normalized.entry(token.content.clone()).or_insert(first);
    }
    for token in &mut tokens {
        token.normalized = normalized.get(&token.content).copied().unwrap_or(token.normalized);
        token.special |= known.get(token.content.as_str()).is_some_and(|known| known.special);
    }
    tokens
}

/// Whether a key names a role that only this model has.
fn is_own_role(key: &str) -> bool {
    key.ends_with("_token") && !ROLES.contains(&key)
}

/// Puts what `special_tokens_map.json` says into the configuration, over what that says itself. A list of the newer name
/// goes behind the configuration's, one of the older name counts where that has none.
fn take_over(config: &mut Map<String, Value>, map: Map<String, Value>) -> Result<(), String> {
    let own = config.get(EXTRA).filter(|more| !more.is_object());
    let own = own.or(config.get(ADDITIONAL).filter(|_| !config.contains_key(EXTRA))).cloned();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            (ADDITIONAL, _) if own.is_some() => continue,
            (EXTRA, Value::Array(more)) => {
                let mut joined = own.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
                for token in more.into_iter().map(special) {
                    if !joined.contains(&token) {
                        joined.push(token);
                    }
                }
                Value::Array(joined)
            }
            (EXTRA | ADDITIONAL, value) => value,
            (role, value) if ROLES.contains(&role) || is_own_role(role) => {
                one(SPECIAL_MAP, role, &value)?;
                // A role that only this model has stays with the token that the configuration gives it.
                match (value, config.get(role)) {
                    (Value::Null, _) if is_own_role(role) => continue,
                    (_, Some(Value::String(own))) if is_own_role(role) => special(json!({"content": own})),
                    (Value::String(content), _) if is_own_role(role) => special(json!({"content": content})),
                    (value, _) => special(value),
                }
            }
            _ => continue,
        };
        if key == EXTRA || key == ADDITIONAL {
            several(SPECIAL_MAP, &key, &value)?;
        }
        config.insert(key, value);
    }
    Ok(())
}

/// The token of an object in `special_tokens_map.json`, where all are special.
fn special(mut value: Value) -> Value {
    if let Value::Object(token) = &mut value {
        token.insert(KIND.to_owned(), json!(KIND_TOKEN));
        token.insert("special".to_owned(), json!(true));
    }
    value
}

fn one(file: &str, key: &str, value: &Value) -> Result<Option<Token>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let token = Token::read(value, true);
    let token = token.ok_or_else(|| format!("{file}: {key} is {value}; it should be a token or null"))?;
    Ok(Some(token))
}

/// A list of tokens, or tokens by name.
fn several(file: &str, key: &str, value: &Value) -> Result<Vec<Token>, String> {
    let read = |token: &Value| {
        Token::read(token, true).ok_or_else(|| format!("{file}: {key} holds {token}, which is no token"))
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(tokens) => tokens.iter().map(read).collect(),
        Value::Object(tokens) => tokens.values().map(read).collect(),
        other => Err(format!("{file}: {key} is {other}; it should be a list of tokens, or tokens by name")),
    }
}

/// The tokens of `added_tokens.json`.
fn with_ids(added: &Map<String, Value>, special: &HashSet<&str>) -> Result<BTreeMap<u64, Token>, String> {
    let read = |(content, id): (&String, &Value)| {
        let id =
            id.as_u64().ok_or_else(|| format!("{ADDED}: the id of \"{content}\" is {id}, not a number"))?;
        let token = AddedToken::from(content.as_str(), special.contains(content.as_str()));
        Ok((id, Token { normalized: Some(token.normalized), token }))
    };
    added.iter().map(read).collect()
}

fn by_id(value: &Value) -> Result<BTreeMap<u64, Token>, String> {
    let wrong = |what: String| format!("{CONFIG}: {BY_ID} {what}");
    let tokens =
        value.as_object().ok_or_else(|| wrong(format!("is {value}; it should give tokens by id")))?;
    let read = |(id, token): (&String, &Value)| {
        let entry = id.parse().ok().zip(Token::read(token, false).filter(|_| token.is_object()));
        entry.ok_or_else(|| wrong(format!("has an entry \"{id}\" that is no token")))
    };
    tokens.iter().map(read).collect()
}
