"""One step of TRL's GRPOTrainer with a search turn: every row writes, is shown an observation, writes again; then one optimizer step.

The trainer's own tool loop needs a chat template that knows tools and text that parses as a call. `rollout_func`, the trainer's hook for
rollouts, takes its place and does what that loop does with each turn (`_generate_single_turn` on prompt + turn + observation), without its
templates and parsing. Everything after it (rewards, advantages, mask over the observation, loss, backward, AdamW) is the trainer's.
"""

import tempfile
import time

import torch
from datasets import Dataset
from model import open_model
from peft import LoraConfig
from transformers import AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class StepClock(TrainerCallback):
    """Seconds from the first micro-batch's generation to the end of the optimizer's step."""

    def __init__(self) -> None:
        self.seconds = []

    def on_step_begin(self, *_, **__):
        self.start = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.seconds.append(time.perf_counter() - self.start)


def grpo_step(
    folder: str,
    prompts: list[list[int]],
    observations: list[list[int]],
    group: int,
    turn_tokens: int,
    micro_batch: int,
    lora: dict | None,
    cache: str | None = None,
) -> dict:
    """`observations[i]` follows the first turn of every row of `prompts[i]`."""
    clock = StepClock()
    phases = {"generate": 0.0}
    rows = len(prompts) * group

    def rollout(asked: list[str], trainer: GRPOTrainer) -> dict:
        start = time.perf_counter()
        prompt_ids = [prompts[int(name)] for name in asked]
        first, _ = trainer._generate_single_turn(prompt_ids, None, {}, group)
        shown = [observations[int(name)] for name in asked]
        continued = [prompt + turn + seen for prompt, turn, seen in zip(prompt_ids, first, shown, strict=True)]
        second, _ = trainer._generate_single_turn(continued, None, {}, 1)
        if any(len(turn) != turn_tokens for turn in first + second):
            raise RuntimeError("a turn ended early: the work would not be equal")
        completions = [a + seen + b for a, seen, b in zip(first, shown, second, strict=True)]
        mask = [[1] * turn_tokens + [0] * len(seen) + [1] * turn_tokens for seen in shown]
        phases["generate"] += time.perf_counter() - start
        return {"prompt_ids": prompt_ids, "completion_ids": completions, "logprobs": None, "env_mask": mask}

    def reward(completions: list, **_) -> list[float]:
        return [float(row % 2) for row in range(len(completions))]

    with tempfile.TemporaryDirectory() as output:
        trainer = GRPOTrainer(
            model=open_model(folder),
            processing_class=AutoTokenizer.from_pretrained(folder),
            reward_funcs=reward,
            rollout_func=rollout,
            train_dataset=Dataset.from_dict({"prompt": [str(index) for index in range(len(prompts))]}),
            peft_config=None if lora is None else LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, target_modules="all-linear", **lora),
            callbacks=[clock],
            args=GRPOConfig(
                output_dir=output,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                per_device_train_batch_size=micro_batch,
                gradient_accumulation_steps=rows // micro_batch,
                num_generations=group,
                max_completion_length=turn_tokens,
                generation_kwargs={"min_new_tokens": turn_tokens},
                cache_implementation=cache,
                temperature=1.0,
                beta=0.0,
                learning_rate=1e-5,
                max_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
        )
        trainer.train()
    return {"seconds": clock.seconds[0], **phases}
