/** @file Questions from tables: what is COLUMN of ROW, and which row a description belongs to. */
import { shortened, type Cloze } from "./entry-questions.js";
import type { Table } from "./parts.js";

export function* tableQuestions({ columns, rows }: Table, subject: string): Generator<Cloze> {
  const place = subject === "" ? "" : ` in ${subject}`;
  for (const cells of rows) {
    const [row] = cells;
    if (row === "" || row.split(" ").length > 4) continue;
    // The same name twice: its cells have no one right answer.
    if (/[{}[\]]/.test(row) || isRepeated(rows, 0, row)) continue;
    const quote = cells.join(" ");
    for (const [index, cell] of cells.entries()) {
      if (index === 0 || cell === "" || /[{}[\]]/.test(cell)) continue;
      const words = cell.split(" ").length;
      if (words >= 5 && !isRepeated(rows, index, cell)) {
        const noun = columns.length > 0 ? lower(columns[0]) : "entry of the table";
        yield {
          kind: "table",
          question: `Which ${noun}${place} is described like this: "${shortened(cell)}"?`,
          answers: [row],
          quote,
        };
      } else if (words <= 4 && isNoun(columns[index]))
        yield {
          kind: "table",
          question: `What is the ${lower(columns[index])} of ${row}${place}?`,
          answers: [cell],
          quote,
        };
    }
  }
}

function isRepeated(rows: Table["rows"], column: number, cell: string): boolean {
  return rows.filter((cells) => cells[column] === cell).length > 1;
}

/** Whether "the … of" reads well with the name of a column. */
function isNoun(name = ""): boolean {
  return (
    /^\p{L}/u.test(name) &&
    name.split(" ").length <= 3 &&
    !/\b(?:in|of|by|to|with|for|on|at|from)$|\?$|^(?:is|has|can|see|used)\b/i.test(name)
  );
}

/** The name of a column inside a sentence: abbreviations keep their capitals. */
function lower(name: string): string {
  return name
    .split(" ")
    .map((word) => (/[A-Z]{2}/.test(word) ? word : word.toLowerCase()))
    .join(" ");
}
