import { expect, it } from "vitest";
import { PassageMap, withoutRepeats } from "./same-passage.js";

const passage = (id: string, text: string, title = ""): { id: string; title: string; text: string } => ({
  id,
  title,
  text,
});

it("an id is a key together with the text, spacing and title apart", () => {
  const map = new PassageMap<string>();
  map.add(passage("doc", "first chunk"), "first");
  map.add(passage("doc", "second chunk"), "second");
  expect(map.get(passage("doc", " second\n chunk", "Title"))).toBe("second");
  expect(map.get(passage("doc", "third chunk"))).toBeUndefined();
  expect(map.get(passage("other", "first chunk"))).toBeUndefined();
  expect(map.get(passage("doc", "third chunk"), (value) => value === "first")).toBe("first");
});

it("without an id, title and text are the key; no id is mistaken for one", () => {
  const map = new PassageMap<number>();
  map.add(passage("", "same", "A"), 1);
  map.add(passage("text A\nsame", "x"), 2);
  expect(map.get(passage("", "same", "A"))).toBe(1);
  expect(map.get(passage("", "same", "B"))).toBeUndefined();
  expect(map.get(passage("__proto__", ""))).toBeUndefined();
});

it("a list keeps every chunk once, in its order", () => {
  const chunks = ["a", "b", "c", "b", "a"].map((text) => passage("doc", text));
  expect(withoutRepeats([...chunks, passage("twin", "a")]).map(({ id, text }) => `${id} ${text}`)).toEqual([
    "doc a",
    "doc b",
    "doc c",
    "twin a",
  ]);
});
