import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { fields } from "../train/config/fields.js";
import { optionOf } from "./options.js";

function valueOf(field: z.ZodType, ...args: string[]): unknown {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  return command.addOption(optionOf("someKey", field)).parse(args, { from: "user" }).opts().someKey;
}

describe("options of fields", () => {
  it.each<[string, z.ZodType, string[], unknown]>([
    ["text as it is", z.string().default("x"), ["--some-key", " 12 "], " 12 "],
    ["an integer", z.int().positive().default(3), ["--some-key", "12"], 12],
    ["a number", z.number().default(3), ["--some-key=-1.5e3"], -1500],
    ["a switch", z.boolean().default(false), ["--some-key"], true],
    ["a choice", z.enum(["a", "b"]).default("a"), ["--some-key", "b"], "b"],
    ["auto", z.union([z.literal("auto"), z.number()]).default("auto"), ["--some-key", "auto"], "auto"],
    ["what is not auto", z.union([z.literal("auto"), z.number()]).default("auto"), ["--some-key", "0.5"], 0.5],
    ["true or auto", z.union([z.literal("auto"), z.boolean()]).default("auto"), ["--some-key", "true"], true],
    ["nothing where nothing was given", z.int().default(3), [], undefined],
  ])("read %s", (_, field, args, value) => expect(valueOf(field, ...args)).toBe(value));

  it.each<[z.ZodType, string, string]>([
    [z.int().positive(), "0", "Expected an integer of at least 1."],
    [z.int().nonnegative(), "1.5", "Expected an integer of at least 0."],
    [z.int(), "", "Expected an integer."],
    [z.number().nonnegative(), "-1", "Expected a number of at least 0."],
    [z.number().positive(), "0", "Expected a number above 0."],
    [z.number().min(0).max(1), "2", "Expected a number from 0 to 1."],
    [z.number().min(0).lt(1), "1", "Expected a number of at least 0 and below 1."],
    [z.number().max(1), "x", "Expected a number of at most 1."],
    [z.union([z.literal("auto"), z.number().min(0).max(1)]), "x", "Expected auto or a number from 0 to 1."],
    [z.union([z.literal("auto"), z.boolean()]), "x", "Expected auto or true or false."],
    [z.enum(["a", "b"]), "c", "Allowed choices are a, b."],
  ])("of %# refuse %j: %s", (field, text, message) =>
    expect(() => valueOf(field, `--some-key=${text}`)).toThrow(message),
  );

  it("can be made of every field of a configuration that holds one value", () => {
    for (const [group, keys] of Object.entries(fields))
      for (const [key, field] of Object.entries(keys as Record<string, z.ZodDefault<z.ZodType>>)) {
        if (field.unwrap() instanceof z.ZodRecord || field.unwrap() instanceof z.ZodArray) continue;
        // Commander takes --no-… for the negation of a switch.
        if (key.startsWith("no")) continue;
        const option = optionOf(key, field);
        expect([group, key, option.attributeName()]).toEqual([group, key, key]);
        expect(option.description).toBe(field.description);
      }
  });
});
