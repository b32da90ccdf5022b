/** @file The format of a verb's table. */
import { Option, type Command } from "commander";
import { renderTable, tableFormats, type Table, type TableFormat } from "../eval/table.js";
import type { Terminal } from "./terminal/terminal.js";

export interface FormatOptions {
  format: TableFormat;
}

/** Adds --format. */
export function addFormat(command: Command): void {
  command.addOption(
    new Option("--format <name>", "of the table; latex needs the package booktabs")
      .choices(tableFormats)
      .default("terminal"),
  );
}

/** Prints a table in the format that was asked for. */
export function printTable(terminal: Terminal, table: Table, format: TableFormat): void {
  terminal.print(renderTable(table, format).trimEnd());
}
