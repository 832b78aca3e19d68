import { App, fail } from "./app.ts";
import { Recording } from "./recording.ts";

async function main(): Promise<void> {
  const app = new App(await Recording.read());
  // For benchmarks, and for whoever looks with a browser's own tools.
  (window as unknown as { heapsight: App }).heapsight = app;
  await app.start();
}

main().catch(fail);
