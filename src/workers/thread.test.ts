import { afterEach, describe, expect, it, vi } from "vitest";
import { UserError } from "../errors.js";
import type { EchoTask } from "./echo.test-support.js";
import { WorkerGone, WorkerThread } from "./thread.js";

type EchoThread = WorkerThread<EchoTask, string | number, { greeting: string }>;
const opened: EchoThread[] = [];

function start(data: object = {}, onGone?: () => void, isNative = false): EchoThread {
  const module = new URL("./echo.test-support", import.meta.url);
  const thread: EchoThread = new WorkerThread(
    { name: "echo", module, data: { prefix: "> ", isConcurrent: true, ...data }, isNative },
    onGone,
  );
  opened.push(thread);
  return thread;
}

afterEach(() => Promise.all(opened.splice(0).map((thread) => thread.close())));

describe("WorkerThread", () => {
  it("says what its handler says of itself, and takes tasks before it is open", async () => {
    const thread = start();
    const early = thread.run({ say: "early" });
    expect(await thread.ready).toEqual({ greeting: "> hello" });
    expect(await early).toBe("> early");
  });

  it("says why its handler did not open", async () => {
    const thread = start({ refuse: "no model here" });
    await expect(thread.ready).rejects.toThrow("no model here");
    await expect(thread.run({ say: "x" })).rejects.toBeInstanceOf(WorkerGone);
  });

  it("runs tasks side by side where the handler can", async () => {
    const thread = start();
    const answers: unknown[] = [];
    const note = (answer: unknown): void => void answers.push(answer);
    await Promise.all([thread.run({ wait: 200, say: "slow" }).then(note), thread.run({ say: "fast" }).then(note)]);
    expect(answers).toEqual(["> fast", "> slow"]);
  });

  it("cancels one task of several: its caller gets the reason at once, its handler hears of it", async () => {
    const thread = start();
    await thread.ready;
    const [first, second] = [new AbortController(), new AbortController()];
    const tasks = [first, second].map(({ signal }) => thread.run({ untilCancelled: true }, { signal }));
    second.abort("changed my mind");
    await expect(tasks[1]).rejects.toBe("changed my mind");
    await vi.waitFor(async () => expect(await thread.run({ count: true })).toBe("2 begun, 1 cancelled"));
    expect(thread.load).toBe(1);
    first.abort("and this");
    await expect(tasks[0]).rejects.toBe("and this");
  });

  it("does not begin a cancelled task that waits for another", async () => {
    const thread = start({ isConcurrent: false });
    const busy = thread.run({ wait: 50, say: "busy" });
    const stop = new AbortController();
    const waiting = thread.run({ say: "never" }, { signal: stop.signal });
    stop.abort("enough");
    await expect(waiting).rejects.toBe("enough");
    expect(await busy).toBe("> busy");
    expect(await thread.run({ count: true })).toBe("1 begun, 0 cancelled");
  });

  it("keeps what kind of error it was, and the system's code", async () => {
    const thread = start();
    const failure = await thread.run({ fail: "no room", isUserError: true }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    await expect(thread.run({ fail: "disk", code: "ENOSPC" })).rejects.toMatchObject({ code: "ENOSPC" });
    expect(await thread.run({ fail: "bug" }).catch((error: unknown) => error)).not.toBeInstanceOf(UserError);
  });

  it("tells when it dies, but not when it is closed", async () => {
    const [onGone, closedOne] = [vi.fn(), vi.fn()];
    const dying = start({}, onGone);
    await expect(dying.run({ die: true })).rejects.toThrow("The echo worker has stopped with status 3.");
    await expect(dying.run({ say: "x" })).rejects.toBeInstanceOf(WorkerGone);
    expect(onGone).toHaveBeenCalledOnce();
    const closing = start({}, closedOne);
    const pending = expect(closing.run({ untilCancelled: true })).rejects.toBeInstanceOf(WorkerGone);
    await closing.close();
    await pending;
    expect(closedOne).not.toHaveBeenCalled();
  });

  it("refuses what cannot be sent, and goes on", async () => {
    const thread = start();
    await expect(thread.run({ say: (() => 1) as unknown as string })).rejects.toThrow(/clone/);
    expect(await thread.run({ say: "on" })).toBe("> on");
  });

  it.each([
    [true, 1],
    [false, -1],
  ])("closed while native code holds it, it is waited for (%s) or ended in the middle", async (isNative, seen) => {
    const thread = start({}, undefined, isNative);
    const after = new Int32Array(new SharedArrayBuffer(4));
    const held = expect(thread.run({ block: 400, after })).rejects.toBeInstanceOf(WorkerGone);
    await vi.waitFor(() => expect(Atomics.load(after, 0)).toBe(-1));
    const waiting = expect(thread.run({ say: "never begun" })).rejects.toBeInstanceOf(WorkerGone);
    await thread.close();
    expect(Atomics.load(after, 0)).toBe(seen);
    await Promise.all([held, waiting]);
  });

  it("that has native code can be closed before it is open, twice, and after it died", async () => {
    const early = start({}, undefined, true);
    await Promise.all([early.close(), early.close()]);
    const refused = start({ refuse: "no model here" }, undefined, true);
    await expect(refused.ready).rejects.toThrow("no model here");
    await refused.close();
    const dying = start({}, undefined, true);
    await expect(dying.run({ die: true })).rejects.toBeInstanceOf(WorkerGone);
    await dying.close();
  });
});
