//! How answers are drawn, and the system prompt. Labels and help are the argument table's.

use leptos::prelude::*;

use super::talk::Talk;
use crate::i18n::{lang, words};

#[component]
pub fn Settings(talk: Talk) -> AnyView {
    let w = words();
    let sampling = talk.sampling;
    let (label, help) = texts("do_sample");
    let sampled = move || sampling.with(|sampling| sampling.do_sample);
    view! {
        <details class="card chat-settings" open>
            <summary><h2>{w.chat_settings}</h2></summary>
            <label class="field">
                <span class="field-label">{w.chat_system}</span>
                <textarea
                    name="system"
                    rows="3"
                    placeholder=w.chat_system_placeholder
                    data-test="chat-system"
                    prop:value=move || talk.system.get()
                    on:input:target=move |event| talk.system.set(event.target().value())
                ></textarea>
            </label>
            <label class="check" title=help>
                <input
                    type="checkbox"
                    name="do_sample"
                    checked=true
                    prop:checked=sampled
                    on:change:target=move |event| sampling.update(|now| now.do_sample = event.target().checked())
                />
                <span>{label}</span>
            </label>
            <Slider key="temperature" min=0.05 max=2.0 step=0.05 value=Signal::derive(move || sampling.with(|now| now.temperature)) disabled=Signal::derive(move || !sampled())
                on_change=move |value| sampling.update(|now| now.temperature = value)/>
            <Slider key="top_p" min=0.05 max=1.0 step=0.05 value=Signal::derive(move || sampling.with(|now| now.top_p)) disabled=Signal::derive(move || !sampled())
                on_change=move |value| sampling.update(|now| now.top_p = value)/>
            <Slider key="repetition_penalty" min=0.8 max=2.0 step=0.05 value=Signal::derive(move || sampling.with(|now| now.repetition_penalty))
                on_change=move |value| sampling.update(|now| now.repetition_penalty = value)/>
            <div class="chat-counts">
                <Count key="top_k" min=0 value=Signal::derive(move || sampling.with(|now| now.top_k)) disabled=Signal::derive(move || !sampled())
                    on_change=move |value| sampling.update(|now| now.top_k = value)/>
                <Count key="max_new_tokens" min=1 value=Signal::derive(move || sampling.with(|now| now.max_new_tokens))
                    on_change=move |value| sampling.update(|now| now.max_new_tokens = value)/>
            </div>
        </details>
    }
    .into_any()
}

/// Label and help of an argument.
fn texts(key: &'static str) -> (&'static str, &'static str) {
    recipe::args::find(key)
        .map_or((key, ""), |argument| (argument.label.get(lang()), argument.help.get(lang())))
}

#[component]
fn Slider(
    key: &'static str,
    min: f64,
    max: f64,
    step: f64,
    value: Signal<f64>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(into)] on_change: Callback<f64>,
) -> impl IntoView {
    let (label, help) = texts(key);
    view! {
        <label class="field" title=help>
            <span class="field-label">
                {label}
                <output class="number">{move || format!("{:.2}", value.get())}</output>
            </span>
            <input
                type="range"
                name=key
                min=min
                max=max
                step=step
                value=value.get_untracked()
                prop:value=move || value.get()
                disabled=move || disabled.get()
                on:input:target=move |event| {
                    if let Ok(value) = event.target().value().parse::<f64>() {
                        on_change.run(value);
                    }
                }
            />
        </label>
    }
}

#[component]
fn Count(
    key: &'static str,
    min: usize,
    value: Signal<usize>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(into)] on_change: Callback<usize>,
) -> impl IntoView {
    let (label, help) = texts(key);
    view! {
        <label class="field" title=help>
            <span class="field-label">{label}</span>
            <input
                type="number"
                name=key
                min=min
                step="1"
                value=value.get_untracked()
                prop:value=move || value.get()
                disabled=move || disabled.get()
                on:input:target=move |event| {
                    if let Some(value) = event.target().value().parse().ok().filter(|value| *value >= min) {
                        on_change.run(value);
                    }
                }
            />
        </label>
    }
}
