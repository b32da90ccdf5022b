/**
 * @file A process that contends for a lock: `lock-contender.test-support.ts FOLDER ROUNDS`. In each round it counts up the number in
 * FOLDER/count with the lock held, and dies with the lock at the end of its last round when ROUNDS is negative. With ROUNDS 0 it tries
 * once, says "mine" or "busy", and keeps the lock until its input ends.
 */
import { appendFile, open, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { takeLock, withLock } from "./lock.js";

const [folder, rounds] = [process.argv[2], Number(process.argv[3])];
const lock = path.join(folder, "lock");
const inside = path.join(folder, "inside");
const count = path.join(folder, "count");

async function countUp(isLast: boolean): Promise<void> {
  // Fails when another process is inside.
  await (await open(inside, "wx")).close();
  const before = Number(await readFile(count, "utf8"));
  await sleep(Math.random() * 3);
  await writeFile(count, `${before + 1}`);
  await rm(inside);
  if (isLast && rounds < 0) process.kill(process.pid, "SIGKILL");
}

if (rounds === 0) {
  const words = await takeLock(lock, () => new Error("busy")).then(
    () => "mine",
    (error: Error) => error.message,
  );
  process.stdout.write(words);
  for await (const piece of process.stdin) void piece;
} else {
  for (let round = 1; round <= Math.abs(rounds); round++) {
    await withLock(lock, {}, () => countUp(round === Math.abs(rounds))).catch((error: Error) =>
      appendFile(path.join(folder, "failures"), `${error.message}\n`),
    );
  }
}
