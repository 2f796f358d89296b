// dbos.mjs [BENCH...], with PostgreSQL at PGURL
import { readFileSync } from "node:fs";
import { DBOS } from "@dbos-inc/dbos-sdk";
import * as m from "./measure.mjs";

const version = JSON.parse(readFileSync("node_modules/@dbos-inc/dbos-sdk/package.json")).version;
const about = { peer: "dbos", version, setting: "PostgreSQL, fsync on; 64 workflows at once" };
const chain = 40;

const noop = async () => "";
const one = DBOS.registerWorkflow(async () => DBOS.runStep(noop, { name: "noop" }), { name: "one" });
const two = DBOS.registerWorkflow(
  async () => {
    await DBOS.runStep(noop, { name: "first" });
    return DBOS.runStep(noop, { name: "second" });
  },
  { name: "two" },
);
const steps = DBOS.registerWorkflow(
  async () => {
    for (let i = 0; i < chain; ++i) await DBOS.runStep(noop, { name: `s${i}` });
    return "";
  },
  { name: "steps" },
);
const fan = DBOS.registerWorkflow(
  async () => {
    await DBOS.runStep(noop, { name: "first" });
    const children = [];
    for (let i = 0; i < 100; ++i) children.push(await DBOS.startWorkflow(one)());
    for (const child of children) await child.getResult();
    await DBOS.runStep(noop, { name: "last" });
    return "";
  },
  { name: "fan" },
);
DBOS.setConfig({
  name: "bench",
  systemDatabaseUrl: process.env.PGURL.replace(/\/postgres$/, "/dbos_sys"),
  systemDatabasePoolSize: 20,
  runAdminServer: false,
  logLevel: "error",
});
await DBOS.launch();
await m.closedLoop(50, 8, () => one()); // warm

if (m.wanted("b1")) {
  for (const [metric, unit, run] of [
    ["durable_jobs", "jobs/s", one],
    ["two_step_runs", "runs/s", two],
  ]) {
    const rates = [];
    for (let i = 0; i < m.repeats; ++i) rates.push(2_000 / (await m.closedLoop(2_000, 64, () => run())).seconds);
    m.report(about, "b1", metric, unit, rates);
  }
}
if (m.wanted("b3")) {
  const ms = (await m.closedLoop(10, 1, () => steps())).ms.map((total) => total / chain);
  m.report(about, "b3", "step_p50", "ms", ms);
}
if (m.wanted("b4")) m.report(about, "b4", "fan_of_100", "ms", (await m.closedLoop(10, 1, () => fan())).ms);
if (m.wanted("b5")) await m.measureAccept(about, () => DBOS.startWorkflow(one)(), 300, 2_000);
process.exit(0);
