// What the peers' scripts share: timing, closed loops, and one JSON line a figure, named like ours.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const asked = process.argv.slice(2);
export const wanted = (bench) => asked.length === 0 || asked.includes(bench);
// How often a rate is taken.
export const repeats = Number(process.env.PEER_REPEATS ?? 3);
export const now = () => performance.now();

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

// `about` is {peer, version, setting}.
export function report(about, bench, metric, unit, values, value = quantile(values, 0.5)) {
  const spread = { runs: values.length, min: Math.min(...values), max: Math.max(...values) };
  console.log(JSON.stringify({ ...about, bench, metric, value, unit, ...spread }));
}

// Calls `once(i)` `count` times, `inFlight` at a time. Returns {seconds, ms: of each}.
export async function closedLoop(count, inFlight, once) {
  const ms = [];
  let next = 0;
  const began = now();
  const lane = async () => {
    while (next < count) {
      const i = next++;
      const at = now();
      await once(i);
      ms.push(now() - at);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
  return { seconds: (now() - began) / 1000, ms };
}

// The two figures of B5 from one function that has something accepted durably.
export async function measureAccept(about, once, single = 500, many = 10_000) {
  const one = await closedLoop(single, 1, once);
  report(about, "b5", "accept_1_connection_p50", "ms", one.ms);
  const rates = [];
  for (let i = 0; i < repeats; ++i) rates.push(many / (await closedLoop(many, 64, once)).seconds);
  report(about, "b5", "accept_64_connections", "req/s", rates);
}

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// A promise with its handles outside.
export function later() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  return it;
}

export function startProcess(program, args, env = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: "ignore" });
  process.on("exit", () => child.kill("SIGKILL"));
  return child;
}

export async function until(what, check, seconds = 60) {
  const end = now() + seconds * 1000;
  for (;;) {
    try {
      if (await check()) return;
    } catch {
      // not there yet
    }
    if (now() > end) throw new Error(`${what} did not happen in ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function residentMiB(pid) {
  return (Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096) / 2 ** 20;
}
