"""The peer's process: one JSON object per line in, one per line out.

{"verb": "decode", ...} is answered with what the verb returns, or with {"error": text}. While nobody asks, the process is blocked
in a read. Everything that libraries print goes to stderr.
"""

import json
import os
import sys
import traceback

replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRL_EXPERIMENTAL_SILENCE="1")


def main() -> None:
    import torch

    torch.set_num_threads(int(os.environ["SLEUTH_PEER_THREADS"]))
    from grpo import grpo_step
    from model import make_folder, open_model
    from speed import Speed

    speed = None
    folder = None
    for line in sys.stdin:
        request = json.loads(line)
        verb = request.pop("verb")
        try:
            if verb == "versions":
                result = versions()
            elif verb == "makeFolder":
                result = make_folder(**request)
            elif verb == "open":
                folder = request["folder"]
                speed = Speed(open_model(folder))
                result = {}
            elif verb == "grpoStep":
                # TRL's trainer holds a model of its own.
                speed = None
                result = grpo_step(folder, **request)
            else:
                result = getattr(speed, verb)(**request)
        except Exception:
            result = {"error": traceback.format_exc()}
        replies.write(json.dumps(result) + "\n")


def versions() -> dict:
    import peft
    import torch
    import transformers
    import trl

    return {library.__name__: library.__version__ for library in (torch, transformers, trl, peft)}


if __name__ == "__main__":
    main()
