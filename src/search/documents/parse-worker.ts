/** @file The worker's side of `DocumentParser`. */
import { serveTasks } from "../workers/serve-tasks.js";
import { htmlToText } from "./html.js";

export type ParseTask = { kind: "html-text"; html: string; url?: string };

await serveTasks(() => ({ run: (task: ParseTask) => htmlToText(task.html, task.url) }));
