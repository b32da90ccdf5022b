/** @file A reply without the thought before it. */

/** What follows the last thought; a thought that never ends leaves nothing. */
export function unthought(reply: string): string {
  const said = reply.split("</think>").at(-1) as string;
  return said.includes("<think>") ? said.slice(0, said.indexOf("<think>")) : said;
}
