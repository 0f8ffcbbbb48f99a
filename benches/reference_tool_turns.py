"""Turns with text, a thought and tool calls as the models' own chat templates write them.

Renders them with transformers and writes `engine/tests/goldens/text/tool_turns.json`. Takes a folder of Jinja chat
templates, named as in `models/templates` of llama.cpp: `python benches/reference_tool_turns.py FOLDER`.
"""

import json
import sys
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

TOOLS = [{"type": "function", "function": {"name": name, "description": "", "parameters": {
    "type": "object", "properties": {"hour": {"type": "integer"}}}}} for name in ["tide", "wind"]]
CALLS = [{"id": "call00001", "type": "function", "function": {"name": "tide", "arguments": {"hour": 12}}},
         {"id": "call00002", "type": "function", "function": {"name": "wind", "arguments": {}}}]
TEXT, THOUGHT = "Let me look.", "Boats need water."
TURNS = {
    "calls": {"content": "", "tool_calls": CALLS},
    "text": {"content": TEXT, "tool_calls": CALLS[:1]},
    "text_and_calls": {"content": TEXT, "tool_calls": CALLS},
    "thought": {"content": "", "reasoning_content": THOUGHT, "tool_calls": CALLS[:1]},
    "thought_and_text": {"content": TEXT, "reasoning_content": THOUGHT, "tool_calls": CALLS[:1]},
}
# Our template, the model's, the turns that both write alike, and for the others the part of the turn called `text` that
# is alike: from one word to another. The rest differs where LLaMA-Factory writes a call otherwise than the model does.
MODELS = [
    ("qwen", "Qwen-Qwen2.5-7B-Instruct", ["calls", "text", "text_and_calls"], None),
    ("qwen3", "Qwen-Qwen3-0.6B", list(TURNS), None),
    ("qwen3_5", "Qwen3.5-4B", list(TURNS), None),
    ("qwen3_5_nothink", "Qwen3-Coder", ["calls", "text", "text_and_calls"], None),
    ("lfm2", "LFM2.5-8B-A1B", ["calls", "text", "text_and_calls"], None),
    ("glm4_moe", "GLM-4.6", [], [TEXT, "tide"]),
    ("seed_oss", "ByteDance-Seed-OSS", [], [TEXT, "tide"]),
    ("minimax2", "MiniMax-M2", [], [TEXT, "<"]),
    ("ministral3", "mistralai-Ministral-3-14B-Reasoning-2512", [], [TEXT, "[TOOL_CALLS]"]),
    ("gemma4", "google-gemma-4-31B-it-interleaved", [], ["<|tool_call>", TEXT]),
]
ASKED = {"role": "user", "content": "Can I sail at noon?"}


def turn(template, message):
    """The assistant's turn with its head, and where there is one the end of the question."""
    messages = [ASKED, {"role": "assistant", **message}]
    (text,), _ = render_jinja_template(conversations=[messages], tools=TOOLS, chat_template=template,
                                       add_generation_prompt=False, bos_token="", eos_token="</s>")
    return text[text.rindex(ASKED["content"]) + len(ASKED["content"]):]


def main():
    folder = Path(sys.argv[1])
    models = []
    for ours, name, alike, part in MODELS:
        template = (folder / f"{name}.jinja").read_text()
        turns = {key: turn(template, TURNS[key]) for key in alike or ["text"]}
        models.append({"template": ours, "model": name, "turns": turns} | ({"part": part} if part else {}))
    golden = {"question": ASKED, "tools": TOOLS, "eos_token": "</s>", "turns": TURNS, "models": models}
    path = Path(__file__).parent.parent / "engine/tests/goldens/text/tool_turns.json"
    path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
