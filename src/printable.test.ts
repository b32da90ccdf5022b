import { expect, it } from "vitest";
import { jsonLine, printable, printableInColour, printableMessage } from "./printable.js";

const hostile = "a\u001b[2Jb\u0007c\u009b1md\u202ee\rf\u007f";

it("leaves words, tabs and line breaks, and no control character", () => {
  expect(printable(hostile)).toBe("a\ufffd[2Jb\ufffdc\ufffd1md\ufffde\ufffdf\ufffd");
  expect(printable("one\n\ttwo – 北京 é")).toBe("one\n\ttwo – 北京 é");
});

it("leaves colours, where they are ours, and no other sequence", () => {
  expect(printableInColour("\u001b[31mred\u001b[39m \u001b[2J\u001b]0;title\u0007")).toBe(
    "\u001b[31mred\u001b[39m \ufffd[2J\ufffd]0;title\ufffd",
  );
});

it("cuts long messages in their middle", () => {
  const message = printableMessage(`begin${"x".repeat(1_000_000)}end`);
  expect(message.length).toBeLessThan(4100);
  expect(message).toMatch(/^beginx+ … \(996008 characters left out\) … x+end$/);
});

it("writes JSON that means the same and holds no control character", () => {
  const line = jsonLine({ error: hostile });
  expect(line).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(JSON.parse(line)).toEqual({ error: hostile });
});
