/**
 * @file A model judged before its weights are fetched: by its `config.json`, by an adapter's `adapter_config.json`, or by the header of a GGUF file,
 * of which ranges are asked for. What is said here would be said when the model is opened, some gigabytes later.
 */
import { bertShape } from "../../model/bert.js";
import type { Json } from "../../../files/json-file.js";
import { adapterConfigFile, adapterWeightsFile, parseAdapterConfig } from "../adapter-folder.js";
import { parseModelConfig } from "../config-json.js";
import { checkGgufTensors, readGgufConfig } from "../gguf-config.js";
import { readGgufHeader } from "../gguf-file.js";
import { readGgufTokenizer } from "../gguf-tokenizer.js";
import { configFile, weightsFile } from "../safetensors-set.js";
import { fileUrl, type ListedFile } from "../../../hub/listing.js";
import type { HubTransport } from "../../../hub/transport.js";
import type { ModelName } from "./selection.js";

/** Of a server that knows no ranges, at most so large a file is read whole for its header. Bytes. */
const wholeBytes = 4_000_000;

/**
 * @param chosen the files that make the model
 * @param readSmall fetches one of them, and parses it
 * @throws UserError naming repository, file and field: what Sleuth cannot open, and why
 */
export async function judgeFiles(
  chosen: readonly ListedFile[],
  { repository, onnx, tokenizerOnly }: ModelName,
  readSmall: (file: ListedFile) => Promise<unknown>,
): Promise<void> {
  if (tokenizerOnly) return;
  const find = (name: string): ListedFile | undefined => chosen.find(({ path }) => path === name);
  const read = async (name: string): Promise<unknown> => {
    const file = find(name);
    return file && readSmall(file);
  };
  const label = (file: string): string => `${file} of ${repository}`;
  if (onnx !== undefined) {
    // What an ONNX file computes stands in it; weights need a graph of ours.
    if (find(weightsFile)) bertShape((await read(configFile)) as Json, repository);
  } else if (find(adapterWeightsFile)) {
    parseAdapterConfig(await read(adapterConfigFile), label(adapterConfigFile));
  } else parseModelConfig(await read(configFile), label(configFile));
}

/** The same for a GGUF file. Where its header cannot be had by itself, nothing is said: then opening the file will tell. */
export async function judgeGguf(
  transport: HubTransport,
  name: ModelName,
  commit: string,
  file: ListedFile,
): Promise<void> {
  const url = fileUrl(transport, name, commit, file.path);
  const label = `${file.path} of ${name.repository}`;
  const header = await readGgufHeader(url, label, file.size, rangeReader(transport, file));
  if (header === undefined) return;
  const config = await readGgufConfig(header);
  readGgufTokenizer(header.fields, config.modelType, config.maxPositions);
  checkGgufTensors(header, config);
}

/** A `fetch` for parts of one file. */
function rangeReader(transport: HubTransport, { size }: ListedFile): typeof fetch {
  return (input, init) =>
    transport.withRetries(async () => {
      const url = input instanceof Request ? input.url : String(input);
      const { response, close } = await transport.open(url, init?.headers);
      try {
        const { status, headers } = response;
        // 416: behind the end. 200: the server sends all of the file, whatever was asked for.
        if (status === 416 || (status !== 206 && size > wholeBytes)) {
          await response.body?.cancel().catch(() => undefined);
          throw new Error("no such range");
        }
        return new Response(await transport.reading(response.arrayBuffer(), url), { status, headers });
      } finally {
        close();
      }
    });
}
