//! One argument as a field: label, help, what it takes, its problem.

use leptos::prelude::*;
use recipe::{Argument, Kind, Tier};

use super::asked::field_id;
use super::form::Form;
use crate::i18n::{Words, fill, lang, words};

#[component]
pub fn ArgumentField(argument: &'static Argument, form: Form) -> impl IntoView {
    let text = form.field(argument.key);
    let control = match argument.kind {
        Kind::Bool if !argument.optional => return view! { <Switch argument form text/> }.into_any(),
        Kind::Bool => view! { <ThreeWay argument form text/> }.into_any(),
        Kind::Choice(_) => view! { <ChoiceField argument form text/> }.into_any(),
        _ => view! { <TextField argument form text/> }.into_any(),
    };
    view! { <Labelled argument form>{control}</Labelled> }.into_any()
}

fn described_by(key: &str) -> String {
    format!("help-{key} problem-{key}")
}

/// Label above, help and problem below; hidden where the argument means nothing.
#[component]
pub fn Labelled(
    argument: &'static Argument,
    form: Form,
    /// What else is to be said, below the help.
    #[prop(optional)]
    note: Option<AnyView>,
    children: Children,
) -> AnyView {
    view! {
        <div class="field" hidden=move || !form.applies(argument)>
            <label class="field-label" for=field_id(argument.key)>{argument.label.get(lang())}</label>
            {children()}
            <Help argument/>
            {note}
            <ProblemText key=argument.key form/>
        </div>
    }
    .into_any()
}

#[component]
fn Help(argument: &'static Argument) -> impl IntoView {
    // What a run cannot be described without has no default to speak of.
    let meta = (argument.tier != Tier::Essential).then(|| meta_text(argument, words()));
    view! {
        <p class="field-help" id=format!("help-{}", argument.key)>
            {argument.help.get(lang())}
            {meta.map(|meta| view! { <span class="field-meta">{meta}</span> })}
        </p>
    }
}

/// The default and what the field takes: `If empty: 8 · an integer ≥ 1`.
fn meta_text(argument: &Argument, words: &Words) -> String {
    let default = argument.default_text();
    let default = match argument.placeholder {
        Some(text) if default.is_empty() => text.get(lang()).to_owned(),
        _ if default.is_empty() => words.new_unset.to_owned(),
        _ => default,
    };
    let meta = fill(words.new_default, &[("value", &default)]);
    match argument.kind {
        // The control itself shows what there is to choose from.
        Kind::Choice(_) | Kind::Bool | Kind::Text | Kind::Path => meta,
        _ => format!("{meta} · {}", argument.takes(lang())),
    }
}

#[component]
pub fn ProblemText(key: &'static str, form: Form) -> impl IntoView {
    let problem = Memo::new(move |_| form.problem_at(key));
    view! {
        <p
            class="field-problem"
            id=format!("problem-{key}")
            data-test=format!("problem-{key}")
            aria-live="polite"
            hidden=move || problem.with(Option::is_none)
        >
            {move || problem.get()}
        </p>
    }
}

#[component]
fn TextField(argument: &'static Argument, form: Form, text: RwSignal<String>) -> impl IntoView {
    let input_mode = match argument.kind {
        Kind::Integer => "numeric",
        Kind::Real | Kind::Steps => "decimal",
        _ => "text",
    };
    let placeholder = argument.placeholder.map(|text| text.get(lang())).unwrap_or_default();
    view! {
        <input
            type="text"
            id=field_id(argument.key)
            name=argument.key
            data-test=field_id(argument.key)
            inputmode=input_mode
            class:number=input_mode != "text"
            autocomplete="off"
            spellcheck="false"
            placeholder=placeholder
            aria-describedby=described_by(argument.key)
            aria-invalid=move || form.problem_at(argument.key).is_some().to_string()
            value=text.get_untracked()
            prop:value=move || text.get()
            on:input:target=move |event| {
                form.touch(argument.key);
                text.set(event.target().value());
            }
        />
    }
}

/// A choice of a few names. An optional one can be left unset.
#[component]
fn ChoiceField(argument: &'static Argument, form: Form, text: RwSignal<String>) -> impl IntoView {
    let choices = if let Kind::Choice(choices) = argument.kind { choices } else { &[] };
    let mut options: Vec<(&'static str, &'static str)> =
        choices.iter().map(|choice| (choice.value, choice.label.get(lang()))).collect();
    if argument.optional {
        let unset = argument.placeholder.map_or(words().new_unset, |text| text.get(lang()));
        options.insert(0, ("", unset));
    }
    view! { <Select argument form text options/> }
}

/// On, off, or left to what follows from the rest.
#[component]
fn ThreeWay(argument: &'static Argument, form: Form, text: RwSignal<String>) -> impl IntoView {
    let w = words();
    let mut options = vec![("true", w.new_yes), ("false", w.new_no)];
    if argument.default_text().is_empty() {
        options.insert(0, ("", argument.placeholder.map_or(w.new_unset, |text| text.get(lang()))));
    }
    view! { <Select argument form text options/> }
}

#[component]
fn Select(
    argument: &'static Argument,
    form: Form,
    text: RwSignal<String>,
    options: Vec<(&'static str, &'static str)>,
) -> impl IntoView {
    let options = options.into_iter().map(|(value, label)| {
        view! { <option value=value selected=move || text.with(|text| text == value)>{label}</option> }
    });
    view! {
        <select
            id=field_id(argument.key)
            name=argument.key
            data-test=field_id(argument.key)
            aria-describedby=described_by(argument.key)
            aria-invalid=move || form.problem_at(argument.key).is_some().to_string()
            prop:value=move || text.get()
            on:change:target=move |event| {
                form.touch(argument.key);
                text.set(event.target().value());
            }
        >
            {options.collect_view()}
        </select>
    }
}

#[component]
fn Switch(argument: &'static Argument, form: Form, text: RwSignal<String>) -> impl IntoView {
    let is_on = move || text.with(|text| text == "true");
    view! {
        <div class="field switch" hidden=move || !form.applies(argument)>
            <label>
                <input
                    type="checkbox"
                    name=argument.key
                    data-test=field_id(argument.key)
                    aria-describedby=described_by(argument.key)
                    checked=untrack(is_on)
                    prop:checked=is_on
                    on:change:target=move |event| {
                        form.touch(argument.key);
                        text.set(event.target().checked().to_string());
                    }
                />
                <span class="field-label">{argument.label.get(lang())}</span>
            </label>
            <p class="field-help" id=format!("help-{}", argument.key)>{argument.help.get(lang())}</p>
            <ProblemText key=argument.key form/>
        </div>
    }
}
