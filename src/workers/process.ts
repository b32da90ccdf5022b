/**
 * @file A worker in a process of its own, for work on files of strangers: what it takes of memory is bounded, natively held memory too, and running
 * out of it costs its task and nothing else.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { orAborted } from "../async.js";
import { fromFailure, outOfMemoryStatus, type HostStart, type Reply } from "./messages.js";
import { WorkerGone, type Receiver } from "./thread.js";

interface ProcessOptions extends Omit<HostStart, "module"> {
  /** The module that calls `serveTasks`, without its ending. */
  module: URL;
}

/** The process took more memory than it may. */
export class OutOfMemory extends WorkerGone {}

const folder = new URL(".", import.meta.url);

/** The process starts at once. Idle, it does not keep this one alive, and it ends with this one, however that ends. */
export class WorkerProcess<Task, Answer> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #receivers = new Map<number, Receiver>();
  #nextId = 0;
  #gone: WorkerGone | undefined;

  constructor({ module, ...options }: ProcessOptions) {
    this.#name = options.name;
    // The sources run as JavaScript in tests: the module lies as far from the other side's folder as from this one's.
    const relative = path.relative(fileURLToPath(folder), fileURLToPath(module));
    const start: HostStart = { ...options, module: relative };
    const isSource = import.meta.url.endsWith(".ts");
    const host = new URL(`./process-host.${isSource ? "ts" : "js"}`, folder);
    const entry = isSource ? new URL("./boot.mjs", folder) : host;
    this.#child = fork(entry, [JSON.stringify(start), host.href], {
      // More heap than memory: where V8's own bound is met first, it may abort instead of raising an error. NODE_OPTIONS of the caller may be lower.
      execArgv: [`--max-old-space-size=${2 * options.memoryMb}`],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (reply: Reply) => this.#settle(reply));
    this.#child.on("error", (error) =>
      this.#died(new WorkerGone(`The ${this.#name} process has failed: ${error.message}.`)),
    );
    this.#child.on("exit", (status, signal) =>
      this.#died(
        status === outOfMemoryStatus
          ? new OutOfMemory(`The ${this.#name} process took more than ${options.memoryMb} MB of memory.`)
          : new WorkerGone(`The ${this.#name} process has stopped with ${signal ?? `status ${status}`}.`),
      ),
    );
    this.#hold(false);
  }

  /**
   * Does a task; tasks are done one after another.
   * @throws what the task threw; `OutOfMemory`; `WorkerGone` when the process has died or was closed; the signal's reason, though the task may run on
   */
  run(task: Task, { signal }: { signal?: AbortSignal } = {}): Promise<Answer> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const answer = new Promise<Answer>((resolve, reject) => {
      if (this.#gone !== undefined) return reject(this.#gone);
      const id = this.#nextId++;
      if (this.#receivers.size === 0) this.#hold(true);
      this.#receivers.set(id, { resolve: resolve as Receiver["resolve"], reject });
      // A failure to send is that of the process, which ends.
      this.#child.send({ id, task }, () => undefined);
    });
    return signal === undefined ? answer : orAborted(answer, signal, () => undefined);
  }

  /** Ends the process and waits for its end; tasks under way fail. */
  async close(): Promise<void> {
    this.#died(new WorkerGone(`The ${this.#name} process has stopped: it was closed.`));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    this.#hold(true);
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #settle(reply: Reply): void {
    const receiver = this.#receivers.get(reply.id);
    this.#receivers.delete(reply.id);
    if (this.#receivers.size === 0) this.#hold(false);
    if ("answer" in reply) receiver?.resolve(reply.answer);
    else receiver?.reject(fromFailure(reply.failure));
  }

  #died(why: WorkerGone): void {
    if (this.#gone !== undefined) return;
    this.#gone = why;
    for (const { reject } of this.#receivers.values()) reject(why);
    this.#receivers.clear();
  }

  /** Whether the child keeps this process alive. */
  #hold(isHeld: boolean): void {
    if (isHeld) {
      this.#child.ref();
      this.#child.channel?.ref();
    } else {
      this.#child.unref();
      this.#child.channel?.unref();
    }
  }
}
