"""Writes `engine/tests/goldens/text/jinja.json`: templates that together use all of Jinja2, as transformers renders them.

Each is rendered by the environment that `apply_chat_template` sets up, its tracker of assistants' texts included. What
it refuses is kept by its message. For templates that mark an assistant's text, also the tokens that it becomes with
the tokenizer of `goldens/data/base`, and which of them count.
"""

import json
import pathlib

from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

GOLDENS = pathlib.Path(__file__).parent.parent / "engine/tests/goldens"
OUT = GOLDENS / "text/jinja.json"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

TOOLS = [
    {"type": "function", "function": {
        "name": "tide", "description": "High water at a \"port\" <today> & tomorrow.",
        "parameters": {"type": "object", "properties": {
            "port": {"type": "string", "description": "which port", "enum": ["Oban", "Łeba"]},
            "days": {"type": ["integer", "null"], "default": 2},
            "heights": {"type": "array", "items": {"type": "number", "minimum": 0.5}}}, "required": ["port"]}}},
    {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}},
]
DOCUMENTS = [{"title": "Almanac", "text": "Springs & neaps"}, {"title": "Log", "text": "Calm."}]


def calls(*named):
    return [{"id": f"call{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for place, (name, arguments) in enumerate(named)]


def say(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = {
    "question": [say("user", "When is\nhigh water? ")],
    "exchange": [say("user", "Hi"), say("assistant", " Hello! "), say("user", "再见 👋"), say("assistant", "Bye")],
    "system": [say("system", "Be \"brief\"."), say("user", "1 + 1?"), say("assistant", "2"), say("user", "2 + 2?")],
    "thought": [say("user", "1 + 1?"), say("assistant", "<think>\nEasy.\n</think>\n\n2"), say("user", "And 2?"),
                say("assistant", "4", reasoning_content="Twice as much.")],
    "call": [say("system", "Use tools."), say("user", "Tides?"),
             say("assistant", None, tool_calls=calls(("tide", {"port": "Łeba", "days": None, "heights": [1.0, 1e-5]}), ("now", {}))),
             say("tool", "{\"at\": \"04:10\"}", name="tide", tool_call_id="call0"), say("tool", "Noon", name="now", tool_call_id="call1"),
             say("assistant", "At ten past four.")],
    "argument text": [say("user", "Tides?"), say("assistant", "Wait.", tool_calls=calls(("tide", "{\"port\": \"Oban\"}"))),
                      say("tool", "4", tool_call_id="call0")],
    "parts": [say("user", [{"type": "text", "text": "Look: "}, {"type": "image"}]), say("assistant", [{"type": "text", "text": "A boat."}])],
    "disorder": [say("assistant", "I begin."), say("user", "No."), say("user", "Really."), say("narrator", "He left.")],
}

# Chat templates: all conversations.
CHATS = {
    "chatml": """{%- for m in messages %}
    {{- '<|im_start|>' ~ m.role ~ '\\n' }}
    {%- if m.content is string %}{{ m.content | trim }}{% elif m.content is iterable %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}{% endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    "alternation": """{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate: ' + m['role'] + ' at ' + loop.index|string) }}{% endif %}
{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %}{{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}""",
    "generation": """{%- for m in messages -%}
{%- if m.role == 'assistant' -%}
<a>{%- generation -%} {{- m.content -}} {{ eos_token }} {%- endgeneration -%}</a>
{% else %}
<{{ m.role }}>{{ m.content }}</{{ m.role }}>
  {% endif %}
{% endfor -%}""",
    "generation with thoughts and calls": """{% macro answer(m) %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}{% endmacro %}
{% for m in messages %}
{% if m.role == 'assistant' %}
A:
{% generation %}
{% set text = answer(m) %}
{{ text }}{{ eos_token }}
{% endgeneration %}
{% else %}
{{ m.role[0] | upper }}: {{ m.content }}
{% endif %}
{% endfor %}
""",
    "generation in macro and loop": """{% macro turn(m) %}({{ m.role }}){% generation %}{{ m.content }}{% endgeneration %}.{% endmacro %}{% for m in messages %}{{ turn(m) }}{%+ generation +%}
  !{% endgeneration %}{% endfor %}""",
    "tools": """{%- set ns = namespace(system='', last=-1) %}
{%- for m in messages %}{% if m.role == 'system' %}{% set ns.system = m.content %}{% endif %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- if tools %}{{ '# Tools\\n' }}{% for t in tools %}{{ t | tojson }}
{{ t.function | tojson(indent=2) }}
{{ t.function.parameters | tojson(sort_keys=true, separators=(',', ':'), ensure_ascii=true) }}
{% endfor %}{% endif %}
{{- ns.system }}@{{ ns.last }}
{%- for m in messages if m.role != 'system' %}
{%- if m.tool_calls %}{% for c in m.tool_calls %}
{% set c = c.function if c.function is defined else c %}
<{{ c.name }}>{{ c.arguments if c.arguments is string else c.arguments | tojson }}{% endfor %}
{%- elif m.role == 'tool' %}
<result {{ m.name | default('of ' ~ m.tool_call_id) }}{{ ', last' if loop.last or messages[loop.index].role != 'tool' }}>{{ m.content }}
{%- else %}
{{ m.role }}: {{ m.content }}
{%- endif %}{% endfor %}""",
    "signature": """{%- macro kind(spec, depth=0) -%}
{%- if spec.type == 'array' %}{{ kind(spec['items'], depth + 1) }}[]{% elif spec.type is not string and spec.type is sequence %}{{ spec.type | join(' | ') }}{% elif spec.enum %}"{{ spec.enum | join('" | "') }}"{% elif spec.type == 'object' %}{ {%- for name, p in spec.properties.items() %}{{ name }}{{ '?' if name not in spec.required }}: {{ kind(p, depth=depth + 1) }}{{ ', ' if not loop.last }}{% endfor -%} }{% else %}{{ spec.type | upper }}{% endif %}
{%- endmacro %}
{% for t in tools or [] %}
function {{ t.function.name }}({{ kind(t.function.parameters) }}) // {{ t.function.description | replace('\\n', ' ') | truncate(20) }}
{% endfor %}
{% for m in messages | rejectattr('role', 'in', ['system', 'tool']) %}{{ loop.index }}/{{ loop.length }} {{ m['role'] }}
{% endfor %}""",
    "thoughts": """{%- for m in messages %}
{%- set content = m.content if m.content is string else '' %}
{%- set thought = '' %}
{%- if m.reasoning_content is string %}{% set thought = m.reasoning_content %}{% elif '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}
{{ m.role }}{% if thought and (loop.last or not loop.nextitem) %} [{{ thought }}]{% endif %}: {{ content }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\\n<think>\\n\\n</think>' if enable_thinking is defined and enable_thinking is false else '\\n<think>' }}{% endif %}""",
    "documents": """{% if documents %}{% for d in documents %}
{{ loop.index }}. {{ d.title | e }}: {{ d['text'] | e }}
{% endfor %}{% else %}none{% endif %}
{{- messages[-1].content }}{{ messages[::-1][0].role }}{{ (messages | first).role }}{{ (messages | last).role }}{{ messages[1:] | length }}""",
    "variables": "{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}{{ enable_thinking is defined }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ messages is sequence }}{{ messages[0] is mapping }}{{ messages | map(attribute='role') | join(',') }}{{ messages | selectattr('tool_calls', 'defined') | list | count }}",
}

DATA = """{% set text = 'The quick  brown-fox\\tjumps' %}{% set n = [3, 1, 2, 10] %}{% set w = ['b', 'A', 'c', 'a'] %}{% set d = {'b': 1, 'A': [1, 2.0], 'items': none, 'c': {'x': true}} %}{% set r = [{'n': 'x', 'v': 2}, {'n': 'Y', 'v': 1}, {'n': 'x', 'v': 3, 'g': {'h': 0}}] %}"""


def each(*expressions):
    """A template that writes each expression on a line."""
    return DATA + "".join("{{ " + expression + " }}|\n" for expression in expressions)


# Templates whose text does not depend on the conversation.
CONSTRUCTS = {
    "printing": each("none", "true", "false", "1.0", "1e16", "1.5e-7", "123456789012345678901234567890", "-0.0", "0.1 + 0.2", "[1, 'a', \"it's\", none, 2.5, (1,), ()]", "d", "{1: 'a', true: 2, none: 3, 1.5: 4}", "'\\n\\t\\\\ \\x41\\u00e9 é\\'' ", "['\\n\\x01é\\u2028\\u200d😀\\\\\\'\"']", "range(3)", "range(1, 9, 3)", "d.keys()", "d.values()", "d.items()", "namespace(a=1)", "undefined_name", "[undefined_name]", "0x1f", "0b11", "0o17", "1_000", "'a' 'b'"),
    "arithmetic": each("7 / 2", "8 / 2", "7 // 2", "-7 // 2", "7.5 // 2", "-7 % 3", "7 % -3", "7.5 % 2", "2 ** 10", "2 ** -1", "2 ** 3 ** 2", "-2 ** 2", "1 + 2 * 3 - 4", "true + 1", "'ab' * 3", "3 * [0]", "[1] + [2]", "(1, 2) + (3,)", "'a' ~ 1 ~ none ~ 2.0 ~ [1]", "1 ~ 2 + 3 | string", "+3", "-(-3)", "10 - 3 - 2", "1.5 + 1", "3 * 1.5", "'x' + 'y' | upper"),
    "comparisons": each("1 < 2 < 3", "3 > 2 > 2", "1 == 1.0", "true == 1", "'a' < 'b'", "[1, 2] < [1, 3]", "1 in n", "'x' not in text", "'quick' in text", "'b' in d", "none in [none]", "not 1 == 2", "1 and 0 or 'z'", "'' or none", "[] and 1", "not []", "2 if false", "1 if n else 2", "'a' if 0 else 'b' if 0 else 'c'", "undefined_name == undefined_2", "undefined_name in [1]", "d == d", "(1, 2) == [1, 2]", "1 != '1'"),
    "attributes and items": each("d.b", "d['A']", "d.A[1]", "d.missing", "d['missing'] is defined", "d.items is callable", "d['items']", "d.c.x", "n.0", "n[-1]", "n[10] is defined", "text[4]", "'abc'.0", "r[0].n", "r.0['v']", "d.get('b')", "d.get('q', 5)", "d.get('q')", "n.index(2)", "n.count(1)", "(1, 2).index(2)", "d | attr('b')", "d | attr('keys') is callable", "text.upper is callable", "none.x", "1 .real", "n.missing", "d.__class__ is defined"),
    "slices": each("n[1:]", "n[:-1]", "n[::2]", "n[::-1]", "n[-2::-1]", "n[5:0:-2]", "n[1:100]", "n[-100:2]", "text[:3]", "text[::-1]", "text[-3:]", "text[2:9:3]", "(1, 2, 3)[1:]", "range(10)[2:8:2]", "range(5)[::-1] | list", "n[none:2]", "''[1:]", "text[:]"),
    "printf": each("'%s and %s' % ('a', 1)", "'%s' % none", "'%s' % [1, 'a']", "'%d%%' % 3.9", "'%05.1f|%-6s|%6s|' % (2.25, 'ab', 'cd')", "'%x %X %o %#x' % (255, 255, 8, 16)", "'%e %g %G' % (12345.678, 0.00001, 1e20)", "'%+d % d' % (3, 4)", "'%(a)s-%(b)r' % {'a': 1, 'b': 'x'}", "'%r' % 'it'", "'%c%c' % ('a', 98)", "'%.2s' % 'abc'", "'%*d' % (5, 3)", "'%s' | format('x')", "'%s %s' | format(1, 2)", "'%(k)s' | format(k=3)", "'%08.3f' % -3.14159", "'%s' % true", "'%i' % true", "'%s' % undefined_name"),
    "str.format": each("'{} {}'.format(1, 'a')", "'{1}{0}'.format('a', 'b')", "'{a}-{b}'.format(a=1, b=[2])", "'{0[0]}{0[1]}'.format(n)", "'{0.b}'.format(d)", "'{!r}'.format('x')", "'{:>6}|{:<6}|{:^6}|{:*^7}'.format('a', 'b', 'c', 'd')", "'{:05d} {:+} {:,} {:x} {:#b}'.format(42, 3, 1234567, 255, 5)", "'{:.2f} {:e} {:g} {:%}'.format(3.14159, 12345.6, 0.5, 0.25)", "'{{}}'.format()", "'{:{}}|'.format('a', 4)", "'{:10.3f}|'.format(2.5)", "'{}'.format(none)", "'{:>5}'.format(true)", "'{:,.2f}'.format(1234567.891)", "'{:05}'.format('ab')"),
    "case": each("'hELLO wORLD'.title()", "'hELLO'.capitalize()", "'aBc'.swapcase()", "'Straße'.upper()", "'ÄÖ'.lower()", "'ß'.casefold()", "'hello-world (foo) [bar]' | title", "'hELLO' | capitalize", "'a' | upper", "'A' | lower", "1 | upper", "none | lower"),
    "split and strip": each("' a b  c '.split()", "'a,b,,c'.split(',')", "'a,b,c'.split(',', 1)", "'a,b,c'.rsplit(',', 1)", "' a b  c '.split(none, 1)", "' a b  c '.rsplit(none, 1)", "'a b'.split(maxsplit=1)", "'a--b'.split(sep='--')", "'a\\nb\\r\\nc\\n'.splitlines()", "'a\\nb'.splitlines(true)", "'k=v=w'.partition('=')", "'k=v=w'.rpartition('=')", "'kv'.partition('=')", "'kv'.rpartition('=')", "'  x '.strip() ~ '.'", "'xxaxx'.strip('x')", "'xyaxy'.lstrip('yx')", "'axyxy'.rstrip('yx')", "'<think>x'.removeprefix('<think>')", "'x.txt'.removesuffix('.txt')", "' x ' | trim ~ '.'", "'--x--' | trim('-')", "text | wordcount", "'a b' | list"),
    "searching": each("text.find('q')", "text.find('zz')", "text.rfind('o')", "text.find('o', 13)", "text.index('T')", "text.count('o')", "text.count('')", "text.startswith('The')", "text.startswith(('A', 'T'))", "text.endswith(('s', 'x'))", "text.endswith('s', 2)", "text.startswith('q', 4)", "text.replace(' ', '_')", "text.replace(' ', '_', 1)", "text | replace('o', '0')", "text | replace('o', '0', 1)", "', '.join(w)", "'-'.join('abc')", "'5'.zfill(3)", "'-5'.zfill(4)", "'a'.center(4, '*')", "'ab'.center(5)", "'a'.ljust(3, '.')", "'a'.rjust(3)", "'a\\tb'.expandtabs(4)"),
    "kinds of characters": each("'abc'.isalpha()", "'a1'.isalnum()", "'12'.isdigit()", "'²'.isdigit()", "'²'.isdecimal()", "'½'.isnumeric()", "' \\t'.isspace()", "''.isspace()", "'Ab'.isupper()", "'AB1'.isupper()", "'ab'.islower()", "'Ab Cd'.istitle()", "'a_1'.isidentifier()", "'é'.isascii()", "'\\n'.isprintable()", "'é' is lower", "'A' is upper", "'谢谢'.isalpha()"),
    "json": each("d | tojson", "d | tojson(indent=2)", "d | tojson(indent=0)", "d | tojson(indent='\\t')", "d | tojson(separators=(',', ':'))", "d | tojson(sort_keys=true)", "'é😀\"\\n\\u007f<&>' | tojson", "'é😀' | tojson(ensure_ascii=true)", "{1: 'a', none: 2, true: 3, 1.5: 4} | tojson", "(1, 2) | tojson", "1.0 | tojson", "1e-7 | tojson", "[[], {}, none] | tojson(indent=1)", "'x' | tojson(false, 2)"),
    "default and numbers": each("undefined_name | default('d')", "undefined_name | d", "'' | default('e', true)", "none | default('f')", "none | default('g', boolean=true)", "'42' | int", "'4.7' | int", "'x' | int", "'x' | int(-1)", "'1f' | int(base=16)", "'0x1f' | int(0, 16)", "3.9 | int", "'2.5' | float", "'x' | float(1.5)", "5 | float", "2.567 | round(2)", "2.5 | round", "3.5 | round", "2.675 | round(2)", "42 | round", "2.1 | round(0, 'ceil')", "2.9 | round(method='floor')", "-3 | abs", "1234567 | filesizeformat", "2048 | filesizeformat(true)", "1 | filesizeformat", "(n | sum)", "r | sum(attribute='v')", "n | sum(start=10)", "true | int"),
    "lists": each("n | sort", "n | sort(reverse=true)", "w | sort", "w | sort(case_sensitive=true)", "r | sort(attribute='v') | map(attribute='v') | list", "r | sort(attribute='n,v') | map(attribute='v') | list", "n | min", "n | max", "r | max(attribute='v')", "w | min(case_sensitive=true)", "[] | min", "w | unique | list", "w | unique(true) | list", "n | reverse | list", "'abc' | reverse", "n | first", "n | last", "[] | first", "n | length", "d | count", "n | join", "n | join('-')", "r | join(', ', attribute='n')", "n | batch(3) | list", "n | batch(3, 0) | list", "n | slice(3) | list", "n | slice(3, 'x') | list", "d | list", "d | items | list", "undefined_name | items | list", "d | dictsort", "{'b': 1, 'A': 3, 'c': 2} | dictsort(by='value', reverse=true)", "{'b': 1, 'A': 3} | dictsort(true)", "'x' | string", "1.0 | string"),
    "map and select": each("w | map('upper') | list", "r | map(attribute='n') | join", "r | map(attribute='g.h', default='-') | list", "r | map(attribute='g') | list", "[1, 2] | map('string') | join('+')", "['a', none] | map('default', 'x', true) | list", "n | select('odd') | list", "n | reject('gt', 2) | list", "n | select('divisibleby', 5) | list", "[0, 1, ''] | select | list", "[0, 1, ''] | reject | list", "r | selectattr('v', 'ge', 2) | map(attribute='v') | list", "r | rejectattr('g') | map(attribute='v') | list", "r | selectattr('n', 'equalto', 'x') | list | length", "r | selectattr('g', 'undefined') | map(attribute='n') | list", "r | selectattr('n', 'in', ['Y']) | first", "[] | map('upper') | list", "['%s!'] | map('format', 1) | list"),
    "groups": DATA + "{% for g in r | groupby('n') %}{{ g.grouper }}={{ g.list | map(attribute='v') | list }} {{ g }};{% endfor %}\n{% for k, v in r | groupby('g.h', default=9) %}{{ k }}:{{ v | length }};{% endfor %}{% for k, v in r | groupby('n', case_sensitive=true) %}{{ k }}{% endfor %}",
    "text filters": each("'a\\nb\\n\\nc' | indent", "'a\\n\\nb' | indent(2, true, true)", "'a\\nb' | indent('> ', first=true)", "text | truncate(10)", "text | truncate(10, true)", "text | truncate(10, false, '!', 0)", "'short' | truncate(3)", "text | wordwrap(9)", "'abcdefghij kl' | wordwrap(4)", "'abcdefghij kl' | wordwrap(4, false)", "'a b c' | wordwrap(3, wrapstring='/')", "'x' | center(5) ~ '|'", "'<a href=\"x\">\\'b\\' & c</a>' | e", "'<b>' | safe | e", "'<b>x</b>  <!-- c --> y &lt;' | striptags", "{'class': 'a', 'x': none, 'id': '<1>'} | xmlattr", "'a b/ü&c' | urlencode", "{'a': 1, 'b c': 'd&'} | urlencode", "'<' | forceescape", "d | pprint", "('<' | e) + '>'"),
    "tests": each("1 is odd", "2 is even", "9 is divisibleby 3", "n is defined", "undefined_name is undefined", "none is none", "none is iterable", "1 is iterable", "'' is iterable", "d is iterable", "none is defined", "true is boolean", "1 is boolean", "true is true", "1 is true", "false is false", "1 is integer", "true is integer", "1.0 is float", "1 is number", "true is number", "'a' is string", "d is mapping", "n is mapping", "'a' is sequence", "n is sequence", "d is sequence", "1 is sequence", "(1, 2) is sequence", "d.items() is sequence", "n is callable", "range is callable", "none is sameas none", "1 is eq 1.0", "1 is ne 2", "2 is gt 1", "2 is ge 2", "1 is lt 2", "1 is le 1", "1 is in n", "'upper' is filter", "'nope' is filter", "'odd' is test", "1 is not none", "n is not string and 1 is number", "('x' | e) is escaped", "undefined_name is string", "3 is equalto 3", "1 is odd == true"),
    "loops": "{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }};{% endfor %}\n{% for x in [] %}x{% else %}empty{% endfor %}\n{% for x in [1, 2, 3, 4] if x is even %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}none{% endfor %}\n{% for a, (b, c) in [[1, (2, 3)]] %}{{ a }}{{ b }}{{ c }}{% endfor %}\n{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for c in 'abc' %}{{ c }}.{% endfor %}{% for x in undefined_name %}{% else %}u{% endfor %}{% for i in range(3) %}{% for j in range(i) %}{{ loop.index }}{% endfor %}{{ loop.index }},{% endfor %}",
    "loop controls": "{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% else %}never{% endfor %}|{% for x in [1] %}{% continue %}{% else %}else runs where no body ended{% endfor %}|{% for x in [1, 2] %}{% for y in [1, 2] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}{% for x in [1, 2, 3] %}{% set block %}{% if x == 2 %}{% continue %}{% endif %}<{{ x }}>{% endset %}{{ block }}{% endfor %}",
    "recursive loops": "{% for i in [{'n': 1, 'c': [{'n': 2, 'c': [{'n': 3}]}, {'n': 4}]}, {'n': 5}] recursive %}{{ loop.depth }}:{{ i.n }}{% if i.c %}({{ loop(i.c) }}){% endif %}{{ ',' if not loop.last }}{% endfor %}",
    "lazy loops": "{% set ns = namespace(seen=0) %}{% for x in [1, 2, 3, 4] if ns.seen < 2 %}{% set ns.seen = ns.seen + 1 %}{{ x }}{% endfor %}|{% set it = [1, 2, 3] | map('string') %}{{ it | first }}{% for x in it %}{{ x }}{{ loop.last }}{% endfor %}{% for x in it %}again{% else %}used up{% endfor %}{{ true if [] | select else false }}|{% for x in [1, 2, 3] | select('odd') %}{{ loop.length }}{{ loop.revindex }}{% endfor %}{% for m in messages if m.role == 'nobody' %}{{ loop.length }}{% else %}-{% endfor %}",
    "scopes": "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 10 %}{{ x }};{% endfor %}{{ x }}{% if true %}{% set x = 5 %}{% endif %}{{ x }}{% with y = 2, z = x %}{{ y }}{{ z }}{% set x = 7 %}{{ x }}{% endwith %}{{ x }}{{ y is defined }}{% set a, b = 1, [2] %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ c }}{{ d }}{% for x in [9] %}{{ x }}{% endfor %}{{ x }}{% set t %}{% set x = 0 %}{{ x }}{% endset %}{{ t }}{{ x }}{% set messages = messages[:1] %}{{ messages | length }}",
    "namespaces": "{% set ns = namespace(a=1, b=[]) %}{% for i in range(3) %}{% set ns.a = ns.a * 2 %}{% set ns.b = ns.b + [i] %}{% endfor %}{{ ns.a }}{{ ns.b }}{% macro up() %}{% set ns.a = ns.a + 1 %}{% endmacro %}{{ up() }}{{ up() }}{{ ns.a }}{{ ns.missing is defined }}{{ ns['a'] }}{% set other = namespace({'k': 1}, z=2) %}{{ other.k }}{{ other.z }}{% set ns.a, q = 3, 4 %}{{ ns.a }}{{ q }}",
    "macros": "{% macro f(a, b='B', c=b ~ '!') %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(c=3, a=0) }}{{ f() }}{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, x=3) }}{{ v() }}{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{% endmacro %}{{ outer(1) }}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ v.catch_varargs }}{{ v.caller }}{% set late = 1 %}{% macro sees() %}{{ late }}{% endmacro %}{% set late = 2 %}{{ sees() }}{{ f(*[1, 2], **{'c': 9}) }}{% macro fact(n) %}{{ n * (fact(n - 1) | int) if n > 1 else 1 }}{% endmacro %}{{ fact(10) }}{{ f }}{{ [1, 2] | map('string') | map('upper') | join }}",
    "call blocks": "{% macro box(title) %}<{{ title }}>{{ caller() }}</{{ title }}>{% endmacro %}{% call box('a') %}in{{ 1 + 1 }}{% endcall %}{% macro rows(items) %}{% for i in items %}{{ caller(i, loop.index) }}{% endfor %}{% endmacro %}{% call(x, n) rows(['p', 'q']) %}{{ n }}{{ x }} {% endcall %}{% macro maybe(caller=none) %}{{ caller() if caller else 'none' }}{% endmacro %}{{ maybe() }}{% call maybe() %}some{% endcall %}",
    "filter and set blocks": "{% filter upper %}a{{ 'b' }}{% endfilter %}{% filter replace('a', 'x') | indent(2) | trim %}a\nab{% endfilter %}{% set b %}x{% for i in [1, 2] %}{{ i }}{% endfor %}{% endset %}{{ b }}{{ b | length }}{% set c | upper | trim %}  q  {% endset %}[{{ c }}]{% print 1, 'z' %}{% autoescape false %}{{ '<' }}{% endautoescape %}{% block named %}in {{ messages | length }}{% endblock %}",
    "functions": "{{ range(4) | list }}{{ range(4, 0, -2) | list }}{{ dict(a=1, b=2) }}{{ dict({'x': 1}, y=2) }}{{ dict([('k', 'v')]) }}{% set c = cycler('odd', 'even') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.current }}{% set j = joiner(', ') %}{% for x in [1, 2, 3] %}{{ j() }}{{ x }}{% endfor %}{{ strftime_now('%%') }}{{ strftime_now('') | length }}{{ strftime_now('%Y') | length }}",
    "white space": "  {% if true %}\n  a\n  {% endif %}\n\n {#- c -#}  b {# d #}\n   {# e #} \nf{%- if true -%}  g  {%- endif -%}  h\n  {%+ if true %}\ni\n  {%+ endif +%}\n\tj {{- ' k ' -}} l\n {{ 'm' }}\n\n\n",
    "line breaks": "a\r\nb\rc\n{% if true %}\r\nd\r\n{% endif %}\r\n{{ 'x\r\ny' }}\n",
    "raw": "{% raw %}\n{{ no }} {% if %} {# kept #}\n{% endraw %}\n{%- raw -%}  {{ x }}  {%- endraw -%}  y\n  {% raw %}a\n  {% endraw %}b{{ '{{' }}{{ '%}' }}{{ \"}}\" }}",
    "comments and names": "{# {{ no }} {% if %} #}{##}{#- a -#}{% set été = 1 %}{{ été }}{{ '{# not #}' }}{% set true_ = 2 %}{{ true_ }}{{ [1,2,][1] }}{{ {'a': 1,}.a }}{{ (1,)[0] }}{{ ((1)) }}{{ {}.a is defined }}{% if (1, 2) %}t{% endif %}{{ 1 if 1 }}{{ {'a': {'b': [1, {'c': 'deep'}]}}.a.b[1].c }}",
    "no such tag in text": "}} %} #} { {% if 1 %}%{% endif %} {'a'} 100% {",
    "old habits": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system = messages[0]['content'].strip() + '\n\n' %}{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}{% for m in loop_messages %}{% if loop.index0 == 0 %}{{ system }}{% endif %}{{ m['role'].title() + ': ' + (m['content'] | string) }}{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor %}{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ add_generation_prompt }}",
}

# What is refused, one each.
ERRORS = {
    "raise_exception": "{{ raise_exception('Only two roles, please: 100%!') }}",
    "undefined in sum": "{{ 'a' + nothing }}",
    "attribute of undefined": "{{ nothing.at.all }}",
    "attribute of missing attribute": "{{ messages[0].nothing.more }}",
    "attribute of none": "{{ none.a.b }}",
    "item of undefined": "{{ nothing['x'] }}",
    "call of undefined": "{{ nothing() }}",
    "comparison of undefined": "{{ nothing > 1 }}",
    "call of text": "{{ 'x'() }}",
    "text and number": "{{ 'a' + 1 }}",
    "text and none": "{{ 'a' + none }}",
    "number and text": "{{ 1 + 'a' }}",
    "list and tuple": "{{ [1] + (2,) }}",
    "comparison of kinds": "{{ 1 < 'a' }}",
    "division by zero": "{{ 1 // 0 }}",
    "loop over none": "{% for x in none %}{% endfor %}",
    "loop over number": "{% for x in 3 %}{% endfor %}",
    "unpacking": "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "in none": "{{ 'a' in none }}",
    "number in text": "{{ 1 in 'a1' }}",
    "length of none": "{{ none | length }}",
    "length of iterator": "{{ [1] | map('string') | length }}",
    "append": "{% set l = [] %}{% set _ = l.append(1) %}",
    "update": "{{ {}.update({'a': 1}) }}",
    "underscores": "{{ ''.__class__.__mro__ }}",
    "unknown filter": "{{ 1 | nope }}",
    "unknown filter in branch": "{% if true %}{{ 1 | nope }}{% endif %}",
    "unknown filter in branch not taken": "{% if false %}{{ 1 | nope }}{% endif %}fine",
    "unknown test": "{{ 1 is nope }}",
    "unknown tag": "{% do x %}",
    "unclosed block": "{% for x in [] %}{% if x %}",
    "unclosed comment": "a {# b",
    "unclosed raw": "{% raw %} x",
    "wrong nesting": "{% for x in [] %}{% endif %}",
    "unbalanced": "{{ (1 }}",
    "empty expression": "{{ }}",
    "bad character": "{{ a ? b }}",
    "too few formats": "{{ '%s' % (1, 2) }}",
    "too many formats": "{{ '%s %s' % 'a' }}",
    "format of kind": "{{ '%d' % 'a' }}",
    "substring": "{{ 'abc'.index('z') }}",
    "join of numbers": "{{ ', '.join([1]) }}",
    "range too big": "{{ range(1000000) }}",
    "macro arguments": "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
    "macro keyword": "{% macro f(a) %}{% endmacro %}{{ f(b=1) }}",
    "no caller": "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}",
    "not a namespace": "{% set x = {} %}{% set x.a = 1 %}",
    "json of undefined": "{{ nothing | tojson }}",
    "unhashable key": "{{ {[1]: 2} }}",
    "other template": "{% include 'other' %}",
    "not recursive": "{% for x in [1] %}{{ loop([2]) }}{% endfor %}",
    "last of iterator": "{{ [1] | map('string') | last }}",
    "sort of kinds": "{{ [1, 'a'] | sort }}",
    "sum of texts": "{{ ['a'] | sum }}",
    "missing in format": "{{ '{a}'.format(b=1) }}",
}


def render(template, conversation, case):
    variables = {**TOKENS, **case.get("variables", {})}
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        text, generated = chat_template_utils._render_with_assistant_indices(
            compiled_template=compiled, messages=CONVERSATIONS[conversation],
            tools=TOOLS if case["tools"] else None, documents=DOCUMENTS if case["documents"] else None,
            add_generation_prompt=case["add_generation_prompt"], **variables)
    except Exception as error:  # noqa: BLE001 - whatever it refuses with is the reference
        return {"message": str(error)}
    return {"output": text, "generated": generated} if generated else {"output": text}


def cases(template, conversations):
    for place, conversation in enumerate(conversations):
        case = {"conversation": conversation, "add_generation_prompt": conversation in ("question", "system"),
                "tools": conversation in ("question", "call", "argument text"), "documents": place == 1}
        if conversation == "system":
            case["variables"] = {"enable_thinking": False}
        yield {**case, **render(template, conversation, case)}


def masks():
    tokenizer = AutoTokenizer.from_pretrained(GOLDENS / "data/base")
    for name in [name for name in CHATS if name.startswith("generation")]:
        for conversation in ["exchange", "system", "call"]:
            encoded = tokenizer.apply_chat_template(
                CONVERSATIONS[conversation], chat_template=CHATS[name], tokenize=True, return_dict=True,
                return_assistant_tokens_mask=True)
            yield {"template": name, "conversation": conversation,
                   "ids": encoded["input_ids"], "mask": encoded["assistant_masks"]}


def main():
    groups = [(CHATS, list(CONVERSATIONS)), (CONSTRUCTS, ["exchange"]), (ERRORS, ["exchange"])]
    templates = {name: {"template": template, "cases": list(cases(template, conversations))}
                 for group, conversations in groups for name, template in group.items()}
    file = {**TOKENS, "conversations": CONVERSATIONS, "tools": TOOLS, "documents": DOCUMENTS, "templates": templates,
            "masks": list(masks())}
    OUT.write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")).replace("},\"", "},\n\"") + "\n")
    print(len(templates), "templates,", sum(len(t["cases"]) for t in templates.values()), "cases")


if __name__ == "__main__":
    main()
