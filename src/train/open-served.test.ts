/** @file A configuration with a server: what is asked of it, and what it is refused for. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { trajectoryToDatum } from "../algorithms/datum.js";
import { transcriptOf } from "../data/transcripts.js";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { chatReply, serving, textReply, type Asked, type TestServer } from "../policy/served/server.test-support.js";
import { searchR1 } from "../prompts/protocol.js";
import { engineOf, passage } from "../rollout/fixtures.test-support.js";
import { traceFromLine, traceToLine } from "../rollout/trace.js";
import type { ChatMessage } from "../types.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import { evaluate } from "./evaluate.js";
import { sft } from "./sft/sft.js";
import { train } from "./train.js";

const folder = mkdtempSync(path.join(tmpdir(), "sleuth-served-"));
let server: TestServer | undefined;
afterEach(() => server?.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const questions = [{ id: "q", question: "Capital of France?", answers: ["Paris"] }];
const search = engineOf(() => [passage("Paris is the capital of France.", "France")]);
const answers = ({ path: at, body }: Asked) =>
  at === "/v1/models"
    ? { data: [{ id: "m" }] }
    : body.messages === undefined
      ? textReply("<answer> Paris ")
      : chatReply("<answer> Paris ");

const evaluated = async (config: ConfigInput, given: object = { search }) => {
  server = await serving(answers);
  const input = { train: { evalModes: "greedy", keepBest: "greedy" } as const, ...config };
  const settings = { ...input, server: { url: server.url, ...config.server } };
  return evaluate(settings, { questions, ...given, onNotice: () => undefined });
};

describe("a configuration with a server", () => {
  it("is evaluated by chat, with the server's template, where no tokenizer is named", async () => {
    const { greedy } = await evaluated({ rollout: { templateVariables: { enable_thinking: false } } });
    expect(greedy.exactMatch.value).toBe(1);
    const [models] = server?.asked ?? [];
    const turn = server?.asked.at(-1) as Asked;
    expect([models.path, turn.path]).toEqual(["/v1/models", "/v1/chat/completions"]);
    expect((turn.body.messages as ChatMessage[])[0].content).toMatch(
      /^Answer the given question\. .*Question: Capital of France\?$/,
    );
    expect(turn.body).toMatchObject({ model: "m", temperature: 0, chat_template_kwargs: { enable_thinking: false } });
  });

  it("is evaluated by completions in the model's own layout, where its tokenizer is", async () => {
    const model = await makeTinyModel();
    writeFileSync(
      path.join(model.folder, "chat_template.jinja"),
      "{% for m in messages %}[{{ m.content }}]{% endfor %}",
    );
    try {
      // The prompt is longer than what the tiny model reads.
      const asked = {
        server: { tokenizer: model.folder, contextLength: 3000 },
        rollout: { protocol: "search-r1" },
      } as const;
      writeFileSync(
        path.join(model.folder, "config.json"),
        JSON.stringify({ max_position_embeddings: 8192, model_type: "of_another_kind" }),
      );
      const { greedy } = await evaluated(asked);
      const turn = server?.asked.at(-1) as Asked;
      expect(turn.path).toBe("/v1/completions");
      // The server told no ids, so the prompt goes as text.
      expect(turn.body.prompt).toMatch(/^\[Answer the given question\. .*\]$/s);
      expect(greedy.records[0].trajectory.textOnly).toBe(true);
    } finally {
      await model.remove();
    }
  });

  it("is not trained, neither by reinforcement nor on transcripts", async () => {
    const url = "http://127.0.0.1:9/v1";
    const run = { folder: path.join(folder, "run") };
    const refused = /server\.url is set, and a model behind a server cannot be trained/;
    const trains = train({ server: { url }, rollout: { protocol: "search-r1" }, run }, { search, questions });
    await expect(trains).rejects.toThrow(refused);
    const transcripts = path.join(folder, "t.jsonl");
    writeFileSync(
      transcripts,
      JSON.stringify({ ...questions[0], turns: [{ role: "policy", text: "<answer> a </answer>" }] }),
    );
    const learns = sft({
      server: { url },
      sft: { transcripts },
      rollout: { protocol: "search-r1" },
      run: { folder: path.join(folder, "warm") },
    });
    await expect(learns).rejects.toThrow(refused);
  });

  it("names what belongs to a server only with one", () => {
    expect(() => parseConfig({ server: { model: "m" } })).toThrow(/server\.model is set, but server\.url is empty/);
    expect(() => parseConfig({ server: { tokenizer: "t" } })).toThrow(/server\.tokenizer is set/);
    const missing = evaluated({ server: { tokenizer: path.join(folder, "none") } });
    return expect(missing).rejects.toThrow(/There is no .*none, which server\.tokenizer names/);
  });
});

describe("a text-only trajectory", () => {
  it("keeps its mark on file, is refused by reinforcement, and is a transcript without ids", async () => {
    const { greedy } = await evaluated({});
    const [{ trajectory, question }] = greedy.records;
    expect(trajectory.textOnly).toBe(true);
    expect(traceFromLine(traceToLine({ trajectory })).trajectory).toEqual(trajectory);
    expect(() => trajectoryToDatum(trajectory)).toThrow(
      /does not tell which tokens it sampled .*sleuth sft --transcripts/,
    );
    const transcript = transcriptOf(question, trajectory, { place: "here", protocol: searchR1 });
    expect(transcript?.turns).toEqual([{ role: "policy", text: "<answer> Paris </answer>" }]);
  });
});
