// bullmq.mjs [BENCH...], with Redis on REDIS_PORT
import { readFileSync } from "node:fs";
import { FlowProducer, Queue, Worker } from "bullmq";
import * as m from "./measure.mjs";

const version = JSON.parse(readFileSync("node_modules/bullmq/package.json")).version;
const redis = process.env.REDIS_VERSION;
const about = { peer: "bullmq", version, setting: `Redis ${redis}, appendfsync always` };
const connection = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) };
const queue = new Queue("jobs", { connection });
const flows = new FlowProducer({ connection });
await queue.waitUntilReady();

// A worker that does nothing and says when `count` jobs are done.
function worker(name, concurrency, onDone) {
  const made = new Worker(name, async (job) => onDone(job), { connection, concurrency });
  return made.waitUntilReady().then(() => made);
}

if (m.wanted("b1")) {
  // The same shape as ours: 1 → 8 → 1, as flows.
  const runs = 500;
  const rates = [];
  for (let round = 0; round < 3; ++round) {
    const name = `flow${round}`;
    const noop = { name: "noop", queueName: name };
    const run = {
      ...noop,
      children: Array.from({ length: 8 }, () => ({ ...noop, children: [noop] })),
    };
    // BullMQ's trees have no shared child: 1 + 8 + 8 jobs; counted as what they are.
    const jobs = runs * 17;
    const done = m.later();
    let left = jobs;
    const began = m.now();
    const taker = await worker(name, 256, async () => "");
    taker.on("completed", () => --left === 0 && done.resolve());
    const adding = m.closedLoop(runs / 20, 16, () => flows.addBulk(Array.from({ length: 20 }, () => run)));
    await Promise.all([adding, done.promise]);
    rates.push(jobs / ((m.now() - began) / 1000));
    await taker.close();
  }
  m.report(about, "b1", "durable_jobs", "jobs/s", rates);
}
if (m.wanted("b3")) {
  const chain = 40;
  const steps = [];
  let done;
  let last;
  const hops = new Queue("chain", { connection });
  const taker = await worker("chain", 1, async (job) => {
    const at = m.now();
    if (job.data.left < chain) steps.push(at - last);
    last = at;
    if (job.data.left > 0) await hops.add("hop", { left: job.data.left - 1 });
    else done.resolve();
  });
  for (let i = 0; i < 10; ++i) {
    done = m.later();
    await hops.add("hop", { left: chain });
    await done.promise;
  }
  m.report(about, "b3", "step_p50", "ms", steps);
  await taker.close();
}
if (m.wanted("b4")) {
  const done = { current: m.later() };
  const taker = await worker("fan", 100, async (job) => job.name);
  taker.on("completed", (job) => job.name === "last" && done.current.resolve());
  const middle = { name: "middle", queueName: "fan" };
  const first = await worker("first", 1, async () => {
    await flows.add({ name: "last", queueName: "fan", children: Array(100).fill(middle) });
  });
  const begin = new Queue("first", { connection });
  const totals = [];
  for (let i = 0; i < 20; ++i) {
    done.current = m.later();
    const began = m.now();
    await begin.add("first", {});
    await done.current.promise;
    totals.push(m.now() - began);
  }
  m.report(about, "b4", "fan_of_100", "ms", totals);
  await taker.close();
  await first.close();
}
if (m.wanted("b5")) await m.measureAccept(about, () => queue.add("noop", {}));
process.exit(0);
