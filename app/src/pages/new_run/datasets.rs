//! The data sets of a run: chosen ones first, then what can be ticked, on this machine and on hubs.

use leptos::prelude::*;
use recipe::Argument;
use wire::{DatasetEntry, DatasetPlace, FormChoices};

use super::asked::field_id;
use super::field::Labelled;
use super::form::Form;
use crate::browser::lowercase;
use crate::components::icon::{Icon, IconName};
use crate::format;
use crate::i18n::{fill, words};
use crate::pages::datasets::kind_text;

/// From how many data sets on there is a field to search them.
const SEARCHED_FROM: usize = 9;

/// The state that the parts of one picker share.
#[derive(Clone, Copy)]
struct Picker {
    argument: &'static Argument,
    form: Form,
    /// The field: names with commas between.
    text: RwSignal<String>,
    search: RwSignal<String>,
}

impl Picker {
    fn is_chosen(&self, name: &str) -> bool {
        self.text.with(|text| names_in(text).any(|chosen| chosen == name))
    }

    fn toggle(&self, name: &str, on: bool) {
        self.form.touch(self.argument.key);
        self.text.update(|text| *text = with_name(text, name, on));
    }

    /// Whether a data set is shown: it goes with the stage and with what is searched for, or is chosen.
    fn shows(&self, entry: &DatasetEntry) -> bool {
        let is_found = self.search.with(|search| is_found(entry, search));
        is_found && (self.suits(entry) || self.is_chosen(&entry.name))
    }

    fn suits(&self, entry: &DatasetEntry) -> bool {
        entry.holds.suits(self.form.stage())
    }
}

/// Data sets to tick.
#[component]
pub fn DatasetPicker(argument: &'static Argument, form: Form, choices: StoredValue<FormChoices>) -> AnyView {
    let w = words();
    let picker =
        Picker { argument, form, text: form.field(argument.key), search: RwSignal::new(String::new()) };
    let entries = choices.with_value(|choices| choices.datasets.clone());
    let (is_empty, is_searched) = (entries.is_empty(), entries.len() >= SEARCHED_FROM);
    let (hub, here): (Vec<_>, Vec<_>) = entries.into_iter().partition(DatasetEntry::is_on_hub);
    let all = StoredValue::new([here.clone(), hub.clone()].concat());
    let count = move |is_counted: &dyn Fn(&DatasetEntry) -> bool| {
        all.with_value(|all| all.iter().filter(|entry| is_counted(entry)).count())
    };
    let none_found = move || is_searched && count(&|entry| picker.shows(entry)) == 0;
    let unsuited = move || count(&|entry| !picker.suits(entry) && !picker.is_chosen(&entry.name));
    let note = view! {
        <p class="field-help" hidden=move || unsuited() == 0>
            {move || fill(w.new_data_unsuited, &[("n", &unsuited().to_string())])}
        </p>
    }
    .into_any();
    view! {
        <Labelled argument form note>
            <Chosen picker/>
            {is_empty.then(|| view! { <p class="muted">{w.new_no_datasets}</p> })}
            {is_searched.then(|| view! { <Search picker/> })}
            <div class="picker" id=field_id(argument.key) data-test=field_id(argument.key)>
                <ul class="ticks">{here.into_iter().map(|entry| view! { <Tick picker entry/> }).collect_view()}</ul>
                {(!hub.is_empty()).then(|| view! { <HubSets picker entries=hub/> })}
            </div>
            <p class="muted" hidden=move || !none_found()>{w.new_data_not_found}</p>
        </Labelled>
    }
    .into_any()
}

/// What is chosen, in its order; each can be taken out.
#[component]
fn Chosen(picker: Picker) -> impl IntoView {
    let w = words();
    let names = move || picker.text.with(|text| names_in(text).map(str::to_owned).collect::<Vec<_>>());
    let chip = move |name: String| {
        let (label, taken) = (fill(w.new_data_remove, &[("name", &name)]), name.clone());
        view! {
            <li>
                <button type="button" class="chip" title=label.clone() aria-label=label on:click=move |_| picker.toggle(&taken, false)>
                    {name}
                    <Icon name=IconName::Cross/>
                </button>
            </li>
        }
    };
    view! {
        <ul class="chips" data-test=format!("chosen-{}", picker.argument.key)>
            {move || names().into_iter().map(chip).collect_view()}
        </ul>
    }
}

#[component]
fn Search(picker: Picker) -> impl IntoView {
    let w = words();
    view! {
        <label class="search">
            <Icon name=IconName::Search/>
            <span class="visually-hidden">{w.new_data_search}</span>
            <input
                type="search"
                autocomplete="off"
                placeholder=w.new_data_search
                data-test=format!("search-{}", picker.argument.key)
                prop:value=move || picker.search.get()
                on:input:target=move |event| picker.search.set(event.target().value())
                // Enter would press a button of the form.
                on:keydown=|event| if event.key() == "Enter" { event.prevent_default() }
            />
        </label>
    }
}

/// Data sets that a run downloads: folded until one is chosen or searched for.
#[component]
fn HubSets(picker: Picker, entries: Vec<DatasetEntry>) -> impl IntoView {
    let w = words();
    let stored = StoredValue::new(entries);
    let shown =
        move || stored.with_value(|entries| entries.iter().filter(|entry| picker.shows(entry)).count());
    let is_wanted = Memo::new(move |_| {
        let any_chosen = || stored.with_value(|all| all.iter().any(|entry| picker.is_chosen(&entry.name)));
        picker.search.with(|search| !search.trim().is_empty()) || any_chosen()
    });
    view! {
        <details class="hub-sets" open=move || is_wanted.get() hidden=move || shown() == 0>
            <summary>{move || fill(w.new_data_on_hubs, &[("n", &shown().to_string())])}</summary>
            // The page does not carry what is folded away.
            {move || picker.form.ready.get().then(|| {
                let ticks = stored.with_value(|entries| entries.iter().cloned().map(|entry| view! { <Tick picker entry/> }).collect_view());
                view! { <ul class="ticks">{ticks}</ul> }
            })}
        </details>
    }
}

#[component]
fn Tick(picker: Picker, entry: DatasetEntry) -> AnyView {
    let w = words();
    let argument = picker.argument;
    let stored = StoredValue::new(entry.clone());
    let shows = move || stored.with_value(|entry| picker.shows(entry));
    let is_suited = move || stored.with_value(|entry| picker.suits(entry));
    let kind = kind_text(&entry, w);
    let DatasetEntry { name, place, rows, problem, .. } = entry;
    let rows = rows.map(|rows| format::rows(rows, w));
    let facts = [rows, Some(kind).filter(|kind| !kind.is_empty())];
    let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let is_broken = problem.is_some();
    let (value, ticked, again, changed) = (name.clone(), name.clone(), name.clone(), name.clone());
    view! {
        <li hidden=move || !shows()>
            <label class="tick">
                <input
                    type="checkbox"
                    name=argument.key
                    value=value
                    disabled=is_broken
                    checked=untrack(|| picker.is_chosen(&ticked))
                    prop:checked=move || picker.is_chosen(&again)
                    on:change:target=move |event| picker.toggle(&changed, event.target().checked())
                />
                <span class="tick-text">
                    <strong>{name}</strong>
                    <small class="muted number">{facts}</small>
                    {hub_name(&place).map(|id| view! {
                        <small class="muted tick-hub"><Icon name=IconName::Download/>{id}</small>
                    })}
                    {problem.map(|problem| view! { <small class="field-problem">{problem}</small> })}
                    <small class="field-problem" hidden=is_suited>{w.new_data_unsuited_one}</small>
                </span>
            </label>
        </li>
    }
    .into_any()
}

fn hub_name(place: &DatasetPlace) -> Option<String> {
    match place {
        DatasetPlace::Hub(id) => Some(id.clone()),
        DatasetPlace::File(_) | DatasetPlace::Unknown => None,
    }
}

/// Whether every word of a search is in the entry's name or in its name on a hub.
fn is_found(entry: &DatasetEntry, search: &str) -> bool {
    let text = lowercase(&format!("{} {}", entry.name, hub_name(&entry.place).unwrap_or_default()));
    lowercase(search).split_whitespace().all(|word| text.contains(word))
}

/// Ticks a dataset, unless it is ticked already.
pub fn tick(form: Form, name: &str) {
    let text = form.field("dataset");
    if !text.with_untracked(|text| names_in(text).any(|chosen| chosen == name)) {
        form.touch("dataset");
        text.update(|text| *text = with_name(text, name, true));
    }
}

fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// The list with a name put at its end, or taken out.
fn with_name(text: &str, name: &str, on: bool) -> String {
    let others = names_in(text).filter(|chosen| *chosen != name);
    others.chain(on.then_some(name)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Holds;

    #[test]
    fn names_come_and_go_in_order() {
        assert_eq!(with_name("", "a", true), "a");
        assert_eq!(with_name("a, b", "c", true), "a,b,c");
        assert_eq!(with_name("a,b,c", "b", false), "a,c");
        assert_eq!(with_name("a,b", "a", true), "b,a");
    }

    #[test]
    fn a_search_looks_at_both_names() {
        let entry = DatasetEntry {
            name: "ultrachat_200k".into(),
            place: DatasetPlace::Hub("HuggingFaceH4/ultrachat_200k".into()),
            format: "sharegpt".into(),
            holds: Holds::Answers,
            bytes: None,
            rows: None,
            problem: None,
        };
        for search in ["", " ", "ultra", "CHAT h4", "200k huggingface"] {
            assert!(is_found(&entry, search), "{search}");
        }
        assert!(!is_found(&entry, "ultra alpaca"));
    }
}
