import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { toJsonLines } from "../files/lines.js";
import { parseConfig } from "./config/config.js";
import { drawQuestions, loadSplits } from "./questions.js";

const questions = Array.from({ length: 7 }, (_, index) => ({ id: `q${index}`, question: "?", answers: ["a"] }));

describe("drawQuestions", () => {
  it("draws every question once per epoch, whatever the size of a step", () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 20 }), (seed, perStep) => {
        const steps = Array.from({ length: 21 }, (_, step) =>
          drawQuestions(questions, seed, step * perStep, perStep),
        ).flat();
        for (let epoch = 0; (epoch + 1) * 7 <= steps.length; epoch++) {
          const drawn = steps.slice(epoch * 7, (epoch + 1) * 7);
          expect(new Set(drawn.map(({ question }) => question.id)).size).toBe(7);
          expect(drawn.every(({ draw }) => draw === epoch)).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("orders epochs and seeds differently", () => {
    const order = (seed: number, step: number) =>
      drawQuestions(questions, seed, step * 7, 7).map(({ question }) => question.id);
    expect(order(0, 0)).not.toEqual(order(0, 1));
    expect(order(0, 0)).not.toEqual(order(1, 0));
    expect(order(3, 5)).toEqual(order(3, 5));
  });
});

describe("loadSplits", () => {
  const folder = mkdtempSync(join(tmpdir(), "sleuth-splits-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, count: number): string => {
    const ids = Array.from({ length: count }, (_, index) => `${name}-${index}`);
    writeFileSync(join(folder, name), toJsonLines(ids.map((id) => ({ id, question: "?", answers: ["a"] }))));
    return join(folder, name);
  };
  const parts = {
    train: write("train.jsonl", 40),
    validation: write("validation.jsonl", 3),
    test: write("test.jsonl", 0),
  };
  const withoutValidation = mkdtempSync(join(folder, "two-parts-"));
  for (const part of ["train", "test"] as const) copyFileSync(parts[part], join(withoutValidation, `${part}.jsonl`));
  const sizesOf = async (data: object): Promise<number[]> => {
    const { questions, validation, test } = await loadSplits(parseConfig({ data: { corpus: "c.jsonl", ...data } }));
    return [questions.length, validation.length, test.length];
  };

  it.each<[string, object, number[]]>([
    ["a file is divided here", { questions: parts.train }, [28, 4, 8]],
    ["a folder keeps its own division, also an empty part", { questions: folder }, [40, 3, 0]],
    ["of a folder without validation questions, some are set aside", { questions: withoutValidation }, [36, 4, 0]],
    ["another test file beside a folder", { questions: folder, test: parts.validation }, [40, 3, 3]],
    ["a folder as the test of a file gives its test part", { questions: parts.train, test: folder }, [36, 4, 0]],
  ])("%s", async (_, data, sizes) => {
    expect(await sizesOf(data)).toEqual(sizes);
  });
});
