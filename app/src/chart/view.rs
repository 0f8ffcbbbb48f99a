//! The chart on a run's page: tabs, smoothing, log scale, zoom by dragging, values under the pointer.

use std::sync::Arc;

use leptos::ev::KeyboardEvent;
use leptos::html::Div;
use leptos::prelude::*;
use recipe::metrics::LOSS;
use recipe::{Eval, Point};

use super::csv::csv;
use super::drawing::Drawing;
use super::picture;
use super::plot::{Look, Plot};
use super::series::{is_noisy, label, names};
use crate::browser;
use crate::components::icon::{Icon, IconName};
use crate::i18n::words;

/// As the server draws it, before the page knows its own width.
const FIRST_WIDTH: f64 = 800.0;
const HEIGHT: f64 = 300.0;
/// A drag shorter than this is a click.
const SHORTEST_DRAG: f64 = 6.0;

/// State of the chart that its parts share.
#[derive(Clone, Copy)]
pub(super) struct Chart {
    /// What the y axis shows.
    pub metric: RwSignal<Arc<str>>,
    pub look: RwSignal<Look>,
    pub plot: Memo<Option<Plot>>,
    /// Index of the sample under the pointer.
    pub hover: RwSignal<Option<usize>>,
    /// Pixels between which the pointer is being dragged.
    pub drag: RwSignal<Option<(f64, f64)>>,
}

impl Chart {
    pub fn zoom_to_drag(&self) {
        let Some((a, b)) = self.drag.get_untracked() else { return };
        self.drag.set(None);
        if (a - b).abs() < SHORTEST_DRAG {
            return;
        }
        let range = self.plot.with_untracked(|plot| {
            let x = plot.as_ref()?.x;
            let (from, to) = (x.value(a.min(b)).ceil(), x.value(a.max(b)).floor());
            (to > from).then_some((from, to))
        });
        if range.is_some() {
            self.hover.set(None);
            self.look.update(|look| look.zoom = range);
        }
    }

    pub fn reset_zoom(&self) {
        self.hover.set(None);
        self.look.update(|look| look.zoom = None);
    }

    /// Moves the marked sample by keyboard.
    pub fn on_key(&self, event: &KeyboardEvent) {
        let Some(count) = self.plot.with_untracked(|plot| plot.as_ref().map(|plot| plot.samples.len()))
        else {
            return;
        };
        let last = count.saturating_sub(1);
        let at = self.hover.get_untracked();
        let next = match event.key().as_str() {
            "ArrowLeft" => Some(at.map_or(last, |at| at.saturating_sub(1))),
            "ArrowRight" => Some(at.map_or(0, |at| (at + 1).min(last))),
            "Home" => Some(0),
            "End" => Some(last),
            "Escape" => {
                self.reset_zoom();
                return;
            }
            _ => return,
        };
        event.prevent_default();
        self.hover.set(next);
    }
}

#[component]
pub fn LineChart(
    #[prop(into)] points: Signal<Vec<Point>>,
    #[prop(into)] evals: Signal<Vec<Eval>>,
    /// Name of the file that the points are saved to.
    #[prop(into)]
    file_name: String,
) -> AnyView {
    let first = Look { smoothing: 0.6, log: false, zoom: None, width: FIRST_WIDTH, height: HEIGHT };
    let look = RwSignal::new(first);
    let metric = RwSignal::new(Arc::from(LOSS));
    let draw = move |points: &Vec<Point>, evals: &Vec<Eval>| {
        metric.with(|metric| Plot::of(points, evals, metric, look.get()))
    };
    let plot = Memo::new(move |_| points.with(|points| evals.with(|evals| draw(points, evals))));
    let chart = Chart { metric, look, plot, hover: RwSignal::new(None), drag: RwSignal::new(None) };

    let frame = NodeRef::<Div>::new();
    let measure = move || {
        // The page may be gone by the time of the next frame.
        if let Some(frame) = frame.try_get_untracked().flatten() {
            let width = browser::width_of(&frame);
            let height = browser::full_height_of(&frame).map_or(HEIGHT, |full| full.max(HEIGHT));
            let differs =
                |look: &Look| (look.width - width).abs() > 0.5 || (look.height - height).abs() > 0.5;
            if width > 0.0 && look.with_untracked(differs) {
                look.update(|look| (look.width, look.height) = (width, height));
            }
        }
    };
    let is_drawn = Memo::new(move |_| plot.with(Option::is_some));
    Effect::new(move |_| {
        frame.track();
        is_drawn.track();
        // A page that was just drawn has its width with the next frame.
        request_animation_frame(measure);
        let listener = window_event_listener(leptos::ev::resize, move |_| measure());
        on_cleanup(move || listener.remove());
    });

    view! {
        <section
            class="chart"
            data-test="chart"
            data-points=move || points.with(Vec::len)
            data-metric=move || metric.get().to_string()
        >
            <Controls chart points evals file_name frame/>
            <div class="chart-frame" node_ref=frame>
                {move || if plot.with(Option::is_some) { view! { <Drawing chart/> }.into_any() } else { empty() }}
            </div>
        </section>
    }
    .into_any()
}

fn empty() -> AnyView {
    view! { <p class="chart-empty">{words().chart_empty}</p> }.into_any()
}

/// Shows a metric.
#[component]
fn Tab(chart: Chart, name: Arc<str>) -> AnyView {
    let (test, text) = (format!("chart-{name}"), label(&name, words()).to_owned());
    let (shown, wanted) = (name.clone(), name);
    view! {
        <button
            type="button"
            class="tab"
            aria-pressed=move || chart.metric.with(|metric| *metric == shown).to_string()
            data-test=test
            on:click=move |_| {
                chart.hover.set(None);
                chart.metric.set(wanted.clone());
            }
        >
            {text}
        </button>
    }
    .into_any()
}

#[component]
fn Controls(
    chart: Chart,
    points: Signal<Vec<Point>>,
    evals: Signal<Vec<Eval>>,
    file_name: String,
    frame: NodeRef<Div>,
) -> AnyView {
    let w = words();
    let Chart { metric, look, .. } = chart;
    let picture = format!("{file_name}.svg");
    let save_picture = move |_| {
        if let Some(frame) = frame.get_untracked() {
            let metric = metric.with_untracked(|metric| metric.replace('/', "-"));
            picture::save(&frame, &format!("{metric}-{picture}"));
        }
    };
    let enlarge = move |_| {
        if let Some(frame) = frame.get_untracked() {
            browser::toggle_full_screen(&frame);
        }
    };
    let series = Memo::new(move |_| points.with(|points| evals.with(|evals| names(points, evals))));
    let smoothing = move || look.with(|look| look.smoothing);
    let save = move |_| {
        browser::download(
            &format!("{file_name}.csv"),
            "text/csv",
            &points.with_untracked(|points| evals.with_untracked(|evals| csv(points, evals))),
        );
    };
    view! {
        <div class="chart-controls">
            <div class="tabs" role="group" aria-label=w.chart_metrics hidden=move || series.with(Vec::is_empty)>
                {move || series.get().into_iter().map(|name| view! { <Tab chart name/> }).collect_view()}
            </div>
            <label class="chart-smoothing">
                <span>{w.chart_smoothing}</span>
                <input
                    type="range"
                    min="0"
                    max="0.99"
                    step="0.01"
                    value="0.6"
                    data-test="chart-smoothing"
                    disabled=move || !metric.with(|metric| is_noisy(metric))
                    on:input:target=move |event| {
                        if let Ok(weight) = event.target().value().parse() {
                            look.update(|look| look.smoothing = weight);
                        }
                    }
                />
                <output class="number">{move || format!("{:.2}", smoothing())}</output>
            </label>
            <label class="check">
                <input
                    type="checkbox"
                    data-test="chart-log"
                    on:change:target=move |event| look.update(|look| look.log = event.target().checked())
                />
                <span>{w.chart_log}</span>
            </label>
            <span class="chart-buttons">
                <button
                    type="button"
                    class="button quiet small"
                    data-test="chart-reset"
                    hidden=move || look.with(|look| look.zoom.is_none())
                    on:click=move |_| chart.reset_zoom()
                >
                    {w.chart_reset}
                </button>
                <button type="button" class="button quiet small" data-test="chart-csv" title=w.chart_csv on:click=save>
                    <Icon name=IconName::Download/>
                    "CSV"
                </button>
                <button type="button" class="button quiet small" data-test="chart-svg" title=w.chart_svg on:click=save_picture>
                    <Icon name=IconName::Download/>
                    "SVG"
                </button>
                <button
                    type="button"
                    class="button quiet small icon-only"
                    data-test="chart-full"
                    title=w.chart_full
                    aria-label=w.chart_full
                    on:click=enlarge
                >
                    <Icon name=IconName::Enlarge/>
                </button>
            </span>
        </div>
    }
    .into_any()
}
