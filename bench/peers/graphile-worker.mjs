// graphile-worker.mjs [BENCH...], with PostgreSQL at PGURL
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import * as m from "./measure.mjs";

const version = JSON.parse(readFileSync("node_modules/graphile-worker/package.json")).version;
const setting = "PostgreSQL, fsync on; 2 processes, local queue 500, completion batched";
const drainer = "--drainer";
const about = { peer: "graphile-worker", version, setting };
const pool = new pg.Pool({ connectionString: process.env.PGURL, max: 80 });
pool.on("error", () => {});
pool.on("connect", (client) => client.on("error", () => {}));
const utils = await makeWorkerUtils({ pgPool: pool });
await utils.migrate();
const quiet = { logFactory: () => () => {} };
const { Logger } = await import("graphile-worker");
const logger = new Logger(quiet.logFactory);

async function withRunner(taskList, tuned, act) {
  const preset = tuned
    ? { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0, localQueue: { size: 500 } } }
    : {};
  const runner = await run({
    pgPool: pool,
    logger,
    concurrency: tuned ? 24 : 10,
    pollInterval: 2000,
    noHandleSignals: true,
    taskList,
    preset,
  });
  await act();
  await runner.stop();
}
const add = (task, payload = {}) => utils.addJob(task, payload);

// A process that drains the queue from "go" on and tells how many jobs it has done.
if (process.argv[2] === drainer) {
  let done = 0;
  const tell = () => process.send({ done });
  const noop = async () => {
    if (++done % 50 === 0) tell();
  };
  process.send({ ready: true });
  await new Promise((resolve) => process.once("message", resolve));
  setInterval(tell, 5);
  await withRunner({ noop }, true, () => new Promise((resolve) => process.once("message", resolve)));
  process.exit(0);
}

async function drain(jobs) {
  const done = [0, 0];
  const over = m.later();
  const crew = await Promise.all(
    done.map(async (_, place) => {
      const child = fork(process.argv[1], [drainer]);
      await new Promise((resolve) => child.once("message", resolve));
      child.on("message", (said) => {
        done[place] = said.done;
        if (done[0] + done[1] === jobs) over.resolve();
      });
      return child;
    }),
  );
  const began = m.now();
  for (const child of crew) child.send("go");
  await over.promise;
  await m.until("an empty queue", async () => {
    const { rows } = await pool.query("select count(*)::int n from graphile_worker.jobs");
    return rows[0].n === 0;
  });
  const seconds = (m.now() - began) / 1000;
  const gone = crew.map((child) => new Promise((resolve) => child.once("exit", resolve)));
  for (const child of crew) child.send("over");
  await Promise.all(gone);
  return jobs / seconds;
}

if (m.wanted("b1")) {
  const jobs = 20_000;
  const rates = [];
  for (let round = 0; round < m.repeats; ++round) {
    await utils.addJobs(Array.from({ length: jobs }, () => ({ identifier: "noop", payload: {} })));
    rates.push(await drain(jobs));
  }
  m.report(about, "b1", "durable_jobs", "jobs/s", rates);
}
if (m.wanted("b3")) {
  const chain = 40;
  const steps = [];
  let last;
  let done;
  const hop = async ({ left }) => {
    const at = m.now();
    if (left < chain) steps.push(at - last);
    last = at;
    if (left > 0) await add("hop", { left: left - 1 });
    else done.resolve();
  };
  await withRunner({ hop }, false, async () => {
    for (let i = 0; i < 10; ++i) {
      done = m.later();
      await add("hop", { left: chain });
      await done.promise;
    }
  });
  m.report(about, "b3", "step_p50", "ms", steps);
}
if (m.wanted("b5")) await m.measureAccept(about, () => add("noop"), 500, 5_000);
process.exit(0);
