"""Renders chat templates with Hugging Face transformers: the Python part of scripts/compare-chat-templates.ts, which starts it.

    pip install transformers==5.24.0 tokenizers jinja2
    python scripts/compare-chat-templates.py FOLDER_OF_TEMPLATES > renderings.json

Prints a JSON list: for each template and case what the template is given (`variables`) and what `apply_chat_template` makes of it (`text`, or
null and an `error` where the template refuses it).
"""

import datetime
import json
import pathlib
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

SPECIALS = dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")

SYSTEM = dict(role="system", content="Be brief.")
USER = dict(role="user", content="Question: who wrote “Ada”?\n  1. this\n  2. that\n")
AGAIN = dict(role="user", content="\n  And   when?\t")
ANSWER = dict(role="assistant", content="    indented\n    answer")
THOUGHT = dict(role="assistant", content="<think>\n  hm\n</think>\n\n  It was Lovelace.\n")
REASONED = dict(role="assistant", content="Lovelace.", reasoning_content="Let me see.\n")
RESULT = dict(role="tool", name="search", tool_call_id="call12345", content='{"found": [1, 2.5, null, true]}')
ARGUMENTS = dict(query="Ada <b>& Co</b>", top_k=3, weight=0.5, exact=True, fuzzy=False, after=None, tags=["a", "é"])


def call(arguments, identifier="call12345", name="search"):
    return dict(id=identifier, type="function", function=dict(name=name, arguments=arguments))


def calling(*calls, content=""):
    return dict(role="assistant", content=content, tool_calls=list(calls))


TOOLS = [
    dict(
        type="function",
        function=dict(
            name="search",
            description="Looks “things” up.",
            parameters=dict(
                type="object",
                properties=dict(
                    query=dict(type="string", description="What to look for"),
                    top_k=dict(type="integer", default=3, enum=[1, 3]),
                    exact=dict(type="boolean", default=True),
                ),
                required=["query"],
            ),
        ),
    )
]
CONVERSATIONS = {
    "user": [USER],
    "system": [SYSTEM, USER],
    "turns": [USER, ANSWER, AGAIN],
    "thought": [USER, THOUGHT, AGAIN],
    "thought last": [USER, THOUGHT],
    "reasoning": [USER, REASONED, AGAIN],
    "reasoning last": [USER, REASONED],
    "call": [USER, calling(call(ARGUMENTS))],
    "call and result": [USER, calling(call(ARGUMENTS)), RESULT],
    "call as text": [USER, calling(call(json.dumps(ARGUMENTS))), RESULT],
    "call with content": [USER, calling(call(ARGUMENTS), content="I look."), RESULT, ANSWER, AGAIN],
    "two calls": [USER, calling(call(ARGUMENTS), call(dict(query="b"), "call67890")), RESULT, RESULT],
}


class Frozen(datetime.datetime):
    """The day that a template with `strftime_now` sees."""

    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 9, 17, 5)


def cases():
    for name, messages in CONVERSATIONS.items():
        with_tools = any("tool_calls" in message for message in messages)
        for generate in (True, False):
            for switches in ({}, dict(enable_thinking=False), dict(enable_thinking=True)):
                yield f"{name}, {generate}, {switches}", messages, TOOLS if with_tools else None, generate, switches


def main() -> None:
    chat_template_utils.datetime = Frozen
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<unk>": 0}, "<unk>")), **SPECIALS)
    renderings = []
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja")):
        # As transformers reads it from a model's folder.
        source = file.read_text(encoding="utf-8")
        for case, messages, tools, generate, switches in cases():
            # transformers hands this to templates that look for it.
            seen = [
                {**message, "thinking": message["reasoning_content"]} if "reasoning_content" in message else message
                for message in messages
            ]
            variables = dict(messages=seen, tools=tools, documents=None, add_generation_prompt=generate, **SPECIALS, **switches)
            try:
                text, error = tokenizer.apply_chat_template(
                    messages, tools=tools, chat_template=source, tokenize=False, add_generation_prompt=generate, **switches
                ), None
            except Exception as failure:
                text, error = None, f"{type(failure).__name__}: {failure}"
            renderings.append(dict(template=file.stem, case=case, variables=variables, text=text, error=error))
    json.dump(renderings, sys.stdout)


if __name__ == "__main__":
    main()
