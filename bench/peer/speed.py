"""Decode, prefill and training of transformers on torch. Every verb does its work once and returns the seconds it took."""

import time

import torch
from transformers import DynamicCache, StaticCache


class Speed:
    def __init__(self, model) -> None:
        self.model = model
        self.parameters = [parameter for parameter in model.parameters()]
        self.optimizer = None

    def gemm(self, rows: int, inner: int, columns: int, rounds: int) -> dict:
        """The raw matrix product."""
        a, b = torch.full((rows, inner), 0.5), torch.full((inner, columns), 0.25)
        with torch.inference_mode():
            start = time.perf_counter()
            for _ in range(rounds):
                torch.mm(a, b)
            return {"seconds": time.perf_counter() - start}

    def decode(self, prompts: list[list[int]], steps: int, cache: str) -> dict:
        """`steps` tokens for every row after its prompt, drawn at temperature 1, with their log-probabilities. The prompt's keys
        and values are there before the clock starts."""
        tokens = torch.tensor(prompts)
        batch, length = tokens.shape
        model = self.model.eval()
        if cache == "static":
            past = StaticCache(config=model.config, max_cache_len=length + steps)
        else:
            past = DynamicCache(config=model.config)
        with torch.inference_mode():
            model(input_ids=tokens[:, :-1], past_key_values=past, use_cache=True, logits_to_keep=1)
            newest = tokens[:, -1:]
            logprobs = []
            start = time.perf_counter()
            for step in range(steps):
                position = torch.tensor([length - 1 + step])
                output = model(input_ids=newest, past_key_values=past, use_cache=True, cache_position=position)
                distribution = torch.log_softmax(output.logits[:, -1], dim=-1)
                newest = torch.multinomial(distribution.exp(), 1)
                logprobs.append(distribution.gather(1, newest))
            torch.cat(logprobs, dim=1).tolist()
            return {"seconds": time.perf_counter() - start}

    def prefill(self, prompts: list[list[int]]) -> dict:
        """Keys and values of the prompts, and the logits of their last positions."""
        tokens = torch.tensor(prompts)
        with torch.inference_mode():
            start = time.perf_counter()
            output = self.model.eval()(input_ids=tokens, use_cache=True, logits_to_keep=1)
            seconds = time.perf_counter() - start
        return {"seconds": seconds, "greedy": output.logits[:, -1].argmax(dim=-1).tolist()}

    def logprobs(self, sequences: list[list[int]], last: int) -> dict:
        """Log-probabilities of the last so many tokens of every sequence, each behind what stands before it. All are equally long."""
        tokens = torch.tensor(sequences)
        with torch.inference_mode():
            logits = self.model.eval()(input_ids=tokens[:, :-1], use_cache=False, logits_to_keep=last).logits
            logprobs = torch.log_softmax(logits, dim=-1).gather(2, tokens[:, -last:, None])
        return {"logprobs": logprobs.squeeze(2).tolist()}

    def train(self, sequences: list[list[int]], step: bool = False) -> dict:
        """Forward and backward of the mean cross-entropy of every token; with `step`, one step of AdamW too."""
        tokens = torch.tensor(sequences)
        model = self.model.train()
        if step and self.optimizer is None:
            self.optimizer = torch.optim.AdamW(self.parameters, lr=0.0)
        start = time.perf_counter()
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        if step:
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
        seconds = time.perf_counter() - start
        self.model.zero_grad(set_to_none=True)
        return {"seconds": seconds, "loss": loss.item()}

    def profile(self, of: str, rows: int, **request) -> dict:
        """Where the time of a verb goes, by torch's own profiler: the operators that take longest themselves."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            getattr(self, of)(**request)
        averages = profiler.key_averages()
        total = sum(event.self_cpu_time_total for event in averages)
        longest = sorted(averages, key=lambda event: -event.self_cpu_time_total)[:rows]
        return {"operators": [[event.key, event.self_cpu_time_total / total, event.count] for event in longest]}
