/** @file The worker behind `TextModel`. */
import { serveTasks } from "../../workers/serve-tasks.js";
import { openComputation } from "./computation.js";

await serveTasks(openComputation);
