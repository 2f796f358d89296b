// pg-boss.mjs [BENCH...], with PostgreSQL at PGURL
import { readFileSync } from "node:fs";
import { PgBoss } from "pg-boss";
import * as m from "./measure.mjs";

const version = JSON.parse(readFileSync("node_modules/pg-boss/package.json")).version;
const setting = "PostgreSQL, fsync on; insert, fetch and complete of 500 at a time, 4 at once";
const about = { peer: "pg-boss", version, setting };
const batch = 500;
const lanes = 4;
const boss = new PgBoss({
  connectionString: process.env.PGURL,
  max: 70,
  supervise: false, // no upkeep while it is measured
  schedule: false,
});
boss.on("error", () => {});
boss.on("warning", () => {});
await boss.start();
await boss.createQueue("noop");
await boss.createQueue("hop");

if (m.wanted("b1")) {
  const jobs = 20_000;
  const rates = [];
  for (let round = 0; round < m.repeats; ++round) {
    const some = Array.from({ length: batch }, () => ({ data: {} }));
    for (let i = 0; i < jobs; i += batch) await boss.insert("noop", some);
    let left = jobs;
    const began = m.now();
    const lane = async () => {
      while (left > 0) {
        const taken = await boss.fetch("noop", { batchSize: batch });
        if (taken.length === 0) return;
        await boss.complete(
          "noop",
          taken.map((job) => job.id),
        );
        left -= taken.length;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    if (left !== 0) throw new Error(`${left} jobs are left`);
    rates.push(jobs / ((m.now() - began) / 1000));
  }
  m.report(about, "b1", "durable_jobs", "jobs/s", rates);
}
if (m.wanted("b3")) {
  // Its own worker waits half a second between polls; this one asks again at once.
  const chain = 40;
  const steps = [];
  for (let run = 0; run < 10; ++run) {
    await boss.send("hop", {});
    let [job] = await boss.fetch("hop");
    for (let i = 0; i < chain; ++i) {
      const at = m.now();
      await Promise.all([boss.complete("hop", job.id), boss.send("hop", {})]);
      [job] = await boss.fetch("hop");
      steps.push(m.now() - at);
    }
    await boss.complete("hop", job.id);
  }
  m.report(about, "b3", "step_p50", "ms", steps);
}
if (m.wanted("b5")) await m.measureAccept(about, () => boss.send("noop", {}), 500, 5_000);
process.exit(0);
