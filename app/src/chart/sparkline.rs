//! A loss curve the size of a word.

use leptos::prelude::*;

use super::decimate::path;
use super::scale::{Kind, Scale, range_of};
use crate::i18n::words;

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 28.0;

#[component]
pub fn Sparkline(values: Vec<f64>) -> impl IntoView {
    let line = line(&values);
    view! {
        <svg class="sparkline" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=words().runs_sparkline>
            <path d=line/>
        </svg>
    }
}

fn line(values: &[f64]) -> Option<String> {
    let range = range_of(values.iter().copied(), Kind::Linear)?;
    let last = values.len().checked_sub(1).filter(|last| *last > 0)?;
    let x = Scale::new(Kind::Linear, (0.0, last as f64), (1.5, WIDTH - 1.5));
    let y = Scale::new(Kind::Linear, range, (HEIGHT - 1.5, 1.5));
    let samples: Vec<_> = values.iter().enumerate().map(|(index, value)| (index as f64, *value)).collect();
    Some(path(&samples, &x, &y))
}
