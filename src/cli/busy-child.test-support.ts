/** @file A process whose command line fails without a turn of the event loop, after a Ctrl-C that came meanwhile. */
import { exitOnInterrupt } from "./interrupt.js";
import { runCommandLine } from "./main.js";

exitOnInterrupt();
process.kill(process.pid, "SIGINT");
process.exitCode = await runCommandLine(["--no-such-option"], process);
