/** @file Every loader of files that are not Sleuth's own doing: downloaded, copied, left by a killed process, or written by somebody else. */
import type { Loader } from "./loader.js";
import { indexLoaders } from "./loaders/indexes.js";
import { modelLoaders } from "./loaders/models.js";
import { recordLoaders } from "./loaders/records.js";
import { textLoaders } from "./loaders/texts.js";

export const loaders: readonly Loader[] = [...modelLoaders, ...indexLoaders, ...recordLoaders, ...textLoaders];
