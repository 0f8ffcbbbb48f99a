//! Templates that would not end, fill the memory or overflow the stack: each ends soon, with a sentence or a text.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::Jinja;

/// What becomes of a template on a thread as small as any that renders them.
fn rendered(source: String) -> Result<String, String> {
    let render = move || {
        let messages = json!([{"role": "user", "content": "Hello"}]);
        let template = Jinja::new(&source).map_err(|e| e.to_string())?;
        template.render(&[("messages", &messages)]).map(|done| done.text).map_err(|e| e.to_string())
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(render).expect("a thread");
    thread.join().expect("no panic")
}

fn repeated(part: &str, count: usize) -> String {
    part.repeat(count)
}

const STEPS: &str = "more steps";
const TEXT: &str = "more text";
const DEEP: &str = "recursion";

fn nest(open: &str, inside: &str, close: &str, count: usize) -> String {
    format!("{}{inside}{}", open.repeat(count), close.repeat(count))
}

/// Sources that are deeper than can be parsed, and what is said of each.
fn deep_sources() -> Vec<(String, &'static str)> {
    let deep = |open: &str, close: &str| nest(open, "1", close, 100_000);
    vec![
        (format!("{{{{ {}1 }}}}", repeated("not ", 100_000)), "operators"),
        (format!("{{{{ 1{} }}}}", repeated("|string", 100_000)), "operators"),
        (format!("{{% set a{} %}}{{% endset %}}", repeated("|string", 100_000)), "operators"),
        (format!("{{% filter string{} %}}{{% endfilter %}}", repeated("|string", 100_000)), "operators"),
        (format!("{{{{ 1{} }}}}", repeated("+1", 100_000)), "operators"),
        (format!("{{{{ a{} }}}}", repeated(".a", 100_000)), "operators"),
        (format!("{{{{ a{} }}}}", repeated("[0]", 100_000)), "operators"),
        (format!("{{{{ a{} }}}}", repeated("()", 100_000)), "operators"),
        (format!("{{{{ {} }}}}", deep("(", ")")), "levels deep"),
        (format!("{{{{ {} }}}}", deep("[", "]")), "levels deep"),
        (format!("{{{{ {} }}}}", deep("{1:", "}")), "levels deep"),
        (format!("{{{{ {}1 }}}}", repeated("-", 100_000)), "levels deep"),
        (format!("{{{{ {}1{} }}}}", repeated("f(", 100_000), repeated(")", 100_000)), "levels deep"),
        (format!("{{{{ {}1 }}}}", repeated("1 if 1 else ", 50_000)), "levels deep"),
        (format!("{{% set {} = 1 %}}", deep("(", ")").replace('1', "a")), "levels deep"),
        (format!("{{% for {} in [] %}}{{% endfor %}}", deep("(", ")").replace('1', "a")), "levels deep"),
        (nest("{% if 1 %}", "", "{% endif %}", 10_000), "levels deep"),
        (nest("{% macro m() %}", "", "{% endmacro %}", 10_000), "levels deep"),
        ("a".repeat(2 << 20), "at most 1048576"),
    ]
}

/// Sources that run without end.
fn endless_sources() -> Vec<(String, &'static str)> {
    let loops =
        |count: usize, inside: &str| nest("{% for i in range(99999) %}", inside, "{% endfor %}", count);
    vec![
        (loops(4, ""), STEPS),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(), DEEP),
        ("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".into(), DEEP),
        ("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}".into(), DEEP),
        (format!("{{% set a = [1] %}}{}{{{{ a == b }}}}", repeated("{% set b = a %}{% set a = [a, a] %}{% set b = [b, b] %}", 60)), STEPS),
        ("{% set x = range(99999)|list %}{{ x|unique|list|length }}".into(), STEPS),
        ("{% set x = range(99999)|list %}{% for i in x %}{{ x.index(i) }}{% endfor %}".into(), "more"),
        ("{% set x = range(99999)|map('string') %}{% for i in range(99999) %}{{ x is defined }}{% endfor %}".into(), STEPS),
        (format!("{{% set x = {{{}}} %}}{{{{ x|length }}}}", (0..80_000).map(|n| format!("'{n}':1,")).collect::<String>()), STEPS),
    ]
}

/// Sources of texts and lists without end.
fn large_sources() -> Vec<(String, &'static str)> {
    vec![
        ("{{ 'a\nb'|indent(10**9) }}".into(), "a\n  "),
        ("{{ 'a\nb'|indent('x' * 10**7) }}".into(), "it writes 10000003 bytes"),
        (format!("{{{{ '{}'|indent(99999) }}}}", "a\\n".repeat(10_000)), TEXT),
        ("{{ range(9999)|join('x'*100000) }}".into(), TEXT),
        ("{{ ('x'*100000).join(range(9999)|map('string')) }}".into(), TEXT),
        (format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", repeated("{% set a = a + a %}", 40)), TEXT),
        (format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", repeated("{% set a = a ~ a %}", 40)), TEXT),
        (format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", repeated("{% set a = '%s%s' % (a, a) %}", 40)), "more"),
        (
            format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", repeated("{% set a = '{0}{0}'.format(a) %}", 40)),
            TEXT,
        ),
        (
            format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", repeated("{% set a = a|replace('a', 'aa') %}", 40)),
            TEXT,
        ),
        (
            format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", repeated("{% set a = a.replace('', 'aa') %}", 40)),
            TEXT,
        ),
        (
            format!(
                "{{% set a = 'aa' %}}{}{{{{ a }}}}",
                repeated("{% set a %}{{ a }}{{ a }}{% endset %}", 40)
            ),
            TEXT,
        ),
        (format!("{{% set a = [1] %}}{}{{{{ a|length }}}}", repeated("{% set a = a + a %}", 40)), TEXT),
        (format!("{{% set a = [1] %}}{}{{{{ a }}}}", repeated("{% set a = [a, a] %}", 40)), ""),
        (format!("{{% set a = [1] %}}{}{{{{ a|tojson }}}}", repeated("{% set a = [a, a] %}", 40)), ""),
        ("{{ 'a' * 10**8 }}".into(), TEXT),
        ("{{ [1] * 10**8 }}".into(), TEXT),
        ("{{ [1, 2]|tojson(indent=10**10) }}".into(), TEXT),
        ("{{ [1]|batch(10**10, 0)|list }}".into(), TEXT),
        ("{{ [1]|slice(10**10)|list }}".into(), TEXT),
        ("{{ 'a'.ljust(10**8) }}".into(), TEXT),
        ("{{ '\\t'.expandtabs(10**18) }}".into(), TEXT),
        (format!("{{{{ '{}' % (range(20000)|list|length,) }}}}", "%(a)99999d".repeat(10)), ""),
        (format!("{{% set a = '{}' %}}{{{{ a % {{'a': 1}} }}}}", "%(a)99999d".repeat(5_000)), "more"),
        (format!("{{% set a = '{}' %}}{{{{ a.format(1) }}}}", "{0:99999}".repeat(5_000)), TEXT),
        ("{% for i in range(99999) %}{{ 'a'|center(99999) }}{% endfor %}".into(), TEXT),
        ("{{ ('a' * 10**6)|wordwrap(1)|length }}".into(), ""),
        ("{{ ('<a>' * 10**6)|striptags|length }}".into(), ""),
    ]
}

/// Sources of values that hold themselves, or each other in long rows.
fn circular_sources() -> Vec<(String, &'static str)> {
    vec![
        ("{% set a = namespace() %}{% set a.a = a %}{{ a }}".into(), DEEP),
        ("{% set a = namespace() %}{% set a.a = a %}{{ a|tojson }}".into(), "not JSON"),
        ("{% set a = namespace() %}{% set a.a = [a] %}{{ a.a|pprint }}".into(), ""),
        ("{{ (-170141183460469231731687303715884105727 - 1)|abs }}".into(), "170141183460469231731687303715884105727"),
        ("{{ -(-170141183460469231731687303715884105727 - 1) }}".into(), "170141183460469231731687303715884105727"),
        ("{{ range(9)[::170141183460469231731687303715884105727][::170141183460469231731687303715884105727] }}".into(), ""),
    ]
}

#[test]
fn what_never_ends_or_has_no_bounds_is_refused() {
    let mut failures = Vec::new();
    let sources = [deep_sources(), endless_sources(), large_sources(), circular_sources()];
    for (source, said) in sources.into_iter().flatten() {
        let shown: String = source.chars().take(70).collect();
        let start = Instant::now();
        let result = rendered(source);
        let took = start.elapsed();
        let told = match &result {
            Err(message) | Ok(message) => message,
        };
        if !told.contains(said) || told.len() > 200_000 || took > Duration::from_secs(20) {
            let told: String = told.chars().take(200).collect();
            failures.push(format!(
                "{shown}: {took:?} {}: {told}",
                if result.is_ok() { "gives" } else { "fails" }
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Long rows of values that hold each other are dropped without a stack as long.
#[test]
fn what_is_long_but_ends_is_rendered() {
    for source in [
        // Each namespace holds the next one.
        "{% set first = namespace() %}{% set c = namespace(p=first) %}{% for i in range(30000) %}\
         {% set n = namespace() %}{% set t = c.p %}{% set t.next = n %}{% set c.p = n %}{% endfor %}done",
        // Each scope holds a macro that holds the scope before.
        "{% set c = namespace(v=0) %}{% for i in range(30000) %}{% set before = c.v %}\
         {% macro m() %}{{ before }}{% endmacro %}{% set c.v = m %}{% endfor %}done",
        // The same with a loop.
        "{% set c = namespace(v=0) %}{% for i in range(30000) %}{% set before = c.v %}\
         {% for j in [1] if true %}{% set c.v = loop %}{% endfor %}{% endfor %}done",
    ] {
        assert_eq!(rendered(source.to_owned()), Ok("done".to_owned()), "{source}");
    }
}

/// A conversation as long as any is rendered: what it may use grows with it.
#[test]
fn long_conversations_are_no_attack() {
    let turn = |n: usize| json!({"role": (["user", "assistant"][n % 2]), "content": "word ".repeat(200)});
    let messages: Json = (0..2000).map(turn).collect();
    let source = "{% set ns = namespace(last=0) %}{% for m in messages[::-1] %}{% if m.role == 'user' %}\
         {% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}\
         {{ '<|im_start|>' + m.role + '\n' + m.content.split('</think>')[-1].lstrip('\n') + '<|im_end|>' }}\
         {% for other in messages[loop.index0:] %}{% endfor %}{% generation %}{{ m.content }}{% endgeneration %}\
         {% endfor %}";
    let template = Jinja::new(source).expect("a template");
    let done = template.render(&[("messages", &messages)]).expect("a text");
    assert_eq!(done.generated.len(), 2000);
    assert!(done.text.len() > 4_000_000);
}
