//! What was filled in and not launched yet: kept by the browser, so that it outlives a reload, a visit to another page
//! and a change of language.

use leptos::prelude::*;
use recipe::Kind;
use serde::{Deserialize, Serialize};

use super::asked::asked;
use super::form::Form;
use super::pickers::{OTHER, TYPED};
use crate::browser;

/// The form element, for those that read it before the page is taken over.
const FORM: &str = "form[data-test=new-run]";

/// The form as its user left it. Tokens of hubs are never in it: what a browser keeps, others may read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    pub name: String,
    /// Key and text of every field.
    pub fields: Vec<(String, String)>,
    /// Keys of those that were changed by hand.
    pub touched: Vec<String>,
    /// The values come from a recipe.
    pub is_loaded: bool,
    pub further: Vec<(String, String)>,
    pub overruled: Vec<String>,
    pub without_effect: Vec<(String, String)>,
}

impl Form {
    /// The form as it stands.
    pub fn draft(&self) -> Draft {
        let owned = |key: &&'static str| (*key).to_owned();
        let fields = self
            .fields
            .with_value(|fields| fields.iter().map(|(key, text)| ((*key).to_owned(), text.get())).collect());
        Draft {
            name: self.name.get(),
            fields,
            touched: self.touched.with(|touched| touched.iter().map(owned).collect()),
            is_loaded: self.is_loaded.get_value(),
            further: self
                .further
                .with(|kept| kept.iter().map(|(key, text)| ((*key).to_owned(), text.clone())).collect()),
            overruled: self.overruled.with(|keys| keys.iter().map(owned).collect()),
            without_effect: self.without_effect.get(),
        }
    }

    /// Takes up a draft. Keys that no argument has any more are dropped.
    pub fn take_up(&self, draft: Draft) {
        let key_of = |key: &String| recipe::args::find(key).map(|argument| argument.key);
        self.name.set(draft.name);
        for (key, text) in draft.fields {
            self.field(&key).set(text);
        }
        self.touched.set(draft.touched.iter().filter_map(key_of).collect());
        self.is_loaded.set_value(draft.is_loaded);
        self.further
            .set(draft.further.iter().filter_map(|(key, text)| Some((key_of(key)?, text.clone()))).collect());
        self.overruled.set(draft.overruled.iter().filter_map(key_of).collect());
        self.without_effect.set(draft.without_effect);
        self.from_server.set(Vec::new());
    }
}

/// The place of a form's draft; a clone of a run has its own.
fn place(original: Option<&str>) -> String {
    format!("draft:/new{}", original.map(|id| format!("?clone={id}")).unwrap_or_default())
}

/// A form's draft in the browser.
#[derive(Clone, Copy)]
pub struct Keeper {
    form: Form,
    place: StoredValue<String>,
    /// The form as it was before its user did anything.
    first: StoredValue<Draft>,
    /// What is shown was kept from before.
    pub taken_up: RwSignal<bool>,
}

impl Keeper {
    /// Keeps the form's draft from now on, and takes up the one that was kept.
    pub fn new(form: Form, original: Option<&str>) -> Keeper {
        let first = untrack(|| form.draft());
        let keeper = Keeper {
            form,
            place: StoredValue::new(place(original)),
            first: StoredValue::new(first),
            taken_up: RwSignal::new(false),
        };
        let early = early(form);
        // Only in an effect: the page must first be taken over as the server drew it.
        Effect::new(move |_| untrack(|| keeper.take_up(&early)));
        Effect::new(move |_| keeper.keep());
        keeper
    }

    fn take_up(&self, early: &[(&'static str, String)]) {
        let kept = self.place.with_value(|place| browser::kept(place));
        if let Some(draft) = kept.and_then(|text| serde_json::from_str(&text).ok()) {
            self.form.take_up(draft);
            self.form.changed.set(true);
            self.taken_up.set(true);
        }
        for (key, text) in early {
            self.form.touch(key);
            self.form.field(key).set(text.clone());
        }
        self.form.ready.set(true);
    }

    fn keep(&self) {
        let draft = self.form.draft();
        if self.form.ready.get()
            && self.form.changed.get()
            && let Ok(text) = serde_json::to_string(&draft)
        {
            self.place.with_value(|place| browser::keep(place, &text));
        }
    }

    /// Lets the draft go: it was launched.
    pub fn forget(&self) {
        self.form.changed.set(false);
        self.place.with_value(|place| browser::forget(place));
    }

    /// Starts afresh.
    pub fn discard(&self) {
        self.form.take_up(self.first.get_value());
        self.form.tried.set(false);
        self.taken_up.set(false);
        self.forget();
    }
}

/// What was filled in before the page was taken over: the fields that do not hold what the server wrote into them.
fn early(form: Form) -> Vec<(&'static str, String)> {
    let Some(values) = browser::is_hydrating().then(|| browser::form_values(FORM)).flatten() else {
        return Vec::new();
    };
    let values_of = |name: &str| {
        values.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    let name = values_of("run_name").concat();
    if name != form.name.get_untracked() {
        form.rename(name);
    }
    let mut changed = Vec::new();
    // A field that is not drawn yet holds nothing.
    for argument in asked().filter(|argument| browser::form_has(FORM, argument.key)) {
        let given = values_of(argument.key);
        let text = match argument.kind {
            Kind::Bool if !argument.optional => (!given.is_empty()).to_string(),
            _ if given == [OTHER] => values_of(TYPED).concat(),
            _ => given.join(","),
        };
        let before = form.field(argument.key).get_untracked();
        if text != before && !(text == "false" && before.is_empty()) {
            changed.push((argument.key, text));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::super::form::tests::form;
    use super::*;

    #[test]
    fn a_clone_has_a_draft_of_its_own() {
        assert_eq!((place(None), place(Some("a"))), ("draft:/new".into(), "draft:/new?clone=a".into()));
    }

    #[test]
    fn a_draft_is_taken_up_as_it_was_left() {
        let (_owner, form) = form();
        form.rename("mine".into());
        form.touch("learning_rate");
        form.field("learning_rate").set("1,5e-4".into());
        let draft = form.draft();
        let text = serde_json::to_string(&draft).unwrap();
        let (_other, fresh) = self::form();
        fresh.take_up(serde_json::from_str(&text).unwrap());
        assert_eq!(fresh.draft(), draft);
        assert!(fresh.problem_at("learning_rate").is_some());
        let foreign = Draft { fields: vec![("no_such_key".into(), "1".into())], ..Draft::default() };
        fresh.take_up(foreign);
        assert!(fresh.name.get_untracked().is_empty());
    }
}
