/** @file The signs by which language models tell messages of a conversation apart: text of strangers that goes into a message must hold none. */
import { searchR1 } from "./protocol.js";
import { makeSanitizer } from "./sanitize.js";

const markers = [
  "<|im_start|>",
  "<|im_end|>",
  "<|endoftext|>",
  "<|eot_id|>",
  "<|start_header_id|>",
  "<|end_header_id|>",
];
const brackets = ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>"];
/** Makes a text harmless inside of a message to any model: tags of the protocol and markers of conversations, in any disguise. */
export const conversationSanitizer = makeSanitizer(searchR1, {
  specialTokens: new Map([...markers, ...brackets].map((marker, index) => [marker, index])),
});
