// A process of its own for each batch of cases: it may hang, crash or grow. Registered here and not by flags, so that workers do not inherit it.
(await import("tsx/esm/api")).register();
await import("./child.ts");
