// restate.mjs [BENCH...], writing to SCRATCH
import { readFileSync } from "node:fs";
import * as restate from "@restatedev/restate-sdk";
import * as clients from "@restatedev/restate-sdk-clients";
import * as m from "./measure.mjs";

const scratch = process.env.SCRATCH;
const packages = "node_modules/@restatedev";
const version = JSON.parse(readFileSync(`${packages}/restate-server/package.json`)).version;
const program = `${packages}/restate-server-linux-x64/bin/restate-server`;
const about = { peer: "restate", version, setting: "as shipped, log synced" };
const chain = 40;
const width = 100;

// --- the services: no-ops, and one that calls them ---
let seen = 0; // invocations of `counted`
let onCount = () => {};
const noop = restate.service({
  name: "noop",
  handlers: {
    run: async () => "",
    counted: async () => {
      onCount(++seen);
      return "";
    },
  },
});
const flow = restate.service({
  name: "flow",
  handlers: {
    // Calls of another service: work that is dispatched, as our jobs are. Returns ms a step.
    chain: async (ctx) => {
      const began = performance.now();
      for (let i = 0; i < chain; ++i) await ctx.serviceClient(noop).run();
      return (performance.now() - began) / chain;
    },
    fan: async (ctx) => {
      await ctx.serviceClient(noop).run();
      const calls = Array.from({ length: width }, () => ctx.serviceClient(noop).run());
      await restate.RestatePromise.all(calls);
      await ctx.serviceClient(noop).run();
      return "";
    },
  },
});

const ports = { ingress: await m.freePort(), admin: await m.freePort(), node: await m.freePort() };
const servicePort = await m.freePort();
const url = `http://127.0.0.1:${ports.ingress}`;
const env = {
  RESTATE_INGRESS__BIND_PORT: String(ports.ingress),
  RESTATE_ADMIN__BIND_PORT: String(ports.admin),
  RESTATE_BIND_PORT: String(ports.node),
  RESTATE_BIND_IP: "127.0.0.1",
  RESTATE_LISTEN_MODE: "tcp",
  RESTATE_DISABLE_TELEMETRY: "true",
  RUST_LOG: "error",
};

let server;
async function startServer() {
  const began = m.now();
  server = m.startProcess(program, ["--base-dir", `${scratch}/restate`, "--no-logo"], env);
  await m.until("restate", async () => (await fetch(`${url}/restate/health`)).ok);
  return m.now() - began;
}

const startMs = await startServer();
await restate.serve({ services: [noop, flow], port: servicePort });
await m.until("registration", async () => {
  const answer = await fetch(`http://127.0.0.1:${ports.admin}/deployments`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ uri: `http://127.0.0.1:${servicePort}` }),
  });
  return answer.ok;
});
const ingress = clients.connect({ url });
const noops = ingress.serviceClient(noop);
const flows = ingress.serviceClient(flow);
await m.closedLoop(200, 16, () => noops.run()); // warm

if (m.wanted("b7")) {
  m.report(about, "b7", "start_to_ready", "ms", [startMs]);
  m.report(about, "b7", "rss_idle", "MiB", [m.residentMiB(server.pid)]);
}
if (m.wanted("b1")) {
  const rates = [];
  for (let i = 0; i < 3; ++i) {
    const load = await m.closedLoop(8_000, 256, () => noops.run());
    rates.push(8_000 / load.seconds);
  }
  m.report(about, "b1", "durable_jobs", "jobs/s", rates);
  if (m.wanted("b7")) m.report(about, "b7", "rss_after_b1", "MiB", [m.residentMiB(server.pid)]);
}
if (m.wanted("b3")) {
  const steps = [];
  for (let i = 0; i < 10; ++i) steps.push(await flows.chain());
  m.report(about, "b3", "step_p50", "ms", steps);
}
if (m.wanted("b4")) {
  const totals = (await m.closedLoop(20, 1, () => flows.fan())).ms;
  m.report(about, "b4", "fan_of_100", "ms", totals);
}
if (m.wanted("b5")) {
  await m.measureAccept(about, async () => {
    const answer = await fetch(`${url}/noop/run/send`, { method: "POST" });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`send: ${answer.status}`);
  }, 500, 5_000);
}
if (m.wanted("b6")) {
  // Pending, as ours are: accepted with a delay that is over by the time the server is back.
  const pending = 4_000;
  await m.closedLoop(pending, 64, async () => {
    await (await fetch(`${url}/noop/counted/send?delay=20s`, { method: "POST" })).arrayBuffer();
  });
  const due = m.now() + 20_000;
  if (seen > 0) throw new Error("the first ones ran before the kill: the machine is too slow");
  server.kill("SIGKILL");
  await m.until("the end of the server", () => server.signalCode !== null);
  await m.until("the time the runs are due", () => m.now() >= due, 30);
  const began = m.now();
  const first = m.later();
  const all = m.later();
  onCount = (count) => {
    if (count === 1) first.resolve(m.now() - began);
    if (count === pending) all.resolve(m.now() - began);
  };
  m.report(about, "b6", "ready", "ms", [await startServer()]);
  m.report(about, "b6", "first_success", "ms", [await first.promise]);
  m.report(about, "b6", "all_done", "ms", [await all.promise]);
}
process.exit(0);
