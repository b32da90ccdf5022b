/** @file At most so many at once, and fewer of them at one host. */
import { Gate } from "../../async.js";

/** Waiting lines: one for all, and one before it for each host. */
export class HostGate {
  readonly #everybody: Gate;
  readonly #hosts = new Map<string, Gate>();
  readonly #perHost: number;

  constructor(total: number, perHost: number) {
    this.#everybody = new Gate(total);
    this.#perHost = perHost;
  }

  /**
   * Runs a task when its turn has come. Who waits for a host takes up no place of the others.
   * @throws what the task throws; the signal's reason
   */
  run<T>(host: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    const line = this.#hosts.get(host) ?? new Gate(this.#perHost);
    this.#hosts.set(host, line);
    const answer = line.run(() => this.#everybody.run(task, signal), signal);
    // Hosts are many: those that nobody asks are forgotten.
    void line.idle().then(() => void (line.isEmpty && this.#hosts.delete(host)));
    return answer;
  }
}
