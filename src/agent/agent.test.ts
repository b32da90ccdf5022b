import { afterEach, describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { scriptedPolicy, type Script } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { atlas } from "../prompts/protocol.js";
import { engineOf, passage } from "../rollout/fixtures.test-support.js";
import { parseConfig } from "../train/config/config.js";
import { openPolicy } from "../train/open-policy.js";
import { openTask } from "../train/open-task.js";
import { openAgent, type Agent, type AgentEvent, type AgentOptions } from "./agent.js";

const search = engineOf((query) => [
  { ...passage("Lima is the capital of Peru.", "Peru"), url: "https://example.org/peru" },
  passage(`about ${query}`),
]);
const script: Script = (prefix) =>
  prefix.includes("<information>")
    ? " It is Lima. <answer> Lima </answer>"
    : " I look it up. <search> capital Peru </search>";
const config = parseConfig({
  search: { topK: 2 },
  rollout: { protocol: "atlas", maxTokens: 2000, maxObservationTokens: 400, maxTokensPerTurn: 200 },
});

const opened: Agent[] = [];
async function agentOf(own: Script = script, options: AgentOptions = {}): Promise<Agent> {
  const policy = scriptedPolicy({ tokenizer: byteTokenizer(atlas), script: own });
  const agent = await openAgent(config, { given: { policy, search }, onNotice: () => undefined, ...options });
  opened.push(agent);
  return agent;
}
afterEach(() => Promise.all(opened.splice(0).map((agent) => agent.close())));

async function eventsOf(stream: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

describe("an agent", () => {
  it("answers with what it was shown, once each, and counts tokens by their authors", async () => {
    const agent = await agentOf();
    const { answer, finishReason, citations, searches, tokens, trajectory } = await agent.ask(" Capital of Peru? ");
    expect([answer, finishReason]).toEqual(["Lima", "answered"]);
    expect(citations.map(({ title, url, query }) => [title, url, query])).toEqual([
      ["Peru", "https://example.org/peru", "capital Peru"],
      ["T", undefined, "capital Peru"],
    ]);
    expect(searches).toBe(trajectory.searches);
    expect(tokens.written).toBe(
      trajectory.segments.filter(({ role }) => role === "policy").flatMap((s) => s.tokens_T).length,
    );
    expect(tokens.read + tokens.written).toBe(trajectory.segments.flatMap((s) => s.tokens_T).length);
    expect(tokens.answer).toBe(4);
  });

  it("tells what happens in its order, and ends with what ask answers", async () => {
    const agent = await agentOf();
    const events = await eventsOf(agent.stream("Capital of Peru?"));
    expect(events.map(({ kind }) => kind)).toEqual(["thought", "search", "passages", "thought", "answer", "end"]);
    expect(
      events.flatMap((event) => (event.kind === "thought" || event.kind === "answer" ? [event.text] : [])),
    ).toEqual([...["I look it up.", "It is Lima.", "Lima"]]);
    const { trajectory, ...end } = await agent.ask("Capital of Peru?");
    expect(events.at(-1)).toMatchObject({ kind: "end", ...end, searches: [{ query: trajectory.searches[0].query }] });
  });

  it("tells of turns without tags their thoughts alone", async () => {
    const kindsOf = async (method: string, text: string): Promise<unknown[]> => {
      const agent = await agentOf(() => text, { config: { rollout: { method: method as "direct" } } });
      const events = await eventsOf(agent.stream("Capital of Peru?"));
      return events.flatMap((event) => ("text" in event ? [[event.kind, event.text]] : []));
    };
    expect(await kindsOf("direct", " Lima")).toEqual([["answer", "Lima"]]);
  });

  it("answers many questions at once as it answers each alone, and leaves no listeners behind", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const agent = await agentOf();
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 16 }, (_, n) => agent.ask(`Question ${n}?`, n % 2 === 0 ? {} : { signal })));
    await new Promise(setImmediate);
    process.off("warning", note);
    expect(warnings).toEqual([]);
    const questions = ["Capital of Peru?", "And of Chile?", "Which sea?"];
    const together = await Promise.all(questions.map((question) => agent.ask(question)));
    for (const [index, question] of questions.entries())
      expect(together[index].trajectory.segments).toEqual((await agent.ask(question)).trajectory.segments);
  });

  it("ends an attempt by its signal, when nobody reads, and when it is closed; by the first two it stays open", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const agent = await agentOf(script, {
      given: {
        policy: scriptedPolicy({ tokenizer: byteTokenizer(atlas), script }),
        search: engineOf(async (_query, signal) => {
          await Promise.race([
            held,
            new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted")))),
          ]);
          return [passage("Lima")];
        }),
      },
    });
    const controller = new AbortController();
    const asked = agent.ask("Capital of Peru?", {
      signal: controller.signal,
      onEvent: ({ kind }) => void (kind === "search" && controller.abort(new Error("enough"))),
    });
    await expect(asked).rejects.toThrow("enough");
    for await (const { kind } of agent.stream("Capital of Peru?")) if (kind === "search") break;
    const last = agent.ask("Capital of Peru?");
    const closed = expect(last).rejects.toThrow("closed while it was answering");
    await agent.close();
    await closed;
    release();
    await agent.close();
    await expect(agent.ask("Again?")).rejects.toThrow(UserError);
  });

  it("says what is wrong with a question, a folder or a setting", async () => {
    const agent = await agentOf();
    await expect(agent.ask("  ")).rejects.toThrow("The question is empty.");
    await expect(eventsOf(agent.stream(""))).rejects.toThrow("The question is empty.");
    await expect(openAgent("no/such/run")).rejects.toThrow(UserError);
    await expect(agentOf(script, { concurrency: 0 })).rejects.toThrow("at least 1");
    const silent = await agentOf(() => " nothing ");
    expect(await silent.ask("Capital of Peru?")).toMatchObject({ answer: null, citations: [], tokens: { answer: 0 } });
  });
});

it("the built-in model answers as the rollout of its configuration does", async () => {
  const built = parseConfig({ model: { folder: "atlas-base" }, rollout: { protocol: "atlas" } });
  const question = "Which currency is used in the country whose capital is Lima?";
  const agent = await openAgent(built, { concurrency: 2 });
  opened.push(agent);
  const asked = await Promise.all([0, 1].map((seed) => agent.ask(question, { temperature: 1, seed })));
  const task = await openTask(built, {}, { questions: [] });
  const policy = await openPolicy(task.config, {}, "sampling");
  const attempts = await Promise.all(
    [0, 1].map((seed) =>
      task.value.environment({ id: "asked", question, answers: [] }, { policy: policy.value, temperature: 1, seed }),
    ),
  );
  await Promise.all([policy.close(), task.close()]);
  expect(asked.map(({ trajectory }) => trajectory.segments)).toEqual(attempts.map(({ segments }) => segments));
});
