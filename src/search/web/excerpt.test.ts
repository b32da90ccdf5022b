import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bestExcerpt } from "./excerpt.js";

const page = [
  "Home",
  "Cookies help us deliver our services.",
  "History of Lima",
  "Lima was founded by Francisco Pizarro on 18 January 1535 as Ciudad de los Reyes.",
  "It became the capital of the Viceroyalty of Peru.",
  "Sports in the city are many. Football is played by all.",
  "Contact us for advertising.",
].join("\n\n");

describe("the part of a page that a search was about", () => {
  it("is the paragraphs around what query and snippet name", async () => {
    expect(await bestExcerpt(page, "who founded Lima", "Lima was founded ... 1535", 140)).toBe(
      "History of Lima\nLima was founded by Francisco Pizarro on 18 January 1535 as Ciudad de los Reyes.",
    );
    expect(await bestExcerpt(page, "football", "", 60)).toBe("Sports in the city are many. Football is played by all.");
  });

  it("fills the room with what follows", async () => {
    expect(await bestExcerpt(page, "Pizarro", "", 140)).toBe(
      "Lima was founded by Francisco Pizarro on 18 January 1535 as Ciudad de los Reyes.\nIt became the capital of the Viceroyalty of Peru.",
    );
  });

  it("takes sentences of paragraphs that are too long", async () => {
    const long = `${"Filler stands here. ".repeat(50)}The owl sleeps by day. ${"More filler. ".repeat(50)}`;
    const excerpt = (await bestExcerpt(long, "owl", "", 80)) as string;
    expect(excerpt).toMatch(/^The owl sleeps by day\. More filler\./);
    expect(excerpt.length).toBeLessThanOrEqual(80);
  });

  it("is nothing where the page holds none of the words", async () => {
    expect(await bestExcerpt(page, "quantum", "", 100)).toBeUndefined();
    expect(await bestExcerpt("", "owl", "", 100)).toBeUndefined();
    expect(await bestExcerpt(page, "", "", 100)).toBeUndefined();
  });

  it("is never longer than asked, holds a matching word, and stands on the page", async () => {
    const word = fc.constantFrom("owl", "owls", "lima", "the", "x", "a".repeat(50), "🦀🦀🦀", ". ", "\n\n", "peru!");
    const text = fc.array(word, { maxLength: 120 }).map((words) => words.join(" "));
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 20, max: 300 }), async (page, room) => {
        const excerpt = await bestExcerpt(page, "owl lima", "", room);
        expect(excerpt !== undefined).toBe(/owl|lima/.test(page));
        if (excerpt === undefined) return;
        expect(excerpt.length).toBeLessThanOrEqual(room);
        expect(excerpt).toMatch(/owl|lima/);
        expect(excerpt).not.toMatch(/\p{Cs}/u);
        expect(page.replace(/\s+/g, "")).toContain(excerpt.replace(/\s+/g, ""));
      }),
      { numRuns: 200, seed: 61 },
    );
  });
});
