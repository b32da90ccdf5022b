/** @file A worker for the pool's own tests. */
import { serveTasks } from "./serve-tasks.js";

export type EchoTask =
  { say: string } | { wait: number; say: string } | { fail: string } | { die: true } | { sum: Float32Array };

await serveTasks((data: { prefix: string; refuse?: string }) => {
  if (data.refuse !== undefined) throw new Error(data.refuse);
  return {
    async run(task: EchoTask): Promise<string | number> {
      if ("wait" in task) await new Promise((resolve) => setTimeout(resolve, task.wait));
      if ("fail" in task) throw new Error(task.fail);
      if ("die" in task) process.exit(3);
      if ("sum" in task) return task.sum.reduce((sum, value) => sum + value, 0);
      return data.prefix + task.say;
    },
  };
});
