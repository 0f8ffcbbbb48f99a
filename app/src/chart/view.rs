//! The chart on a run's page: tabs, smoothing, log scale, zoom by dragging, values under the pointer.

use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::html::Div;
use leptos::prelude::*;
use recipe::Point;
use wire::EvalPoint;

use super::plot::{BOTTOM, LEFT, Look, Metric, Plot, RIGHT, TOP, csv};
use crate::browser;
use crate::components::icon::{Icon, IconName};
use crate::format;
use crate::i18n::{Words, words};

/// As the server draws it, before the page knows its own width.
const FIRST_WIDTH: f64 = 800.0;
const HEIGHT: f64 = 300.0;
/// A drag shorter than this is a click.
const SHORTEST_DRAG: f64 = 6.0;

fn metric_label(metric: Metric, words: &Words) -> &'static str {
    match metric {
        Metric::Loss => words.chart_loss,
        Metric::LearningRate => words.chart_learning_rate,
        Metric::GradNorm => words.chart_grad_norm,
    }
}

/// State of the chart that its parts share.
#[derive(Clone, Copy)]
struct Chart {
    look: RwSignal<Look>,
    plot: Memo<Option<Plot>>,
    /// Index of the sample under the pointer.
    hover: RwSignal<Option<usize>>,
    /// Pixels between which the pointer is being dragged.
    drag: RwSignal<Option<(f64, f64)>>,
}

impl Chart {
    fn zoom_to_drag(&self) {
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

    fn reset_zoom(&self) {
        self.hover.set(None);
        self.look.update(|look| look.zoom = None);
    }

    /// Moves the marked sample by keyboard.
    fn on_key(&self, event: &KeyboardEvent) {
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
    #[prop(into)] evals: Signal<Vec<EvalPoint>>,
    /// Name of the file that the points are saved to.
    #[prop(into)]
    file_name: String,
) -> AnyView {
    let first = Look {
        metric: Metric::Loss,
        smoothing: 0.6,
        log: false,
        zoom: None,
        width: FIRST_WIDTH,
        height: HEIGHT,
    };
    let look = RwSignal::new(first);
    let plot =
        Memo::new(move |_| points.with(|points| evals.with(|evals| Plot::of(points, evals, look.get()))));
    let chart = Chart { look, plot, hover: RwSignal::new(None), drag: RwSignal::new(None) };

    let frame = NodeRef::<Div>::new();
    let measure = move || {
        // The page may be gone by the time of the next frame.
        if let Some(frame) = frame.try_get_untracked().flatten() {
            let width = browser::width_of(&frame);
            if width > 0.0 && (look.with_untracked(|look| look.width) - width).abs() > 0.5 {
                look.update(|look| look.width = width);
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
            data-metric=move || look.with(|look| look.metric.name())
        >
            <Controls chart points evals file_name/>
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

#[component]
fn Controls(
    chart: Chart,
    points: Signal<Vec<Point>>,
    evals: Signal<Vec<EvalPoint>>,
    file_name: String,
) -> AnyView {
    let w = words();
    let look = chart.look;
    let tab = move |metric: Metric| {
        let chosen = move || look.with(|look| look.metric == metric);
        view! {
            <button
                type="button"
                class="tab"
                aria-pressed=move || chosen().to_string()
                data-test=format!("chart-{}", metric.name())
                on:click=move |_| {
                    chart.hover.set(None);
                    look.update(|look| look.metric = metric);
                }
            >
                {metric_label(metric, w)}
            </button>
        }
    };
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
            <div class="tabs" role="group" aria-label=w.chart_metrics>
                {Metric::ALL.map(tab).collect_view()}
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
                    disabled=move || !look.with(|look| look.metric.is_noisy())
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
            </span>
        </div>
    }
    .into_any()
}

#[component]
fn Drawing(chart: Chart) -> AnyView {
    let w = words();
    let Chart { look, plot, hover, drag } = chart;
    let surface = NodeRef::<Div>::new();
    let pixel = move |event: &PointerEvent| {
        let width = look.with_untracked(|look| look.width);
        surface.get_untracked().map(|surface| {
            browser::offset_in(&surface, f64::from(event.client_x())).clamp(LEFT, width - RIGHT)
        })
    };
    let on_move = move |event: PointerEvent| {
        let Some(at) = pixel(&event) else { return };
        if let Some((from, _)) = drag.get_untracked() {
            drag.set(Some((from, at)));
        }
        hover.set(plot.with_untracked(|plot| plot.as_ref().and_then(|plot| plot.nearest(at))));
    };
    let on_down = move |event: PointerEvent| {
        // A finger scrolls the page; only a mouse or a pen draws a range.
        if event.button() != 0 || event.pointer_type() == "touch" {
            return;
        }
        if let (Some(at), Some(surface)) = (pixel(&event), surface.get_untracked()) {
            browser::capture_pointer(&surface, event.pointer_id());
            drag.set(Some((at, at)));
        }
    };
    let part = move |draw: fn(&Plot, Look) -> AnyView| {
        move || look.with(|look| plot.with(|plot| plot.as_ref().map(|plot| draw(plot, *look))))
    };
    view! {
        <div
            class="chart-surface"
            node_ref=surface
            tabindex="0"
            role="application"
            aria-label=move || summary(chart, w)
            title=w.chart_help
            on:pointermove=on_move
            on:pointerdown=on_down
            on:pointerup=move |_| chart.zoom_to_drag()
            on:pointercancel=move |_| drag.set(None)
            on:pointerleave=move |_| hover.set(None)
            on:blur=move |_| hover.set(None)
            on:dblclick=move |_| chart.reset_zoom()
            on:keydown=move |event| chart.on_key(&event)
        >
            <svg
                viewBox=move || look.with(|look| format!("0 0 {} {}", look.width, look.height))
                aria-hidden="true"
            >
                {part(grid)}
                <path class="line-raw" class:alone=move || plot.with(|plot| plot.as_ref().is_some_and(|p| p.smooth.is_empty()))
                    d=move || plot.with(|plot| plot.as_ref().map(|plot| plot.raw.clone()))/>
                <path class="line-smooth" d=move || plot.with(|plot| plot.as_ref().map(|plot| plot.smooth.clone()))/>
                {part(eval_marks)}
                {move || drag.get().map(|(a, b)| view! {
                    <rect class="chart-range" x=a.min(b) y=TOP width=(a - b).abs() height=HEIGHT - TOP - BOTTOM/>
                })}
                {move || crosshair(chart, w)}
            </svg>
        </div>
        <p class="visually-hidden" aria-live="polite">{move || hover_text(chart, w)}</p>
        {move || plot.with(|plot| plot.as_ref().filter(|plot| !plot.evals.is_empty()).map(|plot| legend(plot, w)))}
    }
    .into_any()
}

fn grid(plot: &Plot, look: Look) -> AnyView {
    let (right, bottom) = (look.width - RIGHT, look.height - BOTTOM);
    let rows = plot.y_ticks.iter().filter_map(|tick| {
        let y = plot.y.pixel(tick.value)?;
        Some(view! {
            <line class="grid" x1=LEFT x2=right y1=y y2=y/>
            <text class="tick" x=LEFT - 8.0 y=y + 4.0 text-anchor="end">{tick.label.clone()}</text>
        })
    });
    let columns = plot.x_ticks.iter().filter_map(|tick| {
        let x = plot.x.pixel(tick.value)?;
        Some(
            view! { <text class="tick" x=x y=bottom + 18.0 text-anchor="middle">{tick.label.clone()}</text> },
        )
    });
    view! {
        <g>
            {rows.collect_view()}
            <line class="axis" x1=LEFT x2=right y1=bottom y2=bottom/>
            {columns.collect_view()}
        </g>
    }
    .into_any()
}

/// The class that gives an evaluation's line its colour; the colours come round again.
fn eval_class(number: usize) -> String {
    const COLOURS: usize = 4;
    format!("eval-{}", number % COLOURS)
}

fn eval_marks(plot: &Plot, _look: Look) -> AnyView {
    let lines = plot.evals.iter().enumerate().map(|(number, line)| {
        let marks = line.marks.iter();
        let points = marks.clone().map(|mark| format!("{:.1},{:.1}", mark.x, mark.y)).collect::<Vec<_>>();
        let dots = marks.map(|mark| view! { <circle class="eval-dot" cx=mark.x cy=mark.y r="4"/> });
        view! {
            <g class=eval_class(number)>
                <polyline class="eval-line" points=points.join(" ")/>
                {dots.collect_view()}
            </g>
        }
    });
    view! { <g>{lines.collect_view()}</g> }.into_any()
}

/// What an evaluation is called: with its data set, where each is evaluated by itself.
fn eval_label(dataset: Option<&str>, words: &Words) -> String {
    match dataset {
        Some(name) => format!("{} · {name}", words.chart_eval_loss),
        None => words.chart_eval_loss.to_owned(),
    }
}

fn legend(plot: &Plot, words: &'static Words) -> AnyView {
    let keys = plot.evals.iter().enumerate().map(|(number, line)| {
        view! {
            <span class=format!("key {}", eval_class(number))>
                <span class="key-eval"></span>
                {eval_label(line.dataset.as_deref(), words)}
            </span>
        }
    });
    view! { <p class="chart-legend">{keys.collect_view()}</p> }.into_any()
}

/// The values under the pointer: label and number.
fn readout(chart: Chart, words: &'static Words) -> Option<(usize, Vec<(String, String)>)> {
    let index = chart.hover.get()?;
    let metric = chart.look.with(|look| look.metric);
    chart.plot.with(|plot| {
        let plot = plot.as_ref()?;
        let (step, value) = *plot.samples.get(index)?;
        let mut rows = vec![
            (words.chart_step.to_owned(), format::count(step as u64)),
            (metric_label(metric, words).to_owned(), format::metric(value)),
        ];
        if !plot.smooth.is_empty() {
            rows.push((words.chart_smoothed.to_owned(), format::metric(plot.smoothed[index])));
        }
        for line in &plot.evals {
            if let Some(eval) = line.marks.iter().find(|eval| eval.step as f64 == step) {
                let label = line.dataset.clone().unwrap_or_else(|| words.chart_eval_loss.to_owned());
                rows.push((label, format::metric(eval.loss)));
            }
        }
        Some((index, rows))
    })
}

fn hover_text(chart: Chart, words: &'static Words) -> String {
    let rows = readout(chart, words).map(|(_, rows)| rows).unwrap_or_default();
    rows.into_iter().map(|(label, value)| format!("{label} {value}")).collect::<Vec<_>>().join(", ")
}

fn crosshair(chart: Chart, words: &'static Words) -> Option<AnyView> {
    const WIDTH: f64 = 178.0;
    /// Letters of a label that have room beside a number.
    const LONGEST: usize = 16;
    let (index, rows) = readout(chart, words)?;
    let look = chart.look.get();
    chart.plot.with(|plot| {
        let plot = plot.as_ref()?;
        let (step, value) = *plot.samples.get(index)?;
        let x = plot.x.pixel(step)?;
        let shown = if plot.smooth.is_empty() { value } else { plot.smoothed[index] };
        let dot = plot.y.pixel(shown).map(|y| view! { <circle class="hover-dot" cx=x cy=y r="4"/> });
        let left = if x + WIDTH + 20.0 > look.width { x - WIDTH - 12.0 } else { x + 12.0 };
        let height = rows.len() as f64 * 20.0 + 12.0;
        let lines = rows.into_iter().enumerate().map(|(row, (label, value))| {
            let y = 21.0 + row as f64 * 20.0;
            view! {
                <text class="tip-label" x="12" y=y>{format::shortened(&label, LONGEST)}</text>
                <text class="tip-value" x=WIDTH - 12.0 y=y text-anchor="end">{value}</text>
            }
        });
        Some(
            view! {
                <g class="crosshair">
                    <line x1=x x2=x y1=TOP y2=look.height - BOTTOM/>
                    {dot}
                    <g transform=format!("translate({left:.1},{})", TOP + 4.0)>
                        <rect class="tip" width=WIDTH height=height rx="8"/>
                        {lines.collect_view()}
                    </g>
                </g>
            }
            .into_any(),
        )
    })
}

/// What the picture says, for those who do not see it.
fn summary(chart: Chart, words: &'static Words) -> String {
    let metric = metric_label(chart.look.with(|look| look.metric), words);
    chart.plot.with(|plot| {
        let Some(plot) = plot else { return metric.to_owned() };
        let (Some(first), Some(last)) = (plot.samples.first(), plot.samples.last()) else {
            return metric.to_owned();
        };
        crate::i18n::fill(
            words.chart_summary,
            &[
                ("metric", metric),
                ("first", &format::metric(first.1)),
                ("last", &format::metric(last.1)),
                ("from", &format::count(first.0 as u64)),
                ("to", &format::count(last.0 as u64)),
            ],
        )
    })
}
