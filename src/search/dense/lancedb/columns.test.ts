import { describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import { findColumns, parseCollection } from "./columns.js";

const text = { typeId: 5, toString: () => "Utf8" };
const int = { typeId: 2, toString: () => "Int64" };
const vector = (listSize: number) => ({
  typeId: 16,
  listSize,
  valueType: { typeId: 3 },
  toString: () => `Float[${listSize}]`,
});
const schema = (columns: Record<string, object>): Parameters<typeof findColumns>[1] => ({
  fields: Object.entries(columns).map(([name, type]) => ({ name, type: type as { typeId: number } })),
});

describe("columns of a table", () => {
  it.each([
    [
      { id: text, title: text, text, vector: vector(8) },
      { id: "id", title: "title", text: "text", vector: "vector" },
    ],
    [
      { doc_id: int, Content: text, emb: vector(8) },
      { id: "doc_id", title: "", text: "Content", vector: "emb" },
    ],
    [
      { vector: vector(8), contents: text, lang: text },
      { id: "", title: "", text: "contents", vector: "vector" },
    ],
    // One text column needs no known name; the id's does not count as one.
    [
      { _id: text, abstract: text, embedding: vector(8) },
      { id: "_id", title: "", text: "abstract", vector: "embedding" },
    ],
  ])("of %j", (columns, expected) => {
    expect(findColumns("t", schema(columns))).toEqual({ ...expected, dimensions: 8 });
  });

  it("what is said goes before what is found", () => {
    const columns = schema({ id: text, uid: int, title: text, text, summary: text, a: vector(4), b: vector(8) });
    expect(findColumns("t", columns, { vector: "b", text: "summary", id: "uid", title: "" })).toEqual({
      vector: "b",
      text: "summary",
      id: "uid",
      title: "",
      dimensions: 8,
    });
    expect(findColumns("t", columns, { vector: "a", id: "" })).toMatchObject({ id: "", text: "text", title: "title" });
  });

  it.each([
    [
      "several vector columns (a, b)",
      { text, a: vector(4), vector: vector(8), b: vector(4) },
      {},
      "several vector columns",
    ],
    ["no vectors", { id: text, text }, {}, "no vectors"],
    ["lists of whole numbers are no vectors", { text, v: { ...vector(8), valueType: int } }, {}, "no vectors"],
    ["two texts of unknown names", { left: text, right: text, vector: vector(8) }, {}, "beyond doubt"],
    ["no text at all", { id: int, vector: vector(8) }, {}, "beyond doubt"],
    ["a column that is not there", { text, vector: vector(8) }, { text: "body" }, 'no column "body"'],
    ["a column of another type", { text, n: int, vector: vector(8) }, { text: "n" }, 'cannot take text from "n"'],
  ])("%s: an error that lists the columns", (_, columns, said, why) => {
    const find = (): unknown => findColumns("papers", schema(columns), said);
    expect(find).toThrow(UserError);
    expect(find).toThrow(why);
    expect(find).toThrow(/Its columns: .*(vector|text).*papers:\w+=COLUMN/);
  });
});

describe("collection", () => {
  it.each([
    ["", { table: "", columns: {} }],
    ["papers", { table: "papers", columns: {} }],
    ["papers:vector=emb, text=body", { table: "papers", columns: { vector: "emb", text: "body" } }],
    [":id=,title=head line", { table: "", columns: { id: "", title: "head line" } }],
  ])("%j", (collection, expected) => {
    expect(parseCollection(collection)).toEqual(expected);
  });

  it.each(["papers:body", "papers:txt=body"])("refuses %s and shows the form", (collection) => {
    expect(() => parseCollection(collection)).toThrow(/TABLE:vector=COLUMN/);
  });
});
